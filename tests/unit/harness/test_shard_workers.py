"""Shards are worked in processes; what goes wrong there is told in one line that names the shard."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipeline_lib.errors import BadData, CodeFailed, Interrupted
from pipeline_lib.harness.shard_workers import At, Step, shared_name, work_on_shards
from tests.unit.harness import worker_tasks

UNITS = {f"shard-{number}": number for number in range(7)}


def work(
    task: Callable[[Any, At], Any],
    units: Mapping[str, Any] = UNITS,
    *,
    workers: int = 2,
    step: Step = lambda count: None,
    spare: Callable[[Any, str, str], Any] | None = None,
    **limit: Any,
) -> list[tuple[str, Any]]:
    return list(work_on_shards(task, units, workers=workers, step=step, spare=spare, **limit))


def test_every_shard_is_done_once() -> None:
    done = work(worker_tasks.square)

    assert sorted(done) == [(f"shard-{number}", number * number) for number in range(7)]


def test_the_work_is_done_in_other_processes() -> None:
    pids = {pid for _, pid in work(worker_tasks.pid)}

    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_one_shard_needs_no_other_process_when_nothing_from_outside_is_decoded() -> None:
    assert work(worker_tasks.pid, {"only": 1}, workers=8, image_cpu_s=0) == [("only", os.getpid())]
    [(_, pid)] = work(worker_tasks.pid, {"only": 1}, workers=8)
    assert pid != os.getpid()


def test_no_shards_are_no_work() -> None:
    assert work(worker_tasks.pid, {}, workers=8) == []


def test_a_killed_worker_is_named_with_its_image_and_leaves_none_behind() -> None:
    message = r"^shard shard-3, image 3: a worker process was killed \(found: SIGKILL\)\. Remedy: .*PERENNIAL_WORKERS"

    others = children_of(os.getpid())

    with pytest.raises(Interrupted, match=message):
        work(worker_tasks.be_killed_by_three)

    assert set(children_of(os.getpid())) <= set(others)


def test_a_worker_that_leaves_is_named_with_its_image_and_exit_code() -> None:
    with pytest.raises(
        Interrupted,
        match=r"^shard shard-3, image 3: .* \(found: exit code 7\)\. .*finished work is kept$",
    ):
        work(worker_tasks.leave_at_three)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_ends_its_worker_twice_is_passed_over_by_name_and_the_rest_is_done(
    workers: int,
) -> None:
    told, others = [], children_of(os.getpid())

    def without(numbers: list[int], image_id: str, cause: str) -> list[int]:
        told.append((image_id, cause))
        return [number for number in numbers if f"image {number}" != image_id]

    units = {"a": [1, 2], "b": [6, 7, 8], "c": [3], "d": [7]}
    done = dict(work(worker_tasks.be_killed_by_seven, units, workers=workers, spare=without))

    assert done == {"a": [1, 2], "b": [6, 8], "c": [3], "d": []}
    assert told == [("image 7", "SIGSEGV")] * 2
    assert set(children_of(os.getpid())) <= set(others)


@pytest.mark.parametrize("name", ["x" * 5000, "é" * 3000, "y" * 100_000])
def test_an_image_of_any_length_of_name_is_passed_over(name: str) -> None:
    """Two names that differ only behind the 4,095 bytes that are shared with the parent."""
    told = []

    def without(names: list[str], shared: str, cause: str) -> list[str]:
        told.append(shared)
        return [one for one in names if shared_name(one) != shared]

    done = dict(
        work(
            worker_tasks.be_killed_by_the_longer_name,
            {"a": [name + "a", name + "b"]},
            spare=without,
        )
    )

    assert done == {"a": [name + "a"]}
    assert told == [shared_name(name + "b")]
    assert len(told[0].encode()) <= 4095


def test_an_image_that_comes_again_after_it_was_passed_over_ends_the_work() -> None:
    def no_help(numbers: list[int], image_id: str, cause: str) -> list[int]:
        return numbers

    with pytest.raises(
        Interrupted, match=r"^shard a, image 7: a worker process was killed \(found: SIGSEGV\)"
    ):
        work(worker_tasks.be_killed_by_seven, {"a": [7]}, spare=no_help)


def test_an_image_that_takes_too_much_processor_time_is_passed_over() -> None:
    def without(numbers: list[int], image_id: str, cause: str) -> list[int]:
        assert (image_id, cause) == ("image 7", "SIGPROF")
        return [number for number in numbers if number != 7]

    units = {"a": [6, 7, 8]}
    done = dict(
        work_on_shards(
            worker_tasks.work_for_ever_on_seven,
            units,
            workers=1,
            step=int,
            spare=without,
            image_cpu_s=0.3,
        )
    )

    assert done == {"a": [6, 8]}


def test_an_image_that_takes_too_much_processor_time_is_named_where_it_cannot_be_passed_over() -> (
    None
):
    with pytest.raises(
        Interrupted, match=r"^shard a, image 7: .*SIGPROF.*used more than 120 s of CPU time: remove"
    ):
        work(worker_tasks.work_for_ever_on_seven, {"a": [6, 7]}, workers=1, image_cpu_s=0.3)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_was_killed_once_costs_no_image(workers: int, tmp_path: Path) -> None:
    units = {"a": str(tmp_path / "a"), "b": str(tmp_path / "b")}

    done = dict(work(worker_tasks.be_killed_once, units, workers=workers, spare=never))

    assert done == units


def test_workers_that_die_again_and_again_at_other_images_end_the_work(tmp_path: Path) -> None:
    with pytest.raises(
        Interrupted, match=r"^shard a, image 4: a worker process was killed \(found: SIGKILL\)"
    ):
        work(worker_tasks.be_killed_anywhere, {"a": str(tmp_path)}, spare=never)


def test_a_worker_that_dies_before_any_image_ends_the_work() -> None:
    with pytest.raises(
        Interrupted, match=r"^shard only: a worker process was killed \(found: SIGKILL\)"
    ):
        work(worker_tasks.be_killed_before_any_image, {"only": 1}, spare=never)


def test_one_worker_with_a_spare_is_another_process_too() -> None:
    assert work(worker_tasks.pid, {"only": 1}, spare=never) != [("only", os.getpid())]


def test_a_users_error_arrives_whole() -> None:
    with pytest.raises(BadData, match=r"^x\.jpg: a bad file \(found: 3\)\. Remedy: remove it$"):
        work(worker_tasks.object_to_three)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_is_told_as_one_with_its_image_and_traceback(
    workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    message = (
        r"^shard shard-3, image 3: ZeroDivisionError in our code \(found: .*\)\. Remedy: report"
    )

    with pytest.raises(CodeFailed, match=message):
        work(worker_tasks.fail_at_three, workers=workers)

    assert "fail_at_three" in capfd.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_the_images_of_all_workers_are_counted(workers: int) -> None:
    counts: list[int] = []

    work(worker_tasks.square, workers=workers, step=counts.append)

    assert sum(counts) == 7
    assert min(counts) >= 1


def test_workers_end_when_their_parent_is_killed() -> None:
    program = (
        "from pipeline_lib.harness.shard_workers import work_on_shards\n"
        "from tests.unit.harness.worker_tasks import sleep_for_ever\n"
        "if __name__ == '__main__': list(work_on_shards(sleep_for_ever, {'a': 1, 'b': 2}, workers=2, step=print))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    workers = wait_for(
        lambda: [pid for pid in children_of(parent.pid) if "spawn_main" in command(pid)],
        lambda found: len(found) == 2,
    )

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    assert wait_for(lambda: [pid for pid in workers if command(pid)], lambda left: not left) == []


def never(unit: Any, image_id: str, cause: str) -> NoReturn:
    pytest.fail(f"{image_id} was passed over")


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if "resource_tracker" not in command(int(child))]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for(look: Callable[[], list[int]], enough: Callable[[list[int]], bool]) -> list[int]:
    deadline = time.monotonic() + 120
    while not enough(found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
