"""Whole decisions on small made-up sets, and the files of the stage."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.run import run
from pipeline_lib.errors import ConfigError
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings
from pipeline_lib.sources.source import Source, sources_as_json
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.votes import VOTES
from tests.unit.curate.made_tables import HEADER, WORDS_HEADER, MadeImage, make_found

GIVEN_IMAGES = [
    MadeImage(f"s/{label}{n}", label=label) for label in ("cat", "dog") for n in range(20)
]
PARAMS = CurateParams()


def decided(
    *more: MadeImage, votes: Sequence[tuple[str, str, str]] = (), **params: Any
) -> SimpleNamespace:
    curated = curate(make_found([*GIVEN_IMAGES, *more], votes=votes), CurateParams(**params))
    return SimpleNamespace(rows=curated.manifest.set_index("image_id"), **vars(curated))


def test_every_member_has_one_row_and_one_reason_unless_it_is_kept() -> None:
    curated = decided(
        MadeImage("s/.DS_Store", refusal="ignored_system_file", label=None),
        MadeImage("s/torn", image={"refusal": "decode_truncated"}),
        MadeImage("s/nameless", label=None),
    )

    rows = curated.rows
    assert len(rows) == len(GIVEN_IMAGES) + 3
    assert (rows["reason"].isna() == (rows["decision"] == "keep")).all()
    assert rows["split"].notna().eq(rows["decision"] == "keep").all()
    found = (
        rows.loc[["s/.DS_Store", "s/torn", "s/nameless"], ["decision", "reason"]]
        .to_numpy()
        .tolist()
    )
    assert found == [
        ["remove", "ignored_system_file"],
        ["quarantine", "decode_truncated"],
        ["quarantine", "label_missing"],
    ]
    assert curated.statistics["ledger"]["discovered"] == len(rows)
    assert curated.statistics["features"] == {"pixels": len(GIVEN_IMAGES) + 1}


def test_classes_outside_the_list_are_removed_and_an_absent_one_is_counted() -> None:
    curated = decided(MadeImage("s/cow", label="cow"), classes=("cat", "dog", "unicorn"))

    assert curated.rows.loc["s/cow", ["decision", "reason"]].to_list() == [
        "remove",
        "label_unknown",
    ]
    assert curated.statistics["classes"]["absent"] == 1


def test_a_class_too_small_to_learn_is_quarantined() -> None:
    curated = decided(MadeImage("s/cow", label="cow", split="train"))

    assert curated.rows.loc["s/cow", ["decision", "reason"]].to_list() == [
        "quarantine",
        "class_too_small",
    ]
    assert curated.classes["class_id"].to_list() == ["cat", "dog"]


def test_votes_that_do_not_settle_a_training_image_ask_for_more_and_may_set_it_aside() -> None:
    votes = [
        (f"s/{label}{n}", who, label)
        for label in ("cat", "dog")
        for n in range(9)
        for who in ("ana", "ben")
    ]
    votes += [("s/q", "ana", "dog")]
    question = MadeImage("s/q", split="train")

    kept, aside = (
        decided(question, votes=votes),
        decided(question, votes=votes, undecided_votes="quarantine"),
    )

    assert kept.rows.loc["s/q", "decision"] == "keep"
    assert aside.rows.loc["s/q", ["reason", "decided_by"]].to_list() == ["votes_undecided", "votes"]
    for curated in (kept, aside):
        asked = curated.review[curated.review["kind"] == "need_more_votes"]
        assert asked["image_id"].to_list() == ["s/q"]
        assert asked["note"].iloc[0] == "1 vote does not settle it; 1 more for cat would"


def test_a_image_that_votes_give_another_class_is_remarked() -> None:
    people = ("ana", "ben", "cleo")
    votes = [
        (f"s/{label}{n}", who, label)
        for label in ("cat", "dog")
        for n in range(15)
        for who in people
    ]
    votes += [("s/cat18", who, "dog") for who in people]

    row = decided(votes=votes, max_label_issue_rate=1).rows.loc["s/cat18"]

    assert (row["class_id"], row["flags"], row["decided_by"]) == (
        "dog",
        ["relabelled_by_votes"],
        "votes",
    )


def test_a_doubted_label_of_a_test_image_is_remarked_and_the_image_stays() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (40, 2))
    cats = [
        MadeImage(f"s/cat{n}", "cat", vector=tuple(np.add((0, 1), off)))
        for n, off in enumerate(noise)
    ]
    dogs = [
        MadeImage(f"s/dog{n}", "dog", vector=tuple(np.add((1, 0), off)))
        for n, off in enumerate(noise)
    ]
    odd = MadeImage("s/odd", "cat", split="test", vector=(1.0, 0.0))

    row = (
        curate(make_found([*cats, *dogs, odd]), PARAMS).manifest.set_index("image_id").loc["s/odd"]
    )

    assert (row["decision"], row["flags"], row["label_suggested"]) == (
        "keep",
        ["label_review"],
        "dog",
    )


def test_copies_across_published_splits_leave_training_and_the_leak_is_counted() -> None:
    curated = decided(
        MadeImage("s/a", split="train", looks="x"), MadeImage("s/b", split="test", looks="x")
    )

    assert curated.rows.loc["s/a", "reason"] == "leak_train_eval"
    assert curated.rows.loc["s/b", "decision"] == "keep"
    assert {"before": 1, "after": 0}.items() <= curated.statistics["leakage"].items()


def test_images_of_a_subject_seen_in_test_leave_training() -> None:
    curated = decided(
        MadeImage("s/a", split="train", subject="ann"),
        MadeImage("s/b", split="test", subject="ann"),
    )

    assert curated.rows.loc["s/a", "reason"] == "leak_train_eval"


def test_test_copies_with_different_classes_stay_and_are_shown() -> None:
    curated = decided(
        MadeImage("s/a", split="test", looks="x"), MadeImage("s/b", "dog", split="test", looks="x")
    )

    assert (curated.rows.loc[["s/a", "s/b"], "decision"] == "keep").all()
    shown = curated.review[curated.review["kind"] == "duplicate_conflict"]
    assert shown["image_id"].to_list() == ["s/a", "s/b"]
    assert shown["note"].iloc[0] == "copies of this picture have the classes cat, dog"


def test_poor_images_are_remarked_and_shown_but_used() -> None:
    curated = decided(
        MadeImage("s/night", image={"luminance_p99": 30, "entropy_bit": 1.0, "subject_bit": 0.2}),
        MadeImage("s/soft", image={"blur_ratio": 0.9}),
    )

    assert curated.rows.loc["s/night", "flags"] == ["dark", "low_information"]
    assert curated.rows.loc["s/soft", "flags"] == ["blurred"]
    assert (curated.rows.loc[["s/night", "s/soft"], "decision"] == "keep").all()
    shown = curated.review[curated.review["kind"] == "quality"]
    assert shown[["rank", "image_id", "note"]].to_numpy().tolist() == [
        [1, "s/night", "remarked: dark, low information"],
        [2, "s/soft", "remarked: blurred"],
    ]


SAID = ["luminance_p1", "luminance_p50", "clipped_share", "white_share", "least_sharpness"]


@pytest.mark.parametrize(
    ("figures", "remarks"),
    [
        pytest.param((5, 100, 0.01, 0, 2.2), [], id="ordinary"),
        pytest.param((5, 255, 0.905, 0.9, 2.2), [], id="a product on a white page"),
        pytest.param((5, 255, 0.52, 0.5, 2.2), [], id="a large one, with some colour at its end"),
        pytest.param((5, 200, 0.35, 0.30, 2.2), ["light"], id="colours are cut off"),
        pytest.param((5, 255, 0.60, 0.50, 2.2), ["light"], id="and much is white"),
        pytest.param((90, 200, 0.01, 0, 2.2), ["light"], id="no shadow"),
        pytest.param((90, 120, 0.01, 0, 2.2), [], id="no shadow, by dull light"),
        pytest.param((230, 240, 0.5, 0.5, 2.2), ["light"], id="nothing but light"),
        pytest.param((220, 235, 0.01, 0, 2.2), [], id="a pale surface"),
        pytest.param((5, 100, 0.01, 0, 1.3), ["blurred"], id="moved"),
    ],
)
def test_an_image_is_remarked_as_its_figures_say(
    figures: tuple[float, ...], remarks: list[str]
) -> None:
    image = MadeImage("s/a", image=dict(zip(SAID, figures, strict=True)))

    assert decided(image).rows.loc["s/a", "flags"] == remarks


def test_an_enlarged_thumbnail_is_not_called_blurred() -> None:
    assert (
        decided(MadeImage("s/tiny", side_px=32, image={"blur_ratio": 0.9})).rows.loc[
            "s/tiny", "flags"
        ]
        == []
    )


@pytest.fixture
def job(tmp_path: Path) -> StageRun[CurateParams]:
    """The stage's files for GIVEN_IMAGES, in two feature shards."""
    found = make_found(GIVEN_IMAGES, votes=[("s/cat1", "ana", "cat")])
    reads = {role: tmp_path / f"{role}.parquet" for role in ("members", "images", "votes")} | {
        "features": tmp_path / "features",
        "sources": tmp_path / "sources.json",
    }
    reads["sources"].write_text(sources_as_json((Source(name="s", uri="s"),)))
    for table, role in ((MEMBERS, "members"), (IMAGES, "images"), (VOTES, "votes")):
        table.write(getattr(found, role), reads[role])
    for shard, part in (("a", found.features[::2]), ("b", found.features[1::2])):
        FEATURES.write(part, reads["features"] / f"{shard}.parquet")
    (tmp_path / "curation").mkdir()
    (tmp_path / "curation/overrides.csv").write_text(HEADER)
    (tmp_path / "curation/classes.csv").write_text(WORDS_HEADER)
    tables = (
        "manifest.parquet",
        "review.parquet",
        "soft_labels.parquet",
        "classes.csv",
        "annotators.csv",
    )
    names = (*tables, "stopping.csv", "balance.csv", "selection", "profile.json", "curation.json")
    writes = {name.split(".")[0]: tmp_path / "out" / name for name in names}
    return StageRun(tmp_path, reads, writes, PARAMS, Settings())


