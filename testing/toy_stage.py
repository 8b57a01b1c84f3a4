"""A stage of the toy line: every out gets a digest of what the stage reads. Run as `python toy_stage.py NAME`.

Wishes come from the environment, or from files of the same name in `.perennial/wishes` of the original repository:
TOY_SLEEP=stage:seconds makes a stage slow, TOY_STUBBORN=stage deaf to SIGTERM, TOY_FAIL=stage makes it fail with a
reason (TOY_FAIL=train:3 for three epochs only), TOY_KILL=stage:file makes it kill itself unless the file exists, which
it then creates, TOY_REAL=stage runs the stage itself, TOY_PAUSE=stage:seconds with a pause at each of its steps,
TOY_LINGER=stage:seconds with one after it is done. What `.perennial/whole_line` holds of an out, below its path, or
`.perennial/small_line` (small_line.py), below its name, is taken from there.
"""

import functools
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.errors import BadData
from pipeline_lib.harness.parent_watch import die_with_parents
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.settings import load_settings

CURATION = {
    "ledger": {"discovered": 5, "kept": 3, "quarantined": 1, "removed": 1},
    "reasons": {"empty": 1, "duplicate": 1},
}
METRICS = {"test": {"top1": 0.75, "n": 4}}
MODEL = ModelFile(
    network="toy",
    classes=(),
    names=(),
    side_px=32,
    mean=(0, 0, 0),
    std=(1, 1, 1),
    pixels={},
    recipe={},
    parent=None,
    epoch=1,
)


def wish(name: str, stage: str) -> str:
    """What is asked of this stage, "" for nothing."""
    file = Path(os.environ.get("PERENNIAL_ROOT", ".")) / ".perennial" / "wishes" / name
    text = os.environ.get(name) or (file.read_text() if file.exists() else "")
    wanted, _, value = text.partition(":")
    return (value or "1") if wanted == stage else ""


def digest(path: Path) -> str:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return hashlib.sha256(
        b"".join(file.read_bytes() for file in files if file.is_file())
    ).hexdigest()


def run_itself(stage: str, pause_s: float) -> int:
    """The real stage, slowed down so that there is time to stop it."""
    from pipeline_lib.harness import stage as real
    from pipeline_lib.harness.progress import Meter

    step = Meter.step

    @functools.wraps(step)
    def slow_step(*args: Any, **named: Any) -> None:
        time.sleep(pause_s)
        step(*args, **named)

    Meter.step = slow_step  # type: ignore[method-assign] # in a process of its own
    code = real.main([stage])
    time.sleep(float(wish("TOY_LINGER", stage) or 0))
    return code


def main(stage: str) -> int:
    if wish("TOY_REAL", stage):
        return run_itself(stage, float(wish("TOY_PAUSE", stage) or 0))
    die_with_parents(load_settings(Path()).supervisor_pid)
    yaml = YAML(typ="safe", pure=True)
    entry, params = (
        yaml.load(Path("dvc.yaml"))["stages"][stage],
        yaml.load(Path("params.yaml"))[stage],
    )
    if wish("TOY_STUBBORN", stage):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(f"\x1b[32mprogress: {stage} 1/2 things, 50 %, 3 things/s, 1 s left\x1b[0m", flush=True)
    time.sleep(float(wish("TOY_SLEEP", stage) or 0))
    if wish("TOY_FAIL", stage) in ("1", str(params and params.get("epochs"))):
        error = BadData(
            "no image in it", file="images.tar", value="0 members", remedy="name another archive"
        )
        reason = Path(f"line/reasons/{stage}.json")
        reason.parent.mkdir(parents=True, exist_ok=True)
        reason.write_text(error.as_json())
        return error.exit_code
    if (once := wish("TOY_KILL", stage)) and not Path(once).exists():
        Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    state = Path(os.environ.get("PERENNIAL_ROOT", ".")) / ".perennial"
    made = state / "small_line"
    told = json.dumps([stage, params, [digest(Path(dep)) for dep in entry.get("deps", [])]])
    for out in [one for kind in ("outs", "metrics", "plots") for one in entry.get(kind, [])]:
        path = Path(out if isinstance(out, str) else next(iter(out)))
        path.parent.mkdir(parents=True, exist_ok=True)
        given = state / "whole_line" / path
        given = given if given.exists() else made / path.name
        if given.is_dir():
            shutil.copytree(given, path, dirs_exist_ok=True)
        elif given.is_file():
            shutil.copy(given, path)
        elif path.name == "validation.json":
            path.write_text(
                json.dumps({"epoch": 1, "val_loss": 1 / (params["epochs"] or 10), "val_top1": 0.75})
            )
        elif path.suffix == ".json":
            path.write_text(json.dumps(CURATION if path.stem == "curation" else METRICS) + "\n")
        elif path.suffix:
            path.write_text(f"{path.name} {told}\n")
        else:
            path.mkdir(exist_ok=True)
            (path / "model.json").write_text(MODEL.model_dump_json() + "\n")
            for name in ("train", "val", "test", "soft_labels", "unlabelled", "extra"):
                (path / f"{name}.parquet").write_text(f"{name} {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
