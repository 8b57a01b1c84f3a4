"""NVIDIA DALI on the CPU: decodes the crop only, in threads of its own."""

from __future__ import annotations

from pathlib import Path

from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.plugin.pytorch import DALIGenericIterator, LastBatchPolicy

from benchmarks.support.competitors import BATCH_SIZE, RATIO, SCALE, SIDE_PX, WORKERS, Batches


def open_batches(folder: Path, option: str) -> Batches:
    """The JPEG files themselves."""
    pipeline = views(
        str(folder), batch_size=BATCH_SIZE, num_threads=WORKERS, device_id=None, seed=0
    )
    last = LastBatchPolicy.DROP
    batches = DALIGenericIterator(
        [pipeline], ["image", "label"], reader_name="files", last_batch_policy=last, auto_reset=True
    )
    return lambda epoch: (outputs[0]["image"] for outputs in batches)


@pipeline_def
def views(file_root: str):
    """Random views of the files."""
    jpegs, labels = fn.readers.file(file_root=file_root, random_shuffle=True, name="files")
    crops = fn.decoders.image_random_crop(
        jpegs, device="cpu", random_area=SCALE, random_aspect_ratio=RATIO
    )
    images = fn.resize(
        crops, size=(SIDE_PX, SIDE_PX), interp_type=types.INTERP_LINEAR, antialias=True
    )
    return fn.flip(images, horizontal=fn.random.coin_flip()), labels
