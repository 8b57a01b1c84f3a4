"""A server on loopback that sends a byte now and then: `/headers` never ends its headers, all else never ends its body."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class SlowServer:
    """Answer every connection with a byte each 20 ms, until the block ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._is_closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self._is_closed.is_set():
                connection, _ = self._listener.accept()
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            path = connection.recv(4096).split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            if path == b"/headers":
                connection.sendall(b"X: ")
            else:
                connection.sendall(b"Content-Length: 1000\r\n\r\n")
            while not self._is_closed.wait(0.02):  # tests replace `time.sleep`
                connection.sendall(b"x")
