"""Tasks for worker processes: they must be importable there."""

import faulthandler
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pipeline_lib.errors import BadData


def square(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    return number * number


def be_killed_by_three(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number


def object_to_three(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    if number == 3:
        raise BadData("a bad file", file="x.jpg", value="3", remedy="remove it")
    return number


def fail_at_three(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    return 1 // (number - 3)


def pid(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    return os.getpid()


def sleep_for_ever(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    time.sleep(600)
    return number


def leave_at_three(number: int, at: Callable[[str], None]) -> int:
    at(f"image {number}")
    if number == 3:
        os._exit(7)
    return number


def be_killed_by_seven(numbers: list[int], at: Callable[[str], None]) -> list[int]:
    """Numbers of a unit; 7 ends the process as a decoder does that writes where it must not."""
    for number in numbers:
        at(f"image {number}")
        if number == 7:
            faulthandler.disable()  # pytest's would print every stack
            os.kill(os.getpid(), signal.SIGSEGV)
    return numbers


def work_for_ever_on_seven(numbers: list[int], at: Callable[[str], None]) -> list[int]:
    """Numbers of a unit; 7 keeps the processor busy as a decoder does that never ends."""
    for number in numbers:
        at(f"image {number}")
        while number == 7:
            pass
    return numbers


def be_killed_by_the_longer_name(names: list[str], at: Callable[[str], None]) -> list[str]:
    """Names of a unit; the one that ends in "b" ends the process."""
    for name in names:
        at(name)
        if name.endswith("b"):
            faulthandler.disable()  # pytest's would print every stack
            os.kill(os.getpid(), signal.SIGSEGV)
    return names


def be_killed_once(marker: str, at: Callable[[str], None]) -> str:
    """The unit is a file's path: while there is none, it is made, and the process ends."""
    at(f"image of {Path(marker).name}")
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def be_killed_anywhere(folder: str, at: Callable[[str], None]) -> str:
    """Ends the process every time, each time at another image."""
    count = len(list(Path(folder).iterdir()))
    at(f"image {count}")
    (Path(folder) / str(count)).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return folder


def be_killed_before_any_image(number: int, at: Callable[[str], None]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number
