"""A stage of the toy line: every out gets a digest of what the stage reads. Run as `python toy_stage.py NAME`.

Wishes come from the environment, or from files of the same name in `.perennial/wishes` of the original repository:
TOY_SLEEP=stage:seconds makes a stage slow, TOY_STUBBORN=stage deaf to SIGTERM, TOY_FAIL=stage makes it fail with a
reason, TOY_KILL=stage:file makes it kill itself unless the file exists, which it then creates.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from pipeline_lib.errors import BadData
from pipeline_lib.parent_watch import die_with_parents
from pipeline_lib.settings import load_settings

CURATION = {
    "ledger": {"discovered": 5, "kept": 3, "quarantined": 1, "removed": 1},
    "reasons": {"empty": 1, "duplicate": 1},
}
METRICS = {"test": {"top1": 0.75, "n": 4}}


def wish(name: str, stage: str) -> str:
    """What is asked of this stage, "" for nothing."""
    file = Path(os.environ.get("PERENNIAL_ROOT", ".")) / ".perennial" / "wishes" / name
    text = os.environ.get(name) or (file.read_text() if file.exists() else "")
    wanted, _, value = text.partition(":")
    return (value or "1") if wanted == stage else ""


def digest(path: Path) -> str:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()


def main(stage: str) -> int:
    die_with_parents(load_settings(Path()).supervisor_pid)
    yaml = YAML(typ="safe", pure=True)
    entry, params = yaml.load(Path("dvc.yaml"))["stages"][stage], yaml.load(Path("params.yaml"))[stage]
    if wish("TOY_STUBBORN", stage):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(f"\x1b[32mprogress: {stage} 1/2 things, 50 %, 3 things/s, 1 s left\x1b[0m", flush=True)
    time.sleep(float(wish("TOY_SLEEP", stage) or 0))
    if wish("TOY_FAIL", stage):
        error = BadData("no picture in it", file="pictures.tar", value="0 members", remedy="name another archive")
        reason = Path(f"line/reasons/{stage}.json")
        reason.parent.mkdir(parents=True, exist_ok=True)
        reason.write_text(error.as_json())
        return error.exit_code
    if (once := wish("TOY_KILL", stage)) and not Path(once).exists():
        Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    told = json.dumps([stage, params, [digest(Path(dep)) for dep in entry.get("deps", [])]])
    for out in [one for kind in ("outs", "metrics", "plots") for one in entry.get(kind, [])]:
        path = Path(out if isinstance(out, str) else next(iter(out)))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            path.write_text(json.dumps(CURATION if path.stem == "curation" else METRICS) + "\n")
        elif path.suffix:
            path.write_text(f"{path.name} {told}\n")
        else:
            path.mkdir(exist_ok=True)
            for name in ("train.parquet", "val.parquet", "test.parquet"):
                (path / name).write_text(f"{name} {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
