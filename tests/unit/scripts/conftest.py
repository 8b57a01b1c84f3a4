"""A machine that needs set-up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.scripts.fake_machine import APT, DPKG, LOCK, ROOT, TOOLS, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Debian, root, no Python yet, and none of the packages."""
    machine = Machine(tmp_path)
    for folder in ("project/scripts", "pyenv", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project/requirements.lock").write_text(LOCK)
    (tmp_path / "project/pyproject.toml").write_text("heic = []\ntrackers = []\n")
    script = (ROOT / "scripts/set_up.sh").read_text()
    assert script.count("/etc/os-release") == 1
    copy = tmp_path / "project/scripts/set_up.sh"
    copy.write_text(script.replace("/etc/os-release", str(tmp_path / "os-release")))
    copy.chmod(0o755)
    (tmp_path / "os-release").write_text('NAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n')
    (tmp_path / "installed").touch()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    machine.add("apt-get", APT)
    machine.add("dpkg-query", DPKG)
    machine.add("id", "echo 0")
    return machine
