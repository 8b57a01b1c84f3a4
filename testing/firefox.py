"""Firefox by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/), which it speaks itself: no driver has to be installed.

Only what a test of plain pages needs: open, look, click, press keys, and whatever the browser complained of or asked for.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

PATIENCE_S = 120
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "remote.active-protocols": 1,  # BiDi
    "startup.homepage_welcome_url": "about:blank",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox:
    """One tab. said: texts of the console and of errors. asked: addresses of all requests but of files."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._number = 0
        self.said: list[str] = []
        self.asked: list[str] = []
        self.call("session.new", capabilities={})
        self._tab = self.call("browsingContext.getTree")["contexts"][0]["context"]
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come in between are noted."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                found: dict[str, Any] = message["result"]
                return found
            self._note(message)

    def open(self, address: str) -> None:
        """Load a page."""
        self.call("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def size(self, width: int, height: int) -> None:
        """Make the window's content this large, CSS pixels."""
        viewport = {"width": width, "height": height}
        self.call("browsingContext.setViewport", context=self._tab, viewport=viewport)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives: a number, a text or a truth. Raises RuntimeError where it fails."""
        found = self.call(
            "script.evaluate",
            expression=expression,
            target={"context": self._tab},
            awaitPromise=True,
        )
        if found["type"] != "success":
            raise RuntimeError(found["exceptionDetails"]["text"])
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Scroll to the first such element and click in its middle, as a person does."""
        place = (
            f"(e => {{ e.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2].join(' ')})"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        x, y = (round(float(one)) for one in self.value(place).split())
        actions = [{"type": "pointerMove", "x": x, "y": y}]
        actions += [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        self.call("input.performActions", context=self._tab, actions=[mouse])

    def press(self, key: str) -> None:
        """Press and release a key: a character, or a code point of WebDriver's table such as U+E007 for Enter."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("input.performActions", context=self._tab, actions=[keyboard])

    def wait_for(self, expression: str) -> None:
        """Until a JavaScript expression is true. Raises TimeoutError."""
        until = time.monotonic() + PATIENCE_S
        while not self._is_so(expression):
            if time.monotonic() > until:
                raise TimeoutError(f"{expression} at {self.value('location.href')}")
            time.sleep(0.05)

    def _is_so(self, expression: str) -> bool:
        """Whether it is true now; between two pages nothing is."""
        try:
            return bool(self.value(expression))
        except RuntimeError:
            return False

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "log.entryAdded":
            self.said.append(str(message["params"].get("text")))
        elif message.get("method") == "network.beforeRequestSent":
            address = message["params"]["request"]["url"]
            if not address.startswith(("file:", "data:", "about:")):
                self.asked.append(address)


@contextmanager
def firefox(executable: str, profile: Path) -> Iterator[Firefox]:
    """A headless Firefox with a profile of its own, ended with the block. profile: a new or empty folder."""
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});"
        for name, value in PREFERENCES.items()
    ]
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "user.js").write_text("\n".join(lines))
    command = [executable, "--headless", "--no-remote", "--profile", str(profile)]
    command += ["--remote-debugging-port", "0"]
    log = (profile / "log.txt").open("w+")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with connect(f"{_address(process, profile / 'log.txt')}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        log.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """What Firefox says that it listens at."""
    until = time.monotonic() + PATIENCE_S
    mark = "WebDriver BiDi listening on "
    while time.monotonic() < until and process.poll() is None:
        text = log.read_text(errors="replace")
        if mark in text and "\n" in text.partition(mark)[2]:
            return text.partition(mark)[2].splitlines()[0].strip()
        time.sleep(0.1)
    raise RuntimeError(f"firefox does not listen: {log.read_text(errors='replace')}")
