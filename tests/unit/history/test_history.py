"""Nights of a real registry, real commits and tags, and what is said of what was forgotten."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.harness import operations
from pipeline_lib.history import as_csv, as_json, as_text, gather, summary, write_page
from pipeline_lib.history.costs import cost_of, group_between, sort_operations
from pipeline_lib.history.night import History, Night
from pipeline_lib.history.page import nearby
from pipeline_lib.history.results import met_again
from pipeline_lib.history.runs import read_runs, started_at
from pipeline_lib.register.run import run as register
from pipeline_lib.registry import Attempt, load_registry, records
from pipeline_lib.registry.closure import closure_from_json
from pipeline_lib.settings import Settings
from testing.nights import a_night, git, with_manifest
from testing.tiny_line import make_line

FIRST, SAME, GROWN, OTHER, BAD = (f"2099110{day}-020000-0000000{day}" for day in range(1, 6))
FAILED, SKIPPED, KILLED = (
    "20991106-020000-00000006",
    "20991107-020000-00000007",
    "20991108-020000-00000008",
)
EVIL = "<script>window.pwned=1</script>"


def with_changes(manifest: pd.DataFrame) -> pd.DataFrame:
    """One label by an override, one image withdrawn, one with other bytes, two new."""
    changed = manifest.copy()
    changed.loc[0, ["class_id", "label_source"]] = ["red", "override"]  # was blue
    changed.loc[5, "sha256"] = "f" * 64
    more = changed.iloc[[7, 8]].assign(
        image_id=["tiny/green/900.png", "tiny/blue/901.png"], sha256=["a" * 64, "b" * 64]
    )
    return pd.concat([changed.drop(index=3), more], ignore_index=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, database: str) -> Path:
    """Five nights with a result, of which one found nothing new and one is a candidate; three without one."""
    checkout = tmp_path_factory.mktemp("nights") / "checkout"
    state = checkout / ".perennial"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_MODEL_NAME", "nights")
        patch.setenv("PERENNIAL_REGISTRY_URI", database)
        make_line(checkout, wrong=[1, 2])
        a_night(checkout, FIRST, wrong=[1, 2])
        a_night(checkout, SAME, wrong=[1, 2])
        a_night(checkout, GROWN, model="two", edit=with_manifest(with_changes))
        a_night(checkout, OTHER, model="three", changes={"train": {"seed": 3}})
        a_night(checkout, BAD, wrong=range(60), model="four")
    start = datetime.fromisoformat(started_at(FAILED))
    operations.note_run(state, FAILED, started=start, error=f"{EVIL}: /data/photos: no such folder")
    operations.note_run(state, SKIPPED, started=start, skipped="run x holds the line")
    (state / "workspaces" / KILLED).mkdir()
    return checkout


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, database: str) -> Settings:
    monkeypatch.setenv("PERENNIAL_MODEL_NAME", "nights")
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", database)
    return Settings()


def history_of(shop: Path, settings: Settings) -> History:
    return gather(load_registry(settings, shop), settings)


def copied(shop: Path, tmp_path: Path) -> Path:
    """A copy to forget things in."""
    return Path(shutil.copytree(shop, tmp_path / "copy", symlinks=True))


def test_every_night_is_told_with_what_became_of_it(shop: Path, settings: Settings) -> None:
    history = history_of(shop, settings)

    assert [(night.run, night.outcome) for night in history.nights] == [
        (FIRST, "promote"),
        (SAME, "unchanged"),
        (GROWN, "promote"),
        (OTHER, "candidate"),
        (BAD, "reject"),
        (FAILED, "failed"),
        (SKIPPED, "skipped"),
        (KILLED, "no end"),
    ]
    assert [night.version for night in history.nights] == [1, 1, 2, 3, None, None, None, None]
    assert history.champion == 2
    assert "is the first model" in history.nights[0].sentence
    assert history.nights[3].changes == ("train.seed=3",)
    assert "killed, or the machine stopped" in history.nights[7].sentence


def test_accuracy_has_its_interval_and_the_change_is_that_of_the_gate(
    shop: Path, settings: Settings
) -> None:
    first, _, grown, *_ = history_of(shop, settings).nights

    assert first.score is not None and grown.score is not None and grown.comparison is not None
    assert (first.score.n, round(first.score.top1, 3)) == (60, 0.967)
    assert first.score.low == pytest.approx(first.score.top1 - 0.05)
    assert grown.comparison.n_only_challenger == 2 and grown.comparison.delta == pytest.approx(
        2 / 60
    )


def test_images_and_labels_are_compared_with_the_last_night_of_the_line(
    shop: Path, settings: Settings
) -> None:
    _, same, grown, other, bad, *_ = history_of(shop, settings).nights

    assert same.changed is not None and not any((same.changed.added, same.changed.labels))
    assert grown.changed is not None and grown.since == same.when
    changed = grown.changed
    assert (changed.added, changed.withdrawn, changed.replaced, changed.labels) == (2, 1, 1, 1)
    assert (changed.kept_before, changed.kept_now) == (96, 97)
    assert other.since == bad.since == grown.when  # a candidate is off the line


def test_the_time_of_stages_side_by_side_counts_once_and_a_price_makes_it_a_cost(
    shop: Path, settings: Settings
) -> None:
    night = history_of(shop, settings.model_copy(update={"price_per_hour": "3.60 EUR"})).nights[0]

    assert night.cost is not None
    assert (night.cost.busy_s, night.cost.cpu_s) == (51.0, 90.0)
    assert (night.cost.price, night.cost.currency) == (0.051, "EUR")
    assert history_of(shop, settings).nights[0].cost.price is None  # type: ignore[union-attr]


def test_the_champion_of_each_night_is_the_one_in_use_after_it(
    shop: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {night.champion for night in history_of(shop, settings).nights} == {2}  # tags of today
    turns = [
        ("2099-11-01T02:00:05+00:00", 1),
        ("2099-11-03T02:00:05+00:00", 2),
        ("2099-11-05T02:00:05+00:00", None),  # taken back
    ]
    gathering = importlib.import_module(
        "pipeline_lib.history.gather"
    )  # the package names its function so too
    monkeypatch.setattr(gathering, "champion_turns", lambda *_: turns)

    nights = history_of(shop, settings).nights

    assert [night.champion for night in nights] == [1, 1, 2, 2, None, None, None, None]
    assert nights[1].champion_top1 == pytest.approx(58 / 60) and nights[3].champion_top1 == 1.0
    assert nights[4].champion_top1 is None


def test_what_can_no_longer_be_known_is_said(
    shop: Path, settings: Settings, tmp_path: Path
) -> None:
    copy = copied(shop, tmp_path)
    history_of(copy, settings)
    grown = history_of(copy, settings).nights[2]
    shutil.rmtree(copy / ".dvc/cache")
    shutil.rmtree(copy / ".perennial/reports" / Path(grown.report).parent)

    remembered = history_of(copy, settings).nights[2]
    shutil.rmtree(copy / ".perennial/history")
    forgotten = history_of(copy, settings).nights[2]

    assert remembered.changed == grown.changed
    assert forgotten.changed is None and forgotten.report == ""
    assert "a manifest is no longer in DVC's cache" in " ".join(forgotten.unknown)
    assert "report: removed by retention" in " ".join(forgotten.unknown)
    assert forgotten.score == grown.score  # of the registry
    assert "a manifest is no longer in DVC's cache" in as_text(
        history_of(copy, settings), reports="reports"
    )


def test_a_manifest_that_cannot_be_read_stops_nothing(
    shop: Path, settings: Settings, tmp_path: Path
) -> None:
    copy = copied(shop, tmp_path)
    shutil.rmtree(copy / ".perennial/history", ignore_errors=True)
    for one in (copy / ".dvc/cache/files/md5").rglob("*"):
        if one.is_file() and one.read_bytes()[:4] == b"PAR1":
            one.unlink()  # linked to what other tests read
            one.write_bytes(b"another release's")

    nights = history_of(copy, settings).nights

    assert nights[2].changed is None
    assert "a manifest cannot be read" in " ".join(nights[2].unknown)


def test_the_tags_of_old_runs_may_go_and_the_line_still_tells_of_them(
    shop: Path, settings: Settings, tmp_path: Path
) -> None:
    copy = copied(shop, tmp_path)
    for run in (FIRST, SAME, GROWN, OTHER):
        git(copy, "tag", "-d", f"perennial/run/{run}")

    nights = history_of(copy, settings).nights

    first, same, grown, other = nights[:4]
    assert [one.run for one in nights[:4]] == [FIRST, SAME, GROWN, OTHER]
    assert (first.outcome, grown.outcome, other.outcome) == ("promote", "promote", "candidate")
    assert other.candidate and grown.changed is not None and grown.since == first.when
    assert same.outcome == "unchanged" and "its tag is gone" in same.sentence
    assert same.version is None and same.score is None  # not guessed


def test_a_verdict_that_came_later_is_not_that_of_the_night(shop: Path, settings: Settings) -> None:
    """In a fresh clone the verdict on a refused model is lost; when it was judged again later, that is another night."""
    registry = load_registry(settings, shop)
    versions = registry.versions()
    run = next(one for one in read_runs(shop) if one.name == GROWN)
    own = next(one for one in registry.attempts() if one.tags.get(records.SETTLED_BY) == GROWN)
    outs = {role: own_out(own, role) for role in ("export", "predictions")}

    def met(registered_at: str) -> Night:
        attempt = replace(own, tags={**own.tags, records.REGISTERED_AT: registered_at})
        return met_again(run, outs, [attempt], versions, registry.name).night

    assert met("2099-11-02T00:00:00+00:00").outcome == "unchanged"
    later = met("2099-11-09T00:00:00+00:00")
    assert later.outcome == "unknown" and later.version is None
    assert later.sentence == "The registry holds no verdict on this run."


def own_out(attempt: Attempt, role: str) -> tuple[str, str]:
    return closure_from_json(attempt.tags[records.CLOSURE]).out(role)


def test_a_registration_by_dvc_repro_is_a_night_without_a_run(
    checkout: Path,
) -> None:
    register(make_line(checkout).job())

    (night,) = gather(load_registry(Settings(), checkout), Settings()).nights

    assert (night.run, night.outcome, night.version) == ("", "promote", 1)
    assert night.report and (checkout / ".perennial/reports" / night.report).exists()
    page = (checkout / ".perennial/reports/history.html").read_text()
    assert f'href="{night.report}"' in page  # written with the report


def test_nothing_is_a_history_without_nights(name: str, tmp_path: Path) -> None:
    found = gather(load_registry(Settings(), tmp_path), Settings())

    assert found.nights == ()
    assert summary(found) == f"{name}: 0 nights; no version is champion"


def test_csv_and_json_hold_every_night_and_no_spreadsheet_runs_a_cell(
    shop: Path, settings: Settings
) -> None:
    history = history_of(shop, settings)
    hostile = replace(history.nights[5], sentence="=HYPERLINK(1)")
    history = replace(history, nights=(*history.nights[:5], hostile))

    rows = list(csv.DictReader(io.StringIO(as_csv(history, reports="r"))))
    found = json.loads(as_json(history, reports="r"))

    assert [row["verdict"] for row in rows][:3] == ["promoted", "nothing new", "promoted"]
    assert rows[5]["reason"] == "'=HYPERLINK(1)"
    assert rows[2]["labels_changed"] == "1" and rows[0]["labels_changed"] == ""
    assert found["nights"][0]["report"] == f"r/{history.nights[0].report}"
    assert found["nights"][5]["score"] is None


def test_the_page_links_each_night_to_its_report_and_shows_names_as_text(
    shop: Path, settings: Settings
) -> None:
    history = history_of(shop, settings)

    text = write_page(history, shop / ".perennial/reports").read_text()

    for night in history.nights[:5]:
        assert text.count(f'href="{night.report}"') >= 3  # its mark, its bar, its row
        assert (shop / ".perennial/reports" / night.report).exists()
    assert EVIL not in text and "&lt;script&gt;" in text
    assert "/data/" not in text  # folders of this machine
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy and "script" not in policy[1] and "default-src 'none'" in policy[1]
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)


def test_a_thousand_nights_make_one_page_of_at_most_two_megabytes(tmp_path: Path) -> None:
    nights = [
        Night(f"2024-01-01T{n // 60:02d}:{n % 60:02d}:00+00:00", "", "unchanged", "Nothing new.")
        for n in range(1000)
    ]
    history = History("m", tuple(nights), None, "2026-11-30T00:00:00+00:00")

    text = write_page(history, tmp_path).read_text()

    assert len(text) < 2_000_000
    assert text.count("<details") == 16  # sixty nights each, the newest ones open
    ids = set(re.findall(r' id="([^"]*)"', text))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= ids
    assert len([one for one in ids if one.startswith("night-")]) == 1000


def test_lines_from_before_runs_were_named_belong_to_the_run_in_whose_time_they_end() -> None:
    lines = [
        {
            "stage": stage,
            "started": f"2026-11-01T02:0{n}:00+00:00",
            "wall_s": 30,
            "cpu_s": 5,
            "ok": True,
        }
        for n, stage in enumerate(("curate", "register", "curate", "train", "register"))
    ]
    found = sort_operations(lines)

    group = group_between(found, "2026-11-01T02:02:00+00:00", "2026-11-01T02:05:00+00:00")

    assert [one["stage"] for one in group] == ["curate", "train", "register"]
    cost = cost_of(group, None)
    assert cost is not None and (cost.busy_s, cost.cpu_s, cost.price) == (90.0, 15.0, None)
    assert group_between(found, "2026-11-01T02:00:00+00:00", "2026-11-01T03:00:00+00:00") == ()


def test_gpu_time_is_the_share_in_which_gpus_computed() -> None:
    gpus = [{"name": "x", "used_percent": 50.0}, {"name": "x", "used_percent": 25.0}]
    line = {"stage": "train", "started": "2026-11-01T02:00:00+00:00", "wall_s": 100, "gpus": gpus}

    cost = cost_of([line], None)

    assert cost is not None and cost.gpu_s == 75.0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/home/ana/photos: no such folder", "…/photos: no such folder"),
        ("s3://bucket/a/b: refused", "s3://bucket/a/b: refused"),
        ("see docs/report.md", "see docs/report.md"),
    ],
)
def test_a_page_for_others_names_no_folder_of_this_machine(said: str, shown: str) -> None:
    assert nearby(said) == shown
