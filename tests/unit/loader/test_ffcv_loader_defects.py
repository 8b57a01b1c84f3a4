"""Each defect of FFCV's Loader, seen in FFCV itself, and that it cannot reach whoever calls `open_loader`.

docs/ffcv.md lists them all; what other files test is linked there.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.errors import OutputDamaged
from pipeline_lib.loader.open import Kind
from pipeline_lib.pixels import PixelRules, decode
from pipeline_lib.tables.beton_index import BETON_INDEX
from testing.damaged_betons import SIDE_PX, encoded, noise, put_size, put_stream, smooth

from .conftest import Betons, digest, joined, one_epoch, write_beton

ROOT = Path(__file__).parents[3]
KINDS = [kind for kind in get_args(Kind) if kind != "auto"]
OURS = [kind for kind in KINDS if kind != "ffcv"]  # FFCV's own Loader compiles, and takes memory


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What FFCV's own loader does: see stock_ffcv_loader.py."""
    command = [
        sys.executable,
        "-m",
        "tests.unit.loader.stock_ffcv_loader",
        str(tmp_path_factory.mktemp("stock")),
    ]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("torch threads after import", 1),
        ("seed 0 epoch 1 is seed 1 epoch 0", True),
        ("one image more keeps the order", False),
        ("waits after an error", True),
        ("threads after five breaks", 5),
        ("rows kept of 50 in a list", 10),
        ("rows seen of 5 in batches of 2", 4),
        ("rows of 5 in two ranks", [0, 0, 1, 2, 3, 4]),
        ("length of a mask of row 7", 50),
        ("rows 15 to 19 of 10 to 19", [5, 6, 7, 8, 9]),
        ("threads of a loader for two", [2, 1]),
        ("error of 10000 workers", "ValueError"),
        ("shape of a last batch of one", []),
        ("rows shown for row 30", [25]),
        ("error of opening a cut table", ""),
        ("type after NormalizeImage(float16)", "torch.int16"),
        ("scratch for 2 images of 768 bytes", 5 * 2 * 768),
    ],
)
def test_ffcv_itself_has_the_defect(what: str, found: object, stock: dict[str, Any]) -> None:
    assert stock[what] == found


@pytest.fixture
def jpegs(tmp_path: Path) -> Betons:
    """Ten JPEGs of noise in one beton, with room for other streams in their places."""
    images = {f"jpg/{number}.png": noise(number) for number in range(10)}
    write_beton(tmp_path, "jpg", images, ConvertParams(mode="jpg", jpeg_quality=100))
    return Betons(tmp_path / "betons", images)


DAMAGED: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encoded(smooth(1)[::8, ::8], "PNG"),
    "zeroed head": lambda: bytes(200) + encoded(smooth(1))[200:],
    "zeros in the scan": lambda: encoded(smooth(1))[:900] + bytes(40) + encoded(smooth(1))[940:],
    "cut in the middle": lambda: encoded(smooth(1))[:-300],
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_no_sound_rgb_jpeg_are_named_and_never_shown(
    kind: Any, damage: str, jpegs: Betons
) -> None:
    """FFCV shows the image that was in the same place five batches ago."""
    put_stream(jpegs.folder / "jpg.beton", 7, DAMAGED[damage]())

    with pytest.raises(OutputDamaged, match=r"jpg\.beton: .*row 7, jpg/7\.png"):
        one_epoch(jpegs.open(kind=kind, batch_size=1, augmentation=None, side_px=SIDE_PX))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cmyk_jpeg_is_named_or_shown_as_the_pixel_policy_shows_it(
    kind: Any, jpegs: Betons
) -> None:
    """`convert` stores none; simplejpeg reads it rightly, libjpeg refuses it, and FFCV shows another image."""
    stream = encoded(Image.fromarray(smooth(1)).convert("CMYK"))
    put_stream(jpegs.folder / "jpg.beton", 7, stream)

    try:
        loader = jpegs.open(
            kind=kind, batch_size=1, augmentation=None, side_px=SIDE_PX, shuffle=False
        )
        shown = one_epoch(loader).images_BHWC[list(loader.image_ids).index("jpg/7.png")].numpy()
    except OutputDamaged as error:
        assert "row 7, jpg/7.png" in str(error)
    else:
        assert np.abs(shown.astype(int) - decode(stream, PixelRules()).pixels_HWC).max() <= 1