def test_the_stage_writes_all_its_tables_and_they_agree(job: StageRun[CurateParams]) -> None:
    run(job)

    manifest = MANIFEST.read(job.writes["manifest"])
    selected = pd.concat(
        [
            SELECTION.read(job.writes["selection"] / f"{name}.parquet")
            for name in ("train", "val", "test")
        ]
    )
    assert set(selected["image_id"]) == set(
        manifest.loc[manifest["decision"] == "keep", "image_id"]
    )
    assert list(REVIEW.read(job.writes["review"]).columns) == [
        column.name for column in REVIEW.columns
    ]
    classes = pd.read_csv(job.writes["classes"])
    assert classes[["n_train", "n_val", "n_test"]].to_numpy().sum() == len(selected)
    assert (
        job.writes["annotators"]
        .read_text()
        .startswith("annotator,n_votes,accuracy,weight,agreement,")
    )
    soft = SOFT_LABELS.read(job.writes["soft_labels"])
    assert soft[["image_id", "class_id"]].to_numpy().tolist() == [["s/cat1", "cat"]]
    assert (
        job.writes["stopping"].read_text()
        == "class_id,n_pictures,first_vote_right,unanimous_votes\n"
    )
    figures = json.loads(job.writes["curation"].read_text())
    assert sum(figures["splits"].values()) == figures["ledger"]["kept"] == len(selected)
    balance = pd.read_csv(job.writes["balance"])
    assert balance["n"].sum() == len(manifest)
    profile = json.loads(job.writes["profile"].read_text())
    assert sum(profile["classes"].values()) == profile["n"] == len(selected)
    assert profile["became"] == {
        name: name for name in sorted(set(manifest["label_received"].dropna()))
    }
    assert all(sum(column["counts"]) == len(selected) for column in profile["columns"].values())
    assert balance.loc[balance["decision"] == "keep", "n"].sum() == len(selected)


