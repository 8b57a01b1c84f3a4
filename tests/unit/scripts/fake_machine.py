"""A machine on which scripts/set_up.sh runs: each command that it calls is a small fake."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
TOOLS = (
    "touch",
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "dirname",
    "env",
    "grep",
    "mkdir",
    "rm",
    "sed",
    "sha256sum",
    "sort",
)
SYSTEM = "g++ pkg-config libopencv-dev libturbojpeg0-dev libjpeg-dev libgl1"
LOCK = "# predict: what it needs\nnumpy==1\n# line: besides\ntorch==1\n# developers: besides\npytest==1\n"
# Each fake writes down how it was called, and fails where the test says so.
FAKE = """#!/usr/bin/env bash
called="${{0##*/}} $*"
echo "$called" >>"$ASKED"
if [[ -n $FAILING && $called == *"$FAILING"* ]]; then exit 1; fi
{body}
"""
# A Python of any version: it answers set-up's own question truly, as if `lacks` were not there.
PYTHON = """
lacks="{lacks}"
for package in $lacks; do grep -qx "$package" "$INSTALLED" && lacks=${{lacks//$package/}}; done
case $* in
  -c*) exec {real} -I -S -c '
import importlib.util, os.path, sys, sysconfig
sys.version_info = {version}
code, lacks = sys.argv[1:]
importlib.util.find_spec = lambda name: None if name == "ensurepip" and "-venv" in lacks else name
os.path.exists = lambda path: path == "/its own include/Python.h" and "-dev" not in lacks
sysconfig.get_path = {{"include": "/its own include"}}.get
exec(code)' "$2" "$lacks" ;;
  "-m venv --clear "*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m uv --version") exit 1 ;;
esac
"""
APT = """if [[ $1 == install ]]; then printf '%s\\n' "$@" >>"$INSTALLED"; fi"""
DPKG = """if grep -qx "${!#}" "$INSTALLED"; then echo install ok installed; else exit 1; fi"""


@dataclass(frozen=True)
class Machine:
    """A project's folder, and a PATH of two folders: `pyenv`, then `bin`, which is the system's."""

    folder: Path

    def add(self, command: str, body: str = "", within: str = "bin") -> None:
        """Put a fake command on the PATH."""
        path = self.folder / within / command
        path.write_text(FAKE.format(body=body))
        path.chmod(0o755)

    def add_python(self, command: str, minor: int, lacks: str = "", within: str = "bin") -> None:
        """A Python 3.minor. lacks: the packages without which it has no ensurepip (-venv) or no Python.h (-dev)."""
        body = PYTHON.format(real=sys.executable, version=(3, minor, 2), lacks=lacks)
        self.add(command, body, within=within)

    def become_ubuntu(self) -> None:
        """Say so where the script looks."""
        (self.folder / "os-release").write_text(
            'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
        )

    def install(self, packages: str) -> None:
        """As if they had been installed before."""
        with (self.folder / "installed").open("a") as installed:
            installed.writelines(f"{name}\n" for name in packages.split())

    def set_up(
        self, *arguments: str, failing: str = "", extras: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run the script. failing: each command whose line holds these words fails. extras: optional packages."""
        environment = {
            "PATH": f"{self.folder / 'pyenv'}{os.pathsep}{self.folder / 'bin'}",
            "ASKED": str(self.folder / "asked"),
            "INSTALLED": str(self.folder / "installed"),
            "FAILING": failing,
            **({"WITH": extras} if extras else {}),
        }
        (self.folder / "asked").write_text("")
        command = [str(self.folder / "project/scripts/set_up.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def asked(self, start: str = "") -> list[str]:
        """How the fakes were called in the last run, where the line starts so."""
        return [
            line
            for line in (self.folder / "asked").read_text().splitlines()
            if line.startswith(start)
        ]

    def asked_to_install(self) -> str:
        """The packages, in the order they were asked for."""
        (line,) = self.asked("apt-get install") or [""]
        return line.removeprefix("apt-get install -y -qq --no-install-recommends").strip()

    def locked(self, environment: str = ".venv") -> list[str]:
        """The packages that were last installed into an environment."""
        lines = (self.folder / "project" / environment / "locked.txt").read_text().splitlines()
        return [line.partition("==")[0] for line in lines if not line.startswith("#")]

    def made_with(self) -> str:
        """The name of the Python that made the environment."""
        (name,) = [line.split()[0] for line in self.asked() if "-m venv" in line]
        return name