@pytest.mark.parametrize("sides", [(32, 128), (60, 64), (64, 65), (128, 128)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_of_another_size_than_recorded_is_named_and_not_stretched(
    kind: Any, sides: tuple[int, int], jpegs: Betons
) -> None:
    put_size(jpegs.folder / "jpg.beton", 7, height=sides[0], width=sides[1])

    with pytest.raises(OutputDamaged, match=r"jpg\.beton: .*row 7, jpg/7\.png"):
        one_epoch(jpegs.open(kind=kind, batch_size=4, augmentation=None, side_px=SIDE_PX))


@pytest.mark.parametrize("kind", KINDS)
def test_a_last_batch_of_one_is_a_batch(kind: Any, betons: Betons) -> None:
    last = list(betons.open("small", kind=kind, batch_size=29, augmentation=None).epoch(0))[-1]

    assert last.images_BHWC.shape == (1, 32, 32, 3)
    assert last.labels_B.shape == last.weights_B.shape == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_there_may_be_more_workers_than_cores_or_images(kind: Any, betons: Betons) -> None:
    many = 4 * (os.cpu_count() or 1) + 20

    first, second = (
        one_epoch(betons.open("raw", kind=kind, augmentation=None, workers=workers))
        for workers in (1, many)
    )

    assert digest(first) == digest(second)


@pytest.mark.parametrize("kind", KINDS)
def test_loaders_with_other_numbers_of_workers_do_not_disturb_each_other(
    kind: Any, betons: Betons
) -> None:
    threads = torch.get_num_threads()
    first, second = (
        betons.open("raw", kind=kind, augmentation=None, workers=workers) for workers in (1, 3)
    )

    pairs = list(zip(first.epoch(0), second.epoch(0), strict=True))

    assert digest(joined([one for one, _ in pairs])) == digest(
        joined([other for _, other in pairs])
    )
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("kind", KINDS)
def test_betons_may_be_replaced_while_they_are_read(kind: Any, own_betons: Betons) -> None:
    """Files are replaced by rename and never cut short, which would end the process that has them mapped (SIGBUS)."""
    loader = own_betons.open("jpg", kind=kind, batch_size=2, augmentation=None)
    before = digest(one_epoch(loader))

    path = own_betons.folder / "jpg.beton"
    shutil.copy(own_betons.folder / "raw.beton", path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)

    assert digest(one_epoch(loader)) == before


PROGRAM = """
import resource, sys
from pathlib import Path
import pandas as pd
from numba.core import event
from pipeline_lib.loader import Augmentation, open_loader
folder, selection, kind, spare = Path(sys.argv[1]), pd.read_pickle(sys.argv[2]), sys.argv[3], int(sys.argv[4])
options = dict(batch_size=64, side_px=32, shuffle=True, seed=7, drop_last=False, kind=kind, workers=1)
with event.install_recorder("numba:compile") as compiled:
    loader = open_loader(folder, selection, augmentation=Augmentation(scale_min=0.3, flip=True), **options)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
    print(sum(len(batch.positions_B) for batch in loader.epoch(0)), len(compiled.buffer))
"""


@pytest.mark.parametrize("kind", OURS)
def test_nothing_is_compiled_and_one_large_image_takes_its_own_memory_only(
    kind: str, tmp_path: Path
) -> None:
    """FFCV compiles for 5 s and more, and keeps the largest image's pixels times batch times 5: here 3 GB."""
    images = {
        f"jpg/{number}.png": smooth(number, *((1500, 2000) if number == 3 else (40, 40)))
        for number in range(64)
    }
    write_beton(tmp_path, "jpg", images, ConvertParams(mode="jpg"))
    Betons(tmp_path / "betons", images).selection().to_pickle(tmp_path / "selection")
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(tmp_path / "betons"),
        str(tmp_path / "selection"),
        kind,
        "700000000",
    ]

    # threads reserve memory each, and their number is that of the cores
    few = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

    ended = subprocess.run(
        command, cwd=ROOT, env=few, capture_output=True, text=True, check=False, timeout=600
    )

    assert ended.stderr == ""
    assert ended.stdout.split() == ["64", "0"]


def test_ffcvs_tables_of_pages_are_never_built(
    betons: Betons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python set per page and an entry per image: 2 s of CPU and 600 MB for ImageNet."""
    from pipeline_lib.loader import ffcv_loader  # isort: skip  # before ffcv: it keeps torch's threads as they are

    from ffcv.memory_managers.base import MemoryManager

    def built(*_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(MemoryManager, "__init__", built)

    assert issubclass(ffcv_loader.OSCacheManager, MemoryManager)
    assert len(one_epoch(betons.open(kind="ffcv", augmentation=None)).positions_B) == 70


def test_a_damaged_index_is_refused_where_ffcv_would_read_beyond_its_tables(
    own_betons: Betons,
) -> None:
    path = own_betons.folder / "raw.index.parquet"
    index = BETON_INDEX.read(path)
    BETON_INDEX.write(index.assign(row=[*range(len(index) - 1), 10**6]), path)

    message = r"raw\.beton: .* do not belong together \(found: 20 images, rows 0 to 1000000 in the index\)\. Remedy: "
    with pytest.raises(OutputDamaged, match=message):
        own_betons.open("raw")


def imported_from_ffcv(path: Path) -> set[str]:
    """The names that a module takes from ffcv."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    named = {
        name.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ffcv"
        for name in node.names
    }
    return named | {name for name in plain if name.split(".")[0] == "ffcv"}


def test_one_module_imports_ffcv_and_takes_nothing_that_works_on_a_gpu_or_writes() -> None:
    from pipeline_lib.loader import ffcv_loader

    product = [
        path
        for folder in ("pipeline_lib", "tasks", "flows")
        for path in (ROOT / folder).rglob("*.py")
    ]

    importing = {
        str(path.relative_to(ROOT)): names
        for path in product
        if (names := imported_from_ffcv(path))
    }

    assert list(importing) == ["pipeline_lib/loader/ffcv_loader.py"]
    kept_out = {
        "DatasetWriter",
        "NormalizeImage",
        "ToDevice",
        "ToTorchImage",
        "Squeeze",
        "OrderOption",
    }
    assert importing["pipeline_lib/loader/ffcv_loader.py"] & kept_out == set()
    assert not vars(ffcv_loader)["epoch_iterator"].IS_CUDA
