"""kill -9 leaves no process and no half-written file. `python -m benchmarks.kill_nine` does it in every stage."""

from __future__ import annotations

from tests.pipeline.checkout import Checkout
from tests.pipeline.kill import kill_during

BUSY_S = 30.0  # a machine that tests may have other work; benchmarks/kill_nine.py measures against the promised five


def test_from_nothing_and_after_kill_nine_of_a_stage_and_of_dvc_the_same_bytes_come_out(line: Checkout) -> None:
    before = line.out_hashes()
    (line.folder / "demo/out/plants.json").unlink()  # what only the scorecard may know
    line.forget_results()

    of_stage = kill_during(line, "inspect", victim="stage", after_s=1.5, grace_s=BUSY_S)
    of_its_dvc = kill_during(line, "inspect", victim="dvc", after_s=1, grace_s=BUSY_S)
    of_dvc = kill_during(line, "train", victim="dvc", after_s=4, grace_s=BUSY_S)
    after = line.repro("train")

    assert (of_stage.left, of_its_dvc.left, of_dvc.left) == ((), (), ())
    assert (of_stage.hit, of_its_dvc.hit, of_dvc.hit) == (True, True, True)
    assert "train" in after.ran and "download" not in after.ran
    made = line.out_hashes()
    assert "line/train/weights" in made and made == {path: before[path] for path in made}


def test_a_killed_stage_is_named_in_the_last_lines(line: Checkout) -> None:
    line.set_param("train.epochs", "30")

    kill_during(line, "train", victim="stage", after_s=3, grace_s=BUSY_S)

    said = (line.folder.parent / "killed.log").read_text()
    assert "failed to reproduce 'train'" in said
