"""Give up on a server that sends next to nothing. A limit on each read alone would wait for ever on a byte a minute."""

from __future__ import annotations

import http.client
import io
import math
import time
from typing import Any

HEADERS_S = 60.0  # until the last header
WINDOW_S = 60.0  # of waiting, in which a body must come forward
LEAST_BYTES = 8 << 10  # in each window; thirty transfers over the thinnest line are faster


class PatientResponse(http.client.HTTPResponse):
    """An answer that raises TimeoutError where its headers or its body come too slowly."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._watched = _Watched(self.fp.detach())
        self.fp = io.BufferedReader(self._watched)

    def begin(self) -> None:
        """Read the headers, and the answers `100 Continue` before them."""
        self._watched.ends = time.monotonic() + HEADERS_S
        super().begin()
        self._watched.ends = math.inf


class _Watched(io.RawIOBase):
    """A socket's bytes. Only the time that a read waits counts, not what is done with the bytes between two reads."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw, self.ends = raw, math.inf
        self._waited_s, self._came_bytes = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        began = time.monotonic()
        came_bytes: int = self._raw.readinto(buffer)
        now = time.monotonic()
        self._waited_s += now - began
        self._came_bytes += came_bytes
        if now > self.ends:
            raise TimeoutError(f"the headers did not end within {HEADERS_S:.0f} s")
        if self._waited_s > WINDOW_S:
            if self._came_bytes < LEAST_BYTES:
                raise TimeoutError(f"{self._came_bytes} bytes in {self._waited_s:.0f} s")
            self._waited_s, self._came_bytes = 0.0, 0
        return came_bytes

    def close(self) -> None:
        self._raw.close()
        super().close()
