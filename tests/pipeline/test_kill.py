"""kill -9 leaves no process and no half-written file.

`python -m benchmarks.robustness.kill_nine` does it in every stage.
"""

from __future__ import annotations

from typing import Literal

from testing.checkout import Checkout
from testing.kill import Killed, kill_during

BUSY_S = 120.0  # tests may share their machine; benchmarks/robustness/kill_nine.py measures the promised five


def kill_at_work(
    line: Checkout, stage: str, *, victim: Literal["stage", "dvc"], after_s: float
) -> Killed:
    """Kill while the stage works; on a machine that was quicker, from nothing again and sooner."""
    while not (
        killed := kill_during(line, stage, victim=victim, after_s=after_s, grace_s=BUSY_S)
    ).hit:
        assert after_s > 0.01, f"{stage} cannot be killed at work"
        after_s /= 2
        line.forget_results()
    return killed


def test_from_nothing_and_after_kill_nine_of_a_stage_and_of_dvc_the_same_bytes_come_out(
    line: Checkout,
) -> None:
    before = line.out_hashes()
    (line.folder / "demo/out/plants.json").unlink()  # what only the scorecard may know
    line.forget_results()

    of_stage = kill_at_work(line, "inspect", victim="stage", after_s=1.5)
    of_its_dvc = kill_at_work(line, "inspect", victim="dvc", after_s=1)
    of_dvc = kill_at_work(line, "train", victim="dvc", after_s=4)
    after = line.repro("train")

    assert (of_stage.left, of_its_dvc.left, of_dvc.left) == ((), (), ())
    assert "train" in after.ran and "download" not in after.ran
    made = line.out_hashes()
    assert "line/train/weights" in made and made == {path: before[path] for path in made}


def test_a_killed_stage_is_named_in_the_last_lines(line: Checkout) -> None:
    line.set_param("train.epochs", "1000")  # it does not end by itself

    kill_during(line, "train", victim="stage", after_s=3, grace_s=BUSY_S)

    said = (line.folder.parent / "killed.log").read_text()
    assert "failed to reproduce 'train'" in said
