"""Both decoders on real betons: the contract they share, and how they fail."""

import logging
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_lib.errors import BadData, DependencyMissing, OutputDamaged
from pipeline_lib.loader import epoch_plan as plan
from pipeline_lib.loader import open_loader
from pipeline_lib.native.build import unusable
from pipeline_lib.pixels import centre_square

from .conftest import CROPS, EVERYTHING, KINDS, Betons, damage_jpeg, digest, joined, one_epoch


@pytest.mark.parametrize("prefix", ["small", "raw", "jpg"])
@pytest.mark.parametrize("augmentation", [None, CROPS, EVERYTHING])
def test_both_decoders_give_the_same_order_labels_weights_views_and_pixels(
    prefix: str, augmentation: Any, betons: Betons
) -> None:
    first, second = (
        one_epoch(betons.open(prefix, kind=kind, augmentation=augmentation), 3) for kind in KINDS
    )

    for name in ("images_BHWC", "labels_B", "weights_B", "positions_B"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_workers_changes_no_pixel(kind: Any, betons: Betons) -> None:
    assert (
        len({digest(one_epoch(betons.open(kind=kind, workers=workers))) for workers in (1, 2, 4)})
        == 1
    )


def test_epochs_and_seeds_differ_and_do_not_repeat_each_other(betons: Betons) -> None:
    seen = {
        digest(one_epoch(betons.open("small", seed=seed), epoch))
        for seed in (0, 1, 2)
        for epoch in (0, 1, 2)
    }

    assert len(seen) == 9


def test_any_epoch_can_be_asked_for_again(betons: Betons) -> None:
    """A resumed run starts at the epoch it was stopped in."""
    loader = betons.open()
    straight = [digest(one_epoch(loader, epoch)) for epoch in (0, 1)]

    assert digest(one_epoch(betons.open(), 1)) == straight[1]
    assert digest(one_epoch(loader, 0)) == straight[0]


def test_an_image_that_comes_reorders_and_changes_no_other(betons: Betons) -> None:
    options: dict[str, Any] = {
        "batch_size": 8,
        "side_px": 32,
        "augmentation": EVERYTHING,
        "shuffle": True,
    }
    options |= {"seed": 7, "drop_last": False, "kind": "native", "workers": 1}
    selection = betons.selection("raw")
    fewer = selection.drop(index=4)

    after = one_epoch(open_loader(betons.folder, selection, **options))
    before = one_epoch(open_loader(betons.folder, fewer, **options))

    kept = after.positions_B != 4
    after_ids = selection["image_id"].to_numpy()[after.positions_B[kept].numpy()]
    assert after_ids.tolist() == fewer["image_id"].to_numpy()[before.positions_B.numpy()].tolist()
    assert torch.equal(after.images_BHWC[kept], before.images_BHWC)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_sees_every_image_once_as_the_pixel_policy_shows_it(
    kind: Any, betons: Betons
) -> None:
    loader = betons.open("raw", kind=kind, augmentation=None, shuffle=False, batch_size=7)
    batch = one_epoch(loader)

    assert batch.positions_B.tolist() == list(range(20))
    for image_id, pixels in zip(loader.image_ids, batch.images_BHWC.numpy(), strict=True):
        assert np.array_equal(pixels, centre_square(betons.images[image_id], side_px=32))


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_is_seen_as_the_pixel_policy_shows_it_but_for_its_loss(
    kind: Any, betons: Betons
) -> None:
    loader = betons.open("jpg", kind=kind, augmentation=None, shuffle=False)

    for image_id, pixels in zip(
        loader.image_ids, one_epoch(loader).images_BHWC.numpy(), strict=True
    ):
        expected = centre_square(betons.images[image_id], side_px=32).astype(int)
        assert np.abs(pixels - expected).mean() < 4


@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_weights_are_those_of_the_image(kind: Any, betons: Betons) -> None:
    loader, selection = betons.open(kind=kind), betons.selection()

    batch = one_epoch(loader)

    rows = selection.iloc[batch.positions_B.tolist()]
    assert batch.labels_B.tolist() == rows["label"].tolist()
    assert batch.weights_B.tolist() == pytest.approx(rows["weight"].tolist())
    assert (batch.labels_B.dtype, batch.weights_B.dtype) == (torch.int64, torch.float32)


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [16, 14]), (True, [16])])
@pytest.mark.parametrize("kind", KINDS)
def test_only_drop_last_leaves_images_out(
    kind: Any, drop_last: bool, sizes: list[int], betons: Betons
) -> None:
    loader = betons.open("small", kind=kind, drop_last=drop_last)

    assert [len(batch.positions_B) for batch in loader.epoch(0)] == sizes
    assert len(loader) == len(sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_may_be_kept(kind: Any, betons: Betons) -> None:
    loader = betons.open("small", kind=kind, batch_size=3)
    copies, kept = [], []
    for batch in loader.epoch(0):
        copies.append(batch.images_BHWC.clone())
        kept.append(batch.images_BHWC)

    assert all(torch.equal(*pair) for pair in zip(kept, copies, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_may_run_at_the_same_time(kind: Any, betons: Betons) -> None:
    loader = betons.open(kind=kind, batch_size=8)
    pairs = list(zip(loader.epoch(0), loader.epoch(1), strict=True))

    assert digest(joined([pair[0] for pair in pairs])) == digest(one_epoch(loader, 0))
    assert digest(joined([pair[1] for pair in pairs])) == digest(one_epoch(loader, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_an_epoch_early_leaves_no_thread_behind(kind: Any, betons: Betons) -> None:
    loader = betons.open(kind=kind, batch_size=4)
    before = threading.active_count()

    for epoch in range(20):
        for _ in loader.epoch(epoch):
            break

    assert threading.active_count() <= before


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_does_not_decode_is_named_at_once(kind: Any, own_betons: Betons) -> None:
    """FFCV itself shows another image's pixels, torchvision grey ones."""
    image_id = damage_jpeg(own_betons, 5)
    before, seen = threading.active_count(), 0

    message = rf"jpg\.beton: an image in the beton is damaged \(found: row 5, {image_id}\)\. Remedy: remove the file"
    with pytest.raises(OutputDamaged, match=message):
        loader = own_betons.open("jpg", batch_size=4, kind=kind, shuffle=False)
        for _ in loader.epoch(0):
            seen += 1

    assert (
        seen <= list(loader.image_ids).index(image_id) // 4
    )  # no batch after those before its own
    assert threading.active_count() <= before


@pytest.mark.parametrize("kind", KINDS)
def test_any_error_while_decoding_reaches_the_caller(
    kind: Any, betons: Betons, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError("no more")

    loader = betons.open(kind=kind)
    monkeypatch.setattr(plan, "draw_views", broken)

    with pytest.raises(MemoryError, match="no more"):
        one_epoch(loader)


def test_a_selected_image_that_no_beton_holds_is_named(betons: Betons) -> None:
    stranger = pd.DataFrame(
        {"image_id": ["raw/1.png", "who/1.png", "who/2.png"], "label": 0, "weight": 1.0}
    )

    with pytest.raises(
        BadData,
        match=r"selected images are in no beton \(found: who/1\.png and 1 more\)\. Remedy: run",
    ):
        open_loader(
            betons.folder, stranger, batch_size=2, side_px=32, augmentation=None, shuffle=False, seed=0,
            drop_last=False, kind="python", workers=1,
        )  # fmt: skip


@pytest.mark.parametrize(("prefix", "drop_last"), [("nothing", False), ("small", True)])
def test_a_selection_that_gives_no_batch_is_refused(
    prefix: str, drop_last: bool, betons: Betons
) -> None:
    with pytest.raises(
        BadData,
        match=r"too few images for one batch \(found: \d+ images, batches of 64\)\. Remedy: lower",
    ):
        betons.open(prefix, batch_size=64, drop_last=drop_last)


def test_a_folder_without_betons_is_told(betons: Betons, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no betons there\. Remedy: run `dvc repro convert`"):
        Betons(tmp_path, betons.images).open()


def test_a_truncated_beton_is_refused_before_training(own_betons: Betons) -> None:
    path = own_betons.folder / "raw.beton"
    path.write_bytes(path.read_bytes()[:-24])

    with pytest.raises(OutputDamaged, match=r"raw\.beton: a beton is unfinished or ends early"):
        own_betons.open()


def test_the_index_of_another_beton_is_refused(own_betons: Betons) -> None:
    """Rows beyond the end would be a segmentation fault."""
    shutil.copy(own_betons.folder / "raw.beton", own_betons.folder / "small.beton")

    with pytest.raises(
        OutputDamaged,
        match=r"small\.beton: a beton and its index do not belong together \(found: 20 im",
    ):
        own_betons.open("small")


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot compile the C decoder."""

    def fail() -> None:
        raise unusable("no C compiler")

    monkeypatch.setattr("pipeline_lib.loader.open.load", fail)


@pytest.mark.usefixtures("no_compiler")
def test_without_the_c_decoder_auto_says_so_and_takes_the_python_one(
    betons: Betons, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    loader = betons.open(kind="auto")

    assert loader.kind == "python"
    assert [record.getMessage() for record in caplog.records] == [
        "the C decoder cannot be used (no C compiler): loader `python` reads the betons, same images, slower"
    ]


@pytest.mark.usefixtures("no_compiler")
def test_without_the_c_decoder_asking_for_it_is_an_error(betons: Betons) -> None:
    with pytest.raises(
        DependencyMissing,
        match=r"C decoder cannot be used \(found: no C compiler\).*PERENNIAL_LOADER=python",
    ):
        betons.open(kind="native")


def test_auto_takes_the_c_decoder_where_it_can(betons: Betons) -> None:
    assert betons.open(kind="auto").kind == "native"


SCRIPT = """
import hashlib, json, sys, torch
import pandas as pd
from pathlib import Path
from pipeline_lib.loader import Augmentation, open_loader
everything = Augmentation(**json.loads(sys.argv[3]))
torch.set_num_threads(3)
for kind in ("python", "native"):
    loader = open_loader(Path(sys.argv[1]), pd.read_pickle(sys.argv[2]), batch_size=16, side_px=32, kind=kind,
                         augmentation=everything, shuffle=True, seed=7, drop_last=False, workers=1)
    batches = list(loader.epoch(0))
    images, positions = torch.cat([b.images_BHWC for b in batches]), torch.cat([b.positions_B for b in batches])
    print(hashlib.sha256(images.numpy().tobytes() + positions.numpy().tobytes()).hexdigest())
    print(torch.get_num_threads(), bool({"ffcv", "numba"} & set(sys.modules)))
"""


def test_another_process_sees_the_same_bytes_in_silence_without_ffcv_and_keeps_torchs_threads(
    betons: Betons, tmp_path: Path
) -> None:
    betons.selection("raw").to_pickle(tmp_path / "selection")
    command = [sys.executable, "-c", SCRIPT, str(betons.folder), str(tmp_path / "selection")]
    command.append(EVERYTHING.model_dump_json())

    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False
    )

    expected = digest(one_epoch(betons.open("raw")))
    assert ended.stderr == ""
    assert ended.stdout.split() == [expected, "3", "False", expected, "3", "False"]
