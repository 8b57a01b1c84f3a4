"""The champion is asked again about today's test images: its real ONNX on real betons."""

from pathlib import Path

import pytest

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run as convert
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.register.run import run
from pipeline_lib.registry import Verdict, load_registry
from pipeline_lib.settings import Settings
from testing.tiny_line import CLASSES, TinyLine, make_line, receive, write_export


def with_betons(line: TinyLine) -> TinyLine:
    files = line.files.stage_files("convert")
    settings = Settings(workers=1, loader="python")
    convert(StageRun(line.root, files.reads, files.writes, ConvertParams(), settings))
    receive(line)
    return line


def latest_verdict(line: TinyLine) -> Verdict:
    return load_registry(Settings(), line.root).versions()[-1].verdict


def test_when_the_test_images_changed_the_champions_own_model_answers_again(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_line(checkout, wrong=[1, 2, 3]).job())
    line = with_betons(make_line(checkout, model="two"))

    run(line.job(loader="python", workers=1))

    comparison = latest_verdict(line).comparison
    assert comparison is not None
    assert "asking a registered model about 60 of them" in caplog.text
    assert (
        comparison.champion_top1 == 1.0
    )  # its recorded answers, with three mistakes, were of other betons


def test_its_answers_are_kept_for_the_next_model_on_the_same_images(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_line(checkout, wrong=[1, 2, 3]).job())
    for model in ("two", "three"):
        line = with_betons(make_line(checkout, wrong=range(20), model=model))
        run(line.job(loader="python", workers=1))

    assert caplog.text.count("asking a registered model") == 1


def test_classes_are_compared_by_name_where_the_champion_counted_them_otherwise(
    checkout: Path,
) -> None:
    """The champion's outputs stand for (blue, red, green): it says blue for red images, and so on."""
    old = make_line(checkout)
    write_export(old.path("export"), "one", classes=(CLASSES[2], CLASSES[0], CLASSES[1]))
    receive(old)
    run(old.job())
    line = with_betons(make_line(checkout, model="two"))

    run(line.job(loader="python", workers=1))

    comparison = latest_verdict(line).comparison
    assert comparison is not None
    assert comparison.champion_top1 == 0.0


RENAMED = ("crimson", "green", "blue")  # `class_id,red,rename_class,crimson`


@pytest.mark.parametrize(
    ("wrong", "decision", "sentence"),
    [
        (
            range(20),
            "reject",
            "Refused: 33.3 points worse than version 1 on the same 60 images, certainly at least ",
        ),
        (
            (),
            "promote",
            "Promoted to champion: as often right as version 1 on the same 60 images, ",
        ),
    ],
)
def test_a_class_that_was_renamed_counts_neither_for_nor_against_a_model(
    checkout: Path, wrong: range, decision: str, sentence: str
) -> None:
    """The champion answers "red" to every crimson image. Taken as mistakes, 20 of 60 wrong would look like none."""
    run(make_line(checkout).job())
    line = with_betons(make_line(checkout, wrong=wrong, model="two", names=RENAMED))

    run(line.job(loader="python", workers=1))

    attempt = load_registry(Settings(), line.root)._reader().attempts()[-1]
    assert attempt.verdict.decision == decision
    assert attempt.verdict.sentence.startswith(sentence)
    assert attempt.verdict.comparison is not None
    assert (attempt.verdict.comparison.n_images, attempt.verdict.comparison.champion_top1) == (
        60,
        1.0,
    )
    assert "renamed or merged since version 1: red is crimson now" in attempt.verdict.notes


def test_without_a_record_of_the_renaming_only_the_classes_of_equal_name_are_compared(
    checkout: Path,
) -> None:
    old = make_line(checkout)
    old.path("profile").write_text(
        '{"n": 96, "columns": {}, "classes": {"red": 96}}'
    )  # as before the record
    receive(old)
    run(old.job())
    line = with_betons(make_line(checkout, model="two", names=RENAMED))

    run(line.job(loader="python", workers=1))

    found = latest_verdict(line)
    assert found.comparison is not None
    assert (found.comparison.n_images, found.comparison.champion_top1) == (40, 1.0)
    assert "not compared, as version 1 does not know them: crimson 20 of 20 right" in found.notes


def test_recorded_answers_are_read_in_the_order_of_the_champions_own_classes(
    checkout: Path,
) -> None:
    """A new model and the champion on the same test rows, whose classes stand in another order than by name."""
    names = ("b", "c", "a")
    run(make_line(checkout, wrong=[1], names=names).job())

    line = make_line(checkout, wrong=[1], model="two", names=names)
    run(line.job())

    comparison = latest_verdict(line).comparison
    assert comparison is not None
    assert (comparison.n_only_champion, comparison.n_only_challenger) == (0, 0)
