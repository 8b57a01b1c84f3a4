"""Explain a trained model's answers for some images: the guesses, the map of a class, what the layers saw, what is alike."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline_lib.errors import UsageError
from pipeline_lib.explain.neighbours import Neighbour, TrainingImages
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.class_map import (
    ClassMap,
    NoCells,
    NoSuchLayer,
    Shown,
    class_map,
    rank_correlations,
)
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import ModelFile, read_model_file
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.predict import Guess
from pipeline_lib.prediction.sight import Pixels, Sight, trained_sight

BEST = 5
NAMED = 12  # layers in a message
DEPENDS = (
    0.3  # a map that correlates more with those of fresh weights shows little of what was learnt
)


@dataclass(frozen=True)
class Explanation:
    """seen_HWC: what the network looks at. class_of: the class that the map is of. correlation: with maps of fresh weights.

    near: the training images most like this one; None where there are no tables of them.
    """

    file: Path
    seen_HWC: Pixels
    guesses: tuple[Guess, ...]
    class_of: Guess
    map: ClassMap
    correlation: float
    near: tuple[Neighbour, ...] | None

    @property
    def is_learnt(self) -> bool:
        """Whether the map depends on what was learnt."""
        return abs(self.correlation) < DEPENDS


@dataclass(frozen=True)
class TrainedModel:
    """A model in torch. about: its model.json."""

    about: ModelFile
    classifier: Classifier

    @cached_property
    def sight(self) -> Sight:
        """How it sees a file."""
        return trained_sight(self.about)

    def explain(
        self,
        file: Path,
        seen_HWC: Pixels,
        *,
        class_id: str | None,
        layers: Sequence[str] = (),
        training: TrainingImages | None,
    ) -> Explanation:
        """Explain one image. seen_HWC: what `see_each` made of the file. class_id: of the map; None: the model's answer.

        layers: whose feature maps are shown; none: the last of each size of cells. Raises UsageError for a network
        without cells and for a layer that it has not, and as `TrainingImages.nearest` does.
        """
        about = self.about
        images_BHWC = torch.from_numpy(np.ascontiguousarray(seen_HWC))[None]
        with torch.no_grad():
            logits_K = self.classifier(images_BHWC)[0].double() / (about.temperature or 1.0)
        p_K = torch.softmax(logits_K, dim=0)
        order = p_K.argsort(descending=True, stable=True).tolist()
        label = order[0] if class_id is None else about.classes.index(class_id)
        images_BCHW = self.classifier.normalised(images_BHWC)
        try:
            found = class_map(self.classifier.network, images_BCHW, label, layers=layers)
        except NoSuchLayer as error:
            raise UsageError(
                f"no such layer with cells in {about.network}",
                file="--layer",
                value=error,
                remedy=f"name one of {_named(str(error), error.known)}",
            ) from error
        except NoCells as error:
            raise UsageError(
                "cannot be explained by a map",
                file="--model",
                value=f"{about.network}: {error}",
                remedy="explain a model of another network",
            ) from error

        def guess(k: int) -> Guess:
            return Guess(about.classes[k], about.names[k], float(p_K[k]))

        return Explanation(
            file=file,
            seen_HWC=seen_HWC,
            guesses=tuple(guess(k) for k in order[:BEST]),
            class_of=guess(label),
            map=found,
            correlation=rank_correlations(
                self._fresh, [Shown(images_BCHW, label, found.evidence_hw)]
            )[0],
            near=training.nearest(file) if training else None,
        )

    def _fresh(self) -> nn.Module:
        """The same network with fresh weights."""
        about = self.about
        return build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)


def _named(name: str, known: Sequence[str]) -> str:
    """The layers that are meant most likely, and after them the last ones."""
    close = difflib.get_close_matches(name, known, n=NAMED // 2, cutoff=0.5)
    others = [one for one in reversed(known) if one not in close]
    named = [*close, *others][:NAMED]
    more = f", ... ({len(known)} in all)" if len(known) > len(named) else ""
    return ", ".join(named) + more


def open_trained(folder: Path) -> TrainedModel:
    """Open an export or a folder of weights, on the CPU. Raises BadData when it is absent or damaged."""
    about = read_model_file(folder)
    network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
    load_weights(network, folder)
    classifier = Classifier(network, mean=about.mean, std=about.std, name=about.network)
    return TrainedModel(about, classifier.eval())
