"""End a process that spends too much CPU time on one image, wherever shards are worked.

CPU time, not the clock on the wall, so that a busy machine changes no verdict. The end is SIGPROF, whose default ends a
process that does not ask for it: a decoder written in C hears nothing gentler.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable

IMAGE_CPU_S = 120.0  # of one image; the costliest image that is decoded takes a tenth of it
SIGEV_SIGNAL = 0  # signal(7): tell the process by a signal


def start_process_clock(cpu_s: float) -> None:
    """Give this process so much CPU time from now on, all its threads together; 0 takes the limit away."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)


def thread_clock() -> Callable[[float], None]:
    """What gives the calling thread so much CPU time from now on; 0 takes the limit away.

    For processes that work several images in threads, as Dask's do. Helper threads of a decoder (AVIF) are not counted.
    Linux only (timer_create(2)); elsewhere there is no limit.
    """
    if sys.platform != "linux":
        return lambda cpu_s: None
    timer = _timer()

    def start(cpu_s: float) -> None:
        seconds = int(cpu_s)
        wanted = _Interval((0, 0), (seconds, int((cpu_s - seconds) * 1e9)))
        _checked(_libc().timer_settime(timer, 0, ctypes.byref(wanted), None))

    return start


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Interval(ctypes.Structure):
    _fields_ = (("again", _Time), ("first", _Time))


class _Event(ctypes.Structure):
    """sigevent(3type), 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_byte * 48),
    )


_of_thread = threading.local()


def _timer() -> ctypes.c_void_p:
    """The calling thread's own, made at its first use; it goes with the process."""
    if not hasattr(_of_thread, "timer"):
        timer = ctypes.c_void_p()
        event = _Event(None, signal.SIGPROF, SIGEV_SIGNAL)
        _checked(
            _libc().timer_create(
                time.CLOCK_THREAD_CPUTIME_ID, ctypes.byref(event), ctypes.byref(timer)
            )
        )
        _of_thread.timer = timer
    found: ctypes.c_void_p = _of_thread.timer
    return found


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), "no CPU clock for this thread")
