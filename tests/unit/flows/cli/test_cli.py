"""The command line: what it prints where, and with which exit code it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.parser import COMMANDS, build_parser, main
from flows.local_run import RunResult
from pipeline_lib import errors
from testing.served import environment


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from flows.cli.parser import build_parser as b; b().format_help(); print(' '.join(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )

    heavy = {
        "torch",
        "prefect",
        "dvc",
        "mlflow",
        "pandas",
        "numpy",
        "pydantic",
        "sklearn",
        "ruamel",
    }
    assert heavy & set(done.stdout.split()) == set()


def test_help_lists_every_command_and_every_exit_code() -> None:
    text = build_parser().format_help()

    assert all(f"\n    {name} " in text for name in COMMANDS)
    for code, names in errors.exit_codes().items():
        assert f"{code}  {', '.join(names)}" in text
    assert "130  stopped by Ctrl-C" in text


def test_outside_a_project_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["status"])

    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err == (
        f"perennial status: error[usage]: {tmp_path}: not inside a Perennial project. "
        "Remedy: change into the folder that holds dvc.yaml\n"
    )


def test_the_project_is_found_from_a_folder_below(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project / "curation")

    assert main(["status", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {"server": None, "line": None, "waiting": []}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "--set", "train.epochs=-1"], 78, r"error[config]"),
        (["run", "--set", "train.epoch=2"], 78, "no such key, nearest is train.epochs"),
        (["run", "--set", "epochs"], 2, "--set: not a parameter with a value (found: epochs)"),
        (
            ["sweep", "--set", "train.epochs=2"],
            2,
            "--set: nothing to compare (found: train.epochs=2)",
        ),
        (["sweep", "--set", "train.epochs=2,-1"], 78, "error[config]"),
        (
            ["sweep", "--set", "evaluate.threads=1,2"],
            2,
            "--set: this section cannot be swept (found: evaluate)",
        ),
        (["predict", "nothing.jpg"], 2, "error[usage]"),
        (["rollback", "--reason", "worse"], 2, "there is no previous champion to go back to"),
        (
            ["report"],
            66,
            "there is no report yet. Remedy: run `dvc repro` or `perennial run`, which write one",
        ),
        (
            ["params", "trian"],
            2,
            "perennial params: no such section (found: trian). Remedy: choose one of discover,",
        ),
        (
            ["params", "train.epoch"],
            2,
            "perennial params: no such key (found: train.epoch). Remedy: choose train.epochs",
        ),
        (["init", "nowhere"], 66, "error[source_missing]"),
        (
            ["init", "photos", "more"],
            66,
            "no such file or folder",
        ),
        (["review"], 65, "review.parquet: the review table is absent. Remedy: run `dvc repro`"),
        (
            ["review", "import", "nothing.csv"],
            66,
            "nothing.csv: no such file. Remedy: name the CSV file downloaded",
        ),
        (["review", "import", "params.yaml"], 78, "the columns are wrong"),
        (["lineage", "nobody"], 2, "error[usage]"),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    left = main(arguments)

    out, err = capsys.readouterr()
    assert left == code, err
    assert said in err
    assert out == "" and err.count("\n") == 1


def test_params_shows_the_present_value_and_the_meaning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["params", "train"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train.recipe = quick   (")
    assert all(line.startswith(("train.", "    ")) for line in lines)


def test_params_describes_one_key(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", "train.epochs"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train.epochs = ") and all(line[:1] == " " for line in lines[1:])


def test_params_as_json_is_the_schema_of_every_section(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["params", "--json"]) == 0

    schema = json.loads(capsys.readouterr().out)
    assert list(schema) == [
        "discover",
        "download",
        "inspect",
        "curate",
        "convert",
        "train",
        "evaluate",
        "register",
    ]
    assert "epochs" in schema["train"]["properties"]


def test_settings_shows_what_the_file_sets(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "settings.toml").write_text("workers = 3\n")

    assert main(["settings"]) == 0

    assert capsys.readouterr().out.splitlines()[0] == "workers = 3   (int ≥ 0 ≤ 1024, default 0)"


def test_init_refuses_to_lose_uncommitted_edits_unless_forced(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("# mine\n")

    code = main(["init", "nowhere"])

    assert code == 2
    assert "it has uncommitted edits, which would be lost" in capsys.readouterr().err
    assert main(["init", "nowhere", "--force"]) == 66
    assert "# mine" in (project / "params.yaml").read_text()


def test_init_writes_parameters_for_a_folder_of_images(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    cached = project / "torch/hub/checkpoints/resnet18-00000000.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"")
    monkeypatch.setenv("TORCH_HOME", str(project / "torch"))

    for name in ("cat", "dog"):
        (project / "photos" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (200, 150), (number, 90, 30)).save(
                project / "photos" / name / f"{number}.jpg"
            )

    assert main(["init", "photos", "--name", "pets"]) == 0

    params = (project / "params.yaml").read_text()
    out = capsys.readouterr().out
    assert "name: pets" in params and "uri: photos" in params
    assert "classes  2: cat 3, dog 3" in out
    assert f"not chosen: {cached.name} in torch's cache (no accuracy is published with them)" in out
    assert (
        "features embedding by builtin:efficientnet_lite0, as the median short side is 150 px"
        in out
    )
    assert "recipe   finetune: 6 photographs, starting from builtin:efficientnet_lite0" in out
    assert "next     look at params.yaml, then `dvc repro` (here) or `perennial run`" in out


def test_init_of_images_without_classes_promises_no_model(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    (project / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (number, 90, 30)).save(project / "photos" / f"{number}.png")

    assert main(["init", "photos"]) == 0

    out = capsys.readouterr().out
    assert "as it is the line ends at" in out and "a model is trained" not in out


def test_ctrl_c_leaves_with_130(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.cli.commands.status.run", interrupted)

    assert main(["status"]) == 130
    assert capsys.readouterr().err == "perennial status: stopped by Ctrl-C\n"


def test_a_traceback_is_shown_only_when_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["-v", "report"])

    assert "Traceback" in capsys.readouterr().err


def test_a_model_that_is_not_promoted_ends_with_3_where_that_is_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = RunResult(
        "r",
        "c",
        False,
        {},
        happened="inconclusive",
        sentence="cannot be told apart",
        report="report.html",
    )
    monkeypatch.setattr("flows.local_run.run_here", lambda *_, **__: held)

    codes = main(["run"]), main(["run", "--fail-if-held"])

    assert codes == (0, 3)
    assert (
        "report.html: this model is not the champion (found: cannot be told apart)"
        in capsys.readouterr().err
    )


def test_a_defect_of_ours_shows_its_traceback_and_ends_in_one_line_with_its_exit_code(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr("flows.local_run.run_here", broken)

    code, said = main(["run"]), capsys.readouterr().err

    assert code == 70 and "Traceback" in said
    assert said.splitlines()[-1] == (
        "perennial run: error[defect]: perennial run: ZeroDivisionError in our code (found: no). "
        "Remedy: report this with the traceback above"
    )
