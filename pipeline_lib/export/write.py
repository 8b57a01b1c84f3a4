"""Write the folder that `perennial export` gives away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline_lib.errors import UsageError
from pipeline_lib.export.described import description, onnx_with, safetensors_with
from pipeline_lib.export.judged import Batch, Form, judged
from pipeline_lib.export.smaller import answers_alone, eight_bit, half
from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.networks.exported import ONNX_FILE
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Registry, Version
from pipeline_lib.settings import Settings

if TYPE_CHECKING:
    from pipeline_lib.export.images import VersionImages

FORMS_FILE = "export.json"
SERVE_FILE = "serve.py"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True)
class Smaller:
    """The smaller forms that are asked for. prune: share of channels to cut, 0..1; epochs: of fine-tuning after it."""

    fp16: bool = False
    int8: bool = False
    prune: float = 0.0
    epochs: int = 0

    def __bool__(self) -> bool:
        return self.fp16 or self.int8 or self.prune > 0


@dataclass(frozen=True)
class Exported:
    """What was written. files: in DIR. forms: the model and its smaller forms, as measured; empty if none was asked."""

    files: tuple[str, ...]
    forms: tuple[Form, ...]


def check_target(folder: Path) -> None:
    """Raise UsageError unless the folder is absent or empty."""
    if folder.is_symlink() or (
        folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    ):
        raise UsageError(
            "there is something already", file=folder, remedy="name a new folder with --to"
        )


def write_export(
    version: Version,
    folder: Path,
    *,
    registry: Registry,
    settings: Settings,
    params: RegisterParams,
    smaller: Smaller,
) -> Exported:
    """Write model.onnx, model.safetensors, serve.py and the smaller forms that the gate passes; all or nothing.

    Raises UsageError for a folder that holds something, SourceMissing for what is no longer in DVC's cache, the images
    too where smaller forms are asked for, BadData for a network that cannot be pruned.
    """
    check_target(folder)
    received = registry.export_folder(version)
    about = read_model_file(received)
    metadata = description(about, version=f"{version.name}/{version.number}", md5=version.model_md5)
    model = (received / ONNX_FILE).read_bytes()
    forms: tuple[Form, ...] = ()
    passed: dict[str, bytes] = {}
    if smaller:
        from pipeline_lib.export.images import images_of  # with torch

        with images_of(version, about, registry, settings) as images:
            made = {"fp32": model, **_made(model, received, images, smaller)}
            forms = judged(
                made, images.test(), classes=about.classes, version=version.number, params=params
            )
        passed = {form.name: made[form.name] for form in forms[1:] if form.refusal is None}

    with atomic_folder(folder) as partial:
        (partial / ONNX_FILE).write_bytes(onnx_with(model, metadata))
        (partial / WEIGHTS_FILE).write_bytes(
            safetensors_with((received / WEIGHTS_FILE).read_bytes(), metadata)
        )
        for name, data in passed.items():
            (partial / _file_of(name)).write_bytes(onnx_with(data, metadata | {"form": name}))
        shutil.copyfile(Path(__file__).with_name(SERVE_FILE), partial / SERVE_FILE)
        if forms:
            text = json.dumps([form.as_dict() for form in forms], indent=1) + "\n"
            (partial / FORMS_FILE).write_text(text, encoding="utf-8")
        files = tuple(sorted(file.name for file in partial.iterdir()))
    return Exported(files, forms)


def _made(
    model: bytes, received: Path, images: VersionImages, smaller: Smaller
) -> dict[str, bytes]:
    """Each form that is asked for; a pruned model in 8 bits too if both are."""
    made: dict[str, bytes] = {}
    answers = answers_alone(model)
    if smaller.fp16:
        made["fp16"] = half(answers)
    if smaller.int8:
        made["int8"] = eight_bit(answers, _pixels(images.calibration()))
    if smaller.prune:
        from pipeline_lib.export.pruned import pruned

        with images.training_views() as views:
            made["pruned"] = pruned(
                received,
                images.about,
                views,
                share=smaller.prune,
                epochs=smaller.epochs,
                progress_every_s=images.settings.progress_every_s,
            )
        if smaller.int8:
            made["pruned-int8"] = eight_bit(made["pruned"], _pixels(images.calibration()))
    return made


def _pixels(batches: Iterator[Batch]) -> Iterator[npt.NDArray[np.uint8]]:
    return (batch.images_BHWC for batch in batches)


def _file_of(form: str) -> str:
    stem, dot, ending = ONNX_FILE.partition(".")
    return f"{stem}.{form}{dot}{ending}"
