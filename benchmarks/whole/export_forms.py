"""The forms that `perennial export` writes, of models of real projects: accuracy, agreement, CPU time, size.

    python -m benchmarks.whole.export_forms digits=FOLDER clothing=FOLDER

Each FOLDER is a finished project (`make demo`; `perennial init` and `dvc repro`), whose champion is exported with
`--fp16 --int8 --prune 0.3`. Beside it: how often 8 bits answer as the model does, by the number of images they were
calibrated on. Writes benchmarks/results/export_forms.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.export import images as export_images
from pipeline_lib.export.images import images_of
from pipeline_lib.export.judged import judged
from pipeline_lib.export.smaller import eight_bit
from pipeline_lib.export.write import Smaller, write_export
from pipeline_lib.networks.exported import ONNX_FILE
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry.registry import load_registry
from pipeline_lib.settings import load_settings

CALIBRATED_ON = (16, 64, 256, 512, 1024)
ASKED = Smaller(fp16=True, int8=True, prune=0.3, epochs=5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.whole.export_forms", description=__doc__
    )
    parser.add_argument("projects", nargs="+", metavar="NAME=FOLDER")
    projects = [text.partition("=")[::2] for text in parser.parse_args().projects]
    rows = kept_rows("export_forms", but=[name for name, _ in projects])
    for name, folder in projects:
        rows += measure(name, Path(folder).resolve())
    print(write_results("export_forms", rows, also=("onnx", "onnxruntime", "torch-pruning")))


def measure(name: str, project: Path) -> Iterator[Row]:
    """All figures of one project's champion."""
    os.chdir(project)
    settings = load_settings(project)
    registry = load_registry(settings, project)
    version = registry.version("champion")
    params = RegisterParams()
    with tempfile.TemporaryDirectory() as temporary:
        exported = write_export(
            version,
            Path(temporary) / "out",
            registry=registry,
            settings=settings,
            params=params,
            smaller=ASKED,
        )
    for form in exported.forms:
        figures = asdict(form)
        yield row(name, f"{form.name}, size", "kB", [form.size_bytes / 1000])
        yield row(name, f"{form.name}, top-1", "%", [100 * form.top1])
        yield row(name, f"{form.name}, same answer", "%", [100 * form.agreement])
        yield row(name, f"{form.name}, largest difference", "probability", [form.max_abs_dp])
        yield row(name, f"{form.name}, refused", "0 or 1", [float(form.refusal is not None)])
        for n, ms in figures["cpu_ms"].items():
            yield row(name, f"{form.name}, CPU for {n}", "ms", [ms])
        print(name, form.name, form.as_dict())

    received = registry.export_folder(version)
    about = read_model_file(received)
    model = (received / ONNX_FILE).read_bytes()
    with images_of(version, about, registry, settings) as images:
        for n in CALIBRATED_ON:
            export_images.CALIBRATION_IMAGES = n
            pixels = [batch.images_BHWC for batch in images.calibration()]
            n_used = sum(map(len, pixels))
            made = {"fp32": model, "int8": eight_bit(model, pixels)}
            _, found = judged(
                made, images.test(), classes=about.classes, version=version.number, params=params
            )
            yield row(name, f"calibrated on {n_used}, same answer", "%", [100 * found.agreement])


if __name__ == "__main__":
    main()
