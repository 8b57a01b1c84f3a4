"""Tasks for worker processes: they must be importable there."""

import os
import signal
import time
from collections.abc import Callable

from pipeline_lib.errors import BadData


def square(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    return number * number


def be_killed_by_three(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number


def object_to_three(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    if number == 3:
        raise BadData("a bad file", file="x.jpg", value="3", remedy="remove it")
    return number


def fail_at_three(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    return 1 // (number - 3)


def pid(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    return os.getpid()


def sleep_for_ever(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    time.sleep(600)
    return number


def leave_at_three(number: int, at: Callable[[str], None]) -> int:
    at(f"picture {number}")
    if number == 3:
        os._exit(7)
    return number
