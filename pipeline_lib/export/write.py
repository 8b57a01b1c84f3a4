"""Write the folder that `perennial export` gives away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline_lib.errors import UsageError
from pipeline_lib.export.described import description, onnx_with, safetensors_with
from pipeline_lib.export.judged import Batch, Form, judged
from pipeline_lib.export.smaller import eight_bit, half
from pipeline_lib.files.atomic import atomic_folder, remove_tree
from pipeline_lib.networks.exported import ONNX_FILE
from pipeline_lib.networks.model_file import ModelFile, read_model_file
from pipeline_lib.networks.saved_weights import WEIGHTS_FILE
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Registry, Version
from pipeline_lib.settings import Settings
from pipeline_lib.tables.selection import SELECTION

FORMS_FILE = "export.json"
SERVE_FILE = "serve.py"
CALIBRATION_IMAGES = 512  # their ranges of activations have settled: docs/export.md
BATCH = 64


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
    smaller: Sequence[str],
) -> Exported:
    """Write model.onnx, model.safetensors, serve.py and the smaller forms that the gate passes; all or nothing.

    smaller: any of fp16, int8. Raises UsageError for a folder that holds something, SourceMissing for what is no longer
    in DVC's cache, the images too where smaller forms are asked for.
    """
    check_target(folder)
    received = registry.export_folder(version)
    about = read_model_file(received)
    metadata = description(about, version=f"{version.name}/{version.number}", md5=version.model_md5)
    model = (received / ONNX_FILE).read_bytes()
    forms: tuple[Form, ...] = ()
    passed: dict[str, bytes] = {}
    if smaller:
        with _images_of(version, about, registry, settings) as images:
            made = {
                name: half(model)
                if name == "fp16"
                else eight_bit(model, (batch.images_BHWC for batch in images.calibration()))
                for name in smaller
            }
            forms = judged(
                {"fp32": model, **made},
                images.test(),
                classes=about.classes,
                version=version.number,
                params=params,
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


def _file_of(form: str) -> str:
    stem, dot, ending = ONNX_FILE.partition(".")
    return f"{stem}.{form}{dot}{ending}"


@contextmanager
def _images_of(
    version: Version, about: ModelFile, registry: Registry, settings: Settings
) -> Iterator[_Images]:
    """The images that a version was trained and tested on, taken from DVC's cache for a while."""
    folder = registry.state_folder / "export" / version.model_md5.removesuffix(".dir")
    try:
        data = {
            role: registry.cache.materialise(version.closure.md5_of(role), folder / role)
            for role in ("betons", "selection")
        }
        yield _Images(data["betons"], data["selection"], about.side_px, settings)
    finally:
        remove_tree(folder)


@dataclass(frozen=True)
class _Images:
    betons: Path
    selection: Path
    side_px: int
    settings: Settings

    def test(self) -> Iterator[Batch]:
        """All test images."""
        return self._read("test", most=None)

    def calibration(self) -> Iterator[Batch]:
        """Training images, spread over all of them."""
        return self._read("train", most=CALIBRATION_IMAGES)

    def _read(self, split: str, *, most: int | None) -> Iterator[Batch]:
        from pipeline_lib.loader import open_still  # with torch

        rows = SELECTION.read(self.selection / f"{split}.parquet")
        if most is not None and len(rows) > most:
            rows = rows.iloc[np.linspace(0, len(rows) - 1, most).astype(int)].reset_index(drop=True)
        loader = open_still(
            self.betons,
            rows,
            batch_size=BATCH,
            side_px=self.side_px,
            kind=self.settings.loader,
            workers=self.settings.worker_count(),
        )
        with closing(loader):
            for batch in loader.epoch(0):
                class_ids = rows["class_id"].iloc[batch.positions_B.numpy()].tolist()
                yield Batch(batch.images_BHWC.numpy().copy(), class_ids)
