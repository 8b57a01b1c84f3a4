"""What users get wrong on the first day: one line names file, value and remedy, and reason.json says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testing.checkout import Checkout, Repro


def failure(line: Checkout, stage: str) -> tuple[dict[str, Any], str]:
    """Run the line, which must fail in `stage`: its reason, and the one line it printed."""
    said = line.repro(check=False)

    assert said.exit_code == 255
    return line.reason(stage), the_line(said, stage)


def failure_of_stage(line: Checkout, stage: str) -> tuple[dict[str, Any], str]:
    """The same of the stage alone, as dvc calls it."""
    said = line.python("pipeline_lib.harness.stage", stage, check=False)

    assert said.exit_code == line.reason(stage)["exit_code"]
    return line.reason(stage), the_line(said, stage)


def the_line(said: Repro, stage: str) -> str:
    """The only line about the failure."""
    lines = [text for text in said.output.splitlines() if text.startswith(f"{stage}: error[")]
    assert len(lines) == 1, said.output
    assert "Traceback" not in said.output
    return lines[0]


def test_all_wrong_parameters_are_reported_at_once(line: Checkout) -> None:
    line.set_param("train.epoch", "3")
    line.set_param("curate.val_fraction", "7")
    line.set_param("inspekt.max_pixels", "3")

    reason, said = failure(line, "discover")

    assert (reason["code"], reason["exit_code"]) == ("config", 78)
    assert reason["file"].endswith("params.yaml")
    assert "train.epoch: no such key, nearest is train.epochs" in said
    assert "curate.val_fraction = 7" in said
    assert "inspekt: no such section, nearest is inspect" in said


def test_a_missing_source_is_named_with_what_to_do(line: Checkout) -> None:
    (line.folder / "demo/out/digits.tar").unlink()

    reason, said = failure_of_stage(line, "discover")

    assert (reason["code"], reason["exit_code"]) == ("source_missing", 66)
    assert "demo/out/digits.tar" in said and "Remedy: " in said


def test_half_a_folder_gone_stops_discover_until_a_person_accepts_it(line: Checkout) -> None:
    for n in range(40):
        image = line.folder / "pics" / f"{n % 2}" / f"{n}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(bytes([n]))
    line.set_param("discover.sources", "[{name: pics, uri: pics}]")
    line.repro("discover")
    before = line.lock()
    (line.folder / "pics/0").rename(line.folder / "unmounted")

    reason, said = failure(line, "discover")

    assert (reason["code"], reason["exit_code"]) == ("data_check_failed", 4)
    assert "source pics: 20 of 40 objects are gone (0: 20), such as 0/0.jpg" in said
    assert line.lock() == before
    decision = reason["remedy"].partition("discover.withdrawn_accepted: ")[2][:10]
    line.set_param("discover.withdrawn_accepted", decision)
    assert "discover" in line.repro("discover").ran


def test_a_truncated_archive_stops_the_line_before_anything_is_lost(line: Checkout) -> None:
    before = line.lock()
    archive = line.folder / "demo/out/digits.tar"
    archive.write_bytes(archive.read_bytes()[:1_000_000])

    reason, said = failure(line, "download")

    assert (reason["code"], reason["exit_code"]) == ("archive_damaged", 65)
    assert "digits.tar" in said and "cut off" in said
    assert before.count(b"\n") <= line.lock().count(b"\n")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("image_id,digits/3/nowhere.jpg,remove,,,,,", "nowhere.jpg"),
        ("class_id,eleven,exclude_class,,,,,", "eleven"),
    ],
)
def test_an_override_that_names_nothing_is_refused_with_its_line(
    line: Checkout, row: str, complaint: str
) -> None:
    overrides = line.folder / "curation/overrides.csv"
    overrides.write_text(overrides.read_text() + row + "\n")

    reason, said = failure_of_stage(line, "curate")

    assert (reason["code"], reason["exit_code"]) == ("bad_data", 65)
    assert "overrides.csv" in said and complaint in said and "line 2" in said


def test_a_class_with_too_few_images_stops_the_line_where_that_is_asked_for(line: Checkout) -> None:
    line.set_param("curate.small_classes", "fail")
    line.set_param("curate.min_images_per_class", "130")

    reason, said = failure_of_stage(line, "curate")

    assert (reason["code"], reason["exit_code"]) == ("data_check_failed", 4)
    assert (
        "classes have fewer than 130 training images" in said
        and "small_classes: drop" in reason["remedy"]
    )


def test_a_listed_class_without_any_image_is_announced(line: Checkout) -> None:
    line.set_param("curate.classes", '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "eleven"]')

    said = line.python("pipeline_lib.harness.stage", "curate").output

    assert "1 classes of the list have no image left" in said


def test_wrong_settings_are_reported_at_once(line: Checkout) -> None:
    (line.folder / "settings.toml").write_text('worker = 2\ndevice = "gpu"\n')

    reason, said = failure_of_stage(line, "discover")

    assert reason["code"] == "config"
    assert "worker: no such setting, nearest is workers" in said and "device = 'gpu'" in said


def test_after_the_mistake_is_mended_the_line_is_as_before(line: Checkout) -> None:
    before, params = line.lock(), (line.folder / "params.yaml").read_text()
    line.set_param("train.epochs", "-1")
    failure(line, "discover")
    (line.folder / "params.yaml").write_text(params)

    after = line.repro()

    assert after.ran == ["discover", "register"]
    assert line.lock() == before
    assert not list(Path(line.folder / "line/reasons").glob("*.json"))