def test_the_same_input_gives_the_same_bytes(job: StageRun[CurateParams]) -> None:
    def outputs() -> dict[str, bytes]:
        run(job)
        files = sorted(path for path in (job.checkout / "out").rglob("*") if path.is_file())
        return {path.name: path.read_bytes() for path in files}

    assert outputs() == outputs()


def test_a_missing_overrides_file_says_how_to_get_it_back(job: StageRun[CurateParams]) -> None:
    (job.checkout / "curation/overrides.csv").unlink()

    with pytest.raises(
        ConfigError,
        match="overrides.csv: the file is absent. Remedy: restore it with `git checkout",
    ):
        run(job)


def test_an_overrides_file_in_another_encoding_is_refused(job: StageRun[CurateParams]) -> None:
    (job.checkout / "curation/overrides.csv").write_bytes(
        HEADER.encode() + b"image_id,s/caf\xe9,keep,,,,,\n"
    )

    with pytest.raises(ConfigError, match="not UTF-8 text .*Remedy: save it as UTF-8"):
        run(job)


def test_near_and_mirrored_copies_count_as_leaks_and_leave_training() -> None:
    mirror = 0x5555_5555_5555_5555
    hashes = {
        "s/seen": 0x9D2B_6E41_F078_35C3,
        "s/mirrored": 0x9D2B_6E41_F078_35C3 ^ mirror,
        "s/near": 0x9D2B_6E41_F078_35C2,
    }
    curated = decided(
        *(
            MadeImage(
                name,
                label="cat",
                split="test" if name == "s/seen" else "train",
                details="u",
                image={"phash": bits},
            )
            for name, bits in hashes.items()
        )
    )

    assert curated.statistics["leakage"]["before"] == 2
    assert curated.statistics["leakage"]["after"] == 0
    assert curated.rows.loc[["s/mirrored", "s/near"], "reason"].tolist() == ["leak_train_eval"] * 2
    assert curated.rows.loc["s/seen", "decision"] == "keep"


def test_a_pair_that_might_be_copies_is_asked_about_and_both_stay() -> None:
    first, second = 0x9D2B_6E41_F078_35C3, 0x9D2B_6E41_F078_35C3 ^ 0xFF
    curated = decided(
        MadeImage("s/eval", label="cat", split="test", details="u", image={"phash": first}),
        MadeImage("s/train", label="cat", split="train", details="u", image={"phash": second}),
    )

    asked = curated.review[curated.review["kind"] == "near_review"]
    assert asked["image_id"].tolist() == ["s/train"]
    assert asked["note"].tolist() == ["may be a copy of s/eval (test); both are used"]
    assert curated.rows.loc[["s/eval", "s/train"], "decision"].tolist() == ["keep", "keep"]
