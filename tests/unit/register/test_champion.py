"""The champion is asked again about today's test pictures: its real ONNX on real betons."""

from pathlib import Path

import pytest

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run as convert
from pipeline_lib.register.run import run
from pipeline_lib.registry import Verdict, open_registry
from pipeline_lib.settings import Settings
from pipeline_lib.stage import StageRun
from tests.unit.register.tiny_line import CLASSES, TinyLine, make_line, receive, write_export


def with_betons(line: TinyLine) -> TinyLine:
    files = line.files.stage_files("convert")
    settings = Settings(workers=1, loader="torchvision")
    convert(StageRun(line.root, files.reads, files.writes, ConvertParams(), settings))
    receive(line)
    return line


def latest_verdict(line: TinyLine) -> Verdict:
    return open_registry(Settings(), line.root).versions()[-1].verdict


def test_when_the_test_pictures_changed_the_champions_own_model_answers_again(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_line(checkout, wrong=[1, 2, 3]).job())
    line = with_betons(make_line(checkout, model="two"))

    run(line.job(loader="torchvision", workers=1))

    comparison = latest_verdict(line).comparison
    assert comparison is not None
    assert "asking the champion about 60 of them" in caplog.text
    assert comparison.champion_top1 == 1.0  # its recorded answers, with three mistakes, were of other betons


def test_its_answers_are_kept_for_the_next_model_on_the_same_pictures(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_line(checkout, wrong=[1, 2, 3]).job())
    for model in ("two", "three"):
        line = with_betons(make_line(checkout, wrong=range(20), model=model))
        run(line.job(loader="torchvision", workers=1))

    assert caplog.text.count("asking the champion") == 1


def test_classes_are_compared_by_name_where_the_champion_counted_them_otherwise(checkout: Path) -> None:
    """The champion's outputs stand for (blue, red, green): it says blue for red pictures, and so on."""
    old = make_line(checkout)
    write_export(old.path("export"), "one", classes=(CLASSES[2], CLASSES[0], CLASSES[1]))
    receive(old)
    run(old.job())
    line = with_betons(make_line(checkout, model="two"))

    run(line.job(loader="torchvision", workers=1))

    comparison = latest_verdict(line).comparison
    assert comparison is not None
    assert comparison.champion_top1 == 0.0
