"""The training images that are most like an image, by the features that curation compares images with.

They are read from the version's own tables in DVC's cache: what it was trained on, also when the data has moved on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pipeline_lib.errors import BadData
from pipeline_lib.inspect.embedding import find_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import describe
from pipeline_lib.pixels import PixelRules, shrink_to
from pipeline_lib.pixels.pixelate import Pixelation
from pipeline_lib.registry.closure import Closure
from pipeline_lib.registry.dvc_cache import DvcCache
from pipeline_lib.report.answers import doubt_of
from pipeline_lib.report.copies import verified_bytes
from pipeline_lib.report.thumbnails import SIDE_PX, visible_pixels
from pipeline_lib.sources.paths_in_source import path_in_source
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS

MOST = 5
ABOUT = [
    "image_id",
    "source",
    "sha256",
    "class_id",
    "split",
    "decision",
    "label_issue",
    "label_suggested",
]
PLACE = ["image_id", "sha256", "container", "offset_bytes", "size_bytes"]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    """A training image. likeness: cosine of the features, up to 1. label: its class in words; doubt: what it looks like."""

    image_id: str
    sha256: str
    path: str
    label: str
    doubt: str
    likeness: float


@dataclass(frozen=True)
class TrainingImages:
    """Those of a version, with their features. kinds: of features -> rows of `rows`; vectors: kind -> [n, D], unit length."""

    rows: pd.DataFrame
    kinds: Mapping[str, npt.NDArray[np.int64]]
    vectors: Mapping[str, Vectors]
    names: Mapping[str, str]
    params: InspectParams
    origin: Path
    cache: DvcCache
    closure: Closure

    def nearest(self, image: Path) -> tuple[Neighbour, ...]:
        """The most like an image file, the likest first; none where no training image has features of its kind.

        Raises as `find_embedding` does, and BadData for a file that `inspect` would refuse.
        """
        examined = examine(str(image), image.read_bytes(), self.params)
        described = describe(examined, find_embedding(self.params, self.origin))
        if not described:
            raise BadData("not a usable image", file=image, remedy="name another one")
        rows = self.kinds.get(described["kind"])
        if rows is None:
            return ()
        likeness = self.vectors[described["kind"]] @ _of_unit_length(described["vector"][None])[0]
        best = np.argsort(-likeness, kind="stable")[:MOST]
        found: list[dict[Any, Any]] = self.rows.iloc[rows[best]].to_dict("records")
        return tuple(
            self._neighbour(row, float(one)) for row, one in zip(found, likeness[best], strict=True)
        )

    def thumbnail(
        self, neighbour: Neighbour, rules: PixelRules, pixelation: Pixelation | None
    ) -> Image.Image:
        """A small image of one of them. Raises SourceMissing and OutputDamaged."""
        members = MEMBERS.read(self.cache.object(self.closure.md5_of("members")), PLACE)
        row = members[members["image_id"] == neighbour.image_id].to_dict("records")[0]
        containers = self.cache.listing(self.closure.md5_of("shards"))
        data = verified_bytes(self.cache.object(containers[row["container"]]), row)
        pixels_HWC = visible_pixels(data, rules, pixelation)
        return Image.fromarray(shrink_to(pixels_HWC, short_side_px=SIDE_PX))

    def _neighbour(self, row: Mapping[Any, Any], likeness: float) -> Neighbour:
        doubt = doubt_of(row, self.names)
        label = self.names.get(row["class_id"], row["class_id"])
        path = path_in_source(row["image_id"], row["source"])
        return Neighbour(row["image_id"], row["sha256"], path, label, doubt, likeness)


def training_images(closure: Closure, cache: DvcCache, origin: Path) -> TrainingImages:
    """Read a version's training images. origin: the repository, to which weights of features may be relative.

    Raises SourceMissing when the cache has lost a table.
    """
    manifest = MANIFEST.read(cache.object(closure.md5_of("manifest")), ABOUT)
    manifest = manifest[(manifest["decision"] == "keep") & (manifest["split"] == "train")]
    files = [cache.object(md5) for md5 in cache.listing(closure.md5_of("features")).values()]
    features = pd.concat([FEATURES.read(file, ["image_id", "kind", "vector"]) for file in files])
    rows = manifest.merge(features, on="image_id", validate="one_to_one").reset_index(drop=True)
    kinds = {str(kind): np.asarray(at) for kind, at in rows.groupby("kind").indices.items()}
    vectors = {
        kind: _of_unit_length(np.stack(rows["vector"].iloc[at].to_list()).astype(np.float32))
        for kind, at in kinds.items()
    }
    classes = read_classes(cache.object(closure.md5_of("classes")))
    names = dict(zip(classes["class_id"], classes["name"], strict=True))
    written = closure.stages["inspect"].params.get("inspect", {})
    known = {key: value for key, value in written.items() if key in InspectParams.model_fields}
    params = InspectParams.model_validate(
        known
    )  # what an earlier release had besides chose no features
    return TrainingImages(
        rows.drop(columns="vector"), kinds, vectors, names, params, origin, cache, closure
    )


def _of_unit_length(vectors_ND: Vectors) -> Vectors:
    unit_ND: Vectors = vectors_ND / np.maximum(
        np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12
    )
    return unit_ND
