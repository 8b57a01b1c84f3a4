"""Two registered models of a real line: flips, classes, data, labels, parameters, and a page of the images."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.compare.compared import Compared, compare_sides
from pipeline_lib.compare.page import write_comparison
from pipeline_lib.compare.recipe import params_changed
from pipeline_lib.compare.sides import side_of
from pipeline_lib.compare.words import as_csv, as_json, as_text
from pipeline_lib.errors import SourceMissing, UsageError
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Registry, load_registry
from pipeline_lib.report.erase import erase_from_reports
from pipeline_lib.settings import Settings
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION
from testing.nights import a_night
from testing.tiny_line import N_TRAIN, N_VAL, TinyLine, image_ids, make_line
from tests.unit.register.test_champion_answers import with_betons

ONE, TWO = "20261101-020000-00000001", "20261102-020000-00000002"
EVIL = '<img src=x onerror="window.pwned=1">'
NAMES = ("scarlet", "green", EVIL)  # what the second night calls red, green and blue
TEST = image_ids()[N_TRAIN + N_VAL :]


def untested(line: TinyLine, image_id: str) -> None:
    """Take an image out of the test."""
    for table, file in (
        (PREDICTIONS, line.path("predictions")),
        (SELECTION, line.path("selection") / "test.parquet"),
    ):
        rows = table.read(file)
        table.write(rows[rows["image_id"] != image_id], file)


def first_night(line: TinyLine) -> None:
    """A label that a person changes later, and an image that is tested later."""
    untested(line, TEST[59])
    manifest = MANIFEST.read(line.path("manifest"))
    manifest.loc[manifest["image_id"] == TEST[5], ["class_id", "label_received"]] = "red"
    MANIFEST.write(manifest, line.path("manifest"))


def second_night(line: TinyLine) -> None:
    """An override, other bytes, a new image, and one that is tested no more."""
    with_betons(line)
    untested(line, TEST[0])
    manifest = MANIFEST.read(line.path("manifest"))
    manifest.loc[manifest["image_id"] == TEST[5], "label_source"] = "override"
    manifest.loc[manifest["image_id"] == TEST[9], "sha256"] = "f" * 64
    new = manifest[manifest["image_id"] == TEST[0]].assign(image_id="tiny/new.png", sha256="a" * 64)
    MANIFEST.write(pd.concat([manifest, new]), line.path("manifest"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, database: str) -> Path:
    """Two versions: image 1 was wrong and is right, image 5 was right and is wrong, image 2 is wrong in both."""
    checkout = tmp_path_factory.mktemp("compare") / "checkout"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_MODEL_NAME", "compared")
        patch.setenv("PERENNIAL_REGISTRY_URI", database)
        make_line(checkout)
        a_night(checkout, ONE, wrong=[1, 2], edit=first_night)
        a_night(checkout, TWO, wrong=[2, 5], model="two", names=NAMES, edit=second_night)
    return checkout


@pytest.fixture
def registry(shop: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("PERENNIAL_MODEL_NAME", "compared")
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", database)
    return load_registry(Settings(), shop)


def compared(registry: Registry, a: str = "1", b: str = "2") -> Compared:
    return compare_sides(side_of(a, registry), side_of(b, registry), registry, RegisterParams())


def test_flips_name_the_image_both_ways_right_to_wrong_first(registry: Registry) -> None:
    found = compared(registry)

    assert found.flips[["flip", "image_id"]].to_numpy().tolist() == [
        ["right to wrong", TEST[5]],
        ["wrong to right", TEST[1]],
    ]
    lost = found.flips.iloc[0]
    assert lost["a_name"] == lost["true_name"] != lost["b_name"]


def test_both_are_measured_on_the_same_images_and_the_others_are_counted_apart(
    registry: Registry,
) -> None:
    found = compared(registry)

    test = found.test
    assert (test.a, test.b) == (59, 59)
    assert (test.only_a, test.only_b, test.replaced, test.unknown_class) == (1, 1, 1, 0)
    assert test.compared == 57 and found.paired is not None
    assert (found.paired.n_only_champion, found.paired.n_only_challenger) == (1, 1)
    assert found.paired.champion_top1 == found.paired.challenger_top1 == pytest.approx(55 / 57)
    assert (
        "as often right as version 1" in found.sentence and "the same 57 images" in found.sentence
    )
    text = as_text(found)
    assert "not compared: 1 tested by A alone, 1 tested by B alone, 1 with other bytes now" in text
    assert "1 of these images has another label in B" in text


def test_classes_go_by_their_names_of_today_and_a_rename_is_no_change_of_a_label(
    registry: Registry,
) -> None:
    found = compared(registry)

    assert dict(found.renamed) == {"red": "scarlet", "blue": EVIL}
    assert {one.name for one in found.classes} == set(NAMES)
    assert found.data.labels[["image_id", "by"]].to_numpy().tolist() == [[TEST[5], "override"]]
    assert "by override" in as_text(found)


def test_a_side_is_a_version_an_alias_a_run_its_tag_or_the_last_model(registry: Registry) -> None:
    for ref in ("2", "challenger", TWO, f"perennial/run/{TWO}", "last"):
        assert side_of(ref, registry).version == 2
    assert compared(registry, ONE, "last").flips.equals(compared(registry).flips)
    with pytest.raises(UsageError, match="no such run, or it left no result"):
        side_of("20261109-020000-00000009", registry)
    with pytest.raises(UsageError, match="no such model version"):
        side_of("nobody", registry)


def test_a_model_beside_itself_differs_in_nothing(registry: Registry) -> None:
    text = as_text(compared(registry, "2", "challenger"))

    for line in (
        "right to wrong: 0 images",
        "labels changed: 0",
        "parameters: the same",
        "code of stages: the same",
        "libraries and hardware: the same",
    ):
        assert line in text


def test_json_and_csv_hold_all_of_it(registry: Registry) -> None:
    found = compared(registry)

    content = json.loads(as_json(found))

    assert content["test_images"]["only_b"] == 1
    assert [one["image_id"] for one in content["flips"]] == [TEST[5], TEST[1]]
    assert [one["image_id"] for one in content["data"]["added"]] == ["tiny/new.png"]
    assert content["labels"][0]["by"] == "override"
    assert as_csv(found).startswith("flip,image_id,sha256,source,path,true_class,true_name,a_class")


def test_parameters_differ_key_by_key_and_an_absent_one_is_its_default(registry: Registry) -> None:
    side = side_of("1", registry)
    stages = dict(side.closure.stages)
    stages["train"] = replace(stages["train"], params={"train": {"seed": 3, "nested": {"x": [1]}}})
    other = replace(side, closure=replace(side.closure, stages=stages))

    found = params_changed(side, other)

    assert [(one.name, one.a, one.b) for one in found] == [
        ("train.nested.x", "(default)", "[1]"),
        ("train.seed", "(default)", "3"),
    ]


def test_tables_that_the_cache_lost_are_named_with_the_command_that_brings_them(
    registry: Registry, shop: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(shop, tmp_path / "copy", symlinks=True))
    shutil.rmtree(copy / ".dvc/cache")
    lost = load_registry(Settings(), copy)

    with pytest.raises(SourceMissing) as caught:
        compare_sides(side_of("1", lost), side_of("2", lost), lost, RegisterParams())

    said = str(caught.value)
    assert "what version 1 (champion, reference) was made of is no longer in DVC's cache" in said
    assert (
        "`dvc fetch --all-tags line/evaluate/predictions.parquet line/curate/manifest.parquet"
        in said
    )


def test_the_page_shows_the_images_links_the_reports_and_can_be_erased(
    registry: Registry,
) -> None:
    page = write_comparison(compared(registry), registry, keep=5, workers=1)

    text = page.read_text()
    assert page.parent.name == "version-1--version-2"
    assert EVIL not in text and "&lt;img src=x" in text
    assert "<script" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy and "default-src 'none'" in policy[1] and "script" not in policy[1]
    images = re.findall(r'src="(images/[^"]*)"', text)
    assert len(images) == 3  # two flips, and the label that an override changed
    assert all((page.parent / one).exists() for one in images)
    reports = re.findall(r'href="(\.\./\.\./reports/[^"]*)"', text)
    assert len(set(reports)) == 3  # A, B, the history
    assert all((page.parent / one).exists() for one in reports)

    sha256 = compared(registry).flips.iloc[1]["sha256"]
    assert erase_from_reports(page.parents[1], sha256) == 2  # its file, and its place
    assert page.read_text().count("erased") == 1


def test_only_the_newest_comparisons_stay(registry: Registry, shop: Path) -> None:
    write_comparison(compared(registry), registry, keep=1, workers=1)
    last = write_comparison(compared(registry, "2", "2"), registry, keep=1, workers=1)

    assert [one.name for one in last.parents[1].iterdir()] == ["version-2--version-2"]
