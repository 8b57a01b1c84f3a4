"""What the planter writes, and that each planted fault is what its name says."""

from __future__ import annotations

import csv
import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from demo import damage, images
from demo.plant import FORGET, plant
from demo.plant_list import DAMAGE, ODDITIES, PlantList, read_plants, received_label
from pipeline_lib.pixels import PixelRules, Undecodable, decode
from pipeline_lib.reasons import Reason, Remark

RULES = PixelRules()


@pytest.fixture(scope="module")
def files(planted_folder: Path) -> dict[str, bytes]:
    with tarfile.open(planted_folder / "digits.tar") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes_and_the_same_file_times(
    planted_folder: Path, tmp_path: Path
) -> None:
    plant(tmp_path, seed=0)

    for name in ("digits.tar", "votes.csv", "subjects.csv", "plants.json"):
        assert (tmp_path / name).read_bytes() == (planted_folder / name).read_bytes()
    for name in ("digits.tar", "votes.csv", "subjects.csv"):
        assert (tmp_path / name).stat().st_mtime_ns == (planted_folder / name).stat().st_mtime_ns


def test_another_seed_in_the_same_folder_replaces_the_archive_and_its_time(tmp_path: Path) -> None:
    plant(tmp_path, seed=1)
    first = (tmp_path / "digits.tar").stat().st_mtime_ns

    plants = plant(tmp_path, seed=2)

    assert plants.seed == 2
    assert (tmp_path / "digits.tar").stat().st_mtime_ns != first


def test_a_file_that_went_missing_is_planted_again_with_the_same_bytes(
    planted_folder: Path, tmp_path: Path
) -> None:
    plant(tmp_path, seed=0)
    (tmp_path / "votes.csv").unlink()

    plant(tmp_path, seed=0)

    assert (tmp_path / "votes.csv").read_bytes() == (planted_folder / "votes.csv").read_bytes()


def test_planting_again_leaves_the_files_alone(planted_folder: Path) -> None:
    before = (planted_folder / "digits.tar").stat()

    plant(planted_folder, seed=0)

    assert (planted_folder / "digits.tar").stat().st_ctime_ns == before.st_ctime_ns


def test_every_scan_of_scikit_learn_is_in_the_archive_once_before_copies(plants: PlantList) -> None:
    copies = {plant.member for plant in plants.plants if plant.of}

    labels = Counter(label for member, label in plants.true_labels.items() if member not in copies)

    assert labels == Counter(str(label) for label in load_digits().target)


def test_the_scans_are_the_ones_scikit_learn_loads() -> None:
    scans = images.load_scans()

    centres = scans.images[:, 2::4, 2::4].astype(
        float
    )  # one pixel near the middle of each enlarged one
    assert np.corrcoef(centres.ravel(), load_digits().images.ravel())[0, 1] > 0.95
    assert scans.labels == tuple(str(label) for label in load_digits().target)


def test_flipped_labels_differ_from_the_truth_and_all_others_agree(plants: PlantList) -> None:
    wrong = {
        member for member, label in plants.true_labels.items() if received_label(member) != label
    }

    flips = {plant.member for plant in plants.of_kind("flip_uniform", "flip_pair")}
    conflicts = {plant.member for plant in plants.of_kind("duplicate_conflict")}

    assert 60 <= len(flips) <= 70
    assert wrong == flips | conflicts


def test_exact_duplicates_have_the_bytes_or_the_pixels_of_their_original(
    plants: PlantList, files: dict[str, bytes]
) -> None:
    for copy in plants.of_kind("duplicate_bytes", "duplicate_conflict"):
        assert files[copy.member] == files[copy.of]
    for copy in plants.of_kind("duplicate_pixels"):
        assert files[copy.member] != files[copy.of]
        assert np.array_equal(
            decode(files[copy.member], RULES).pixels_HWC, decode(files[copy.of], RULES).pixels_HWC
        )


def test_near_duplicates_differ_a_little_in_their_pixels(
    plants: PlantList, files: dict[str, bytes]
) -> None:
    for copy in plants.of_kind("duplicate_near"):
        here, there = (
            decode(files[name], RULES).pixels_HWC.astype(int) for name in (copy.member, copy.of)
        )

        assert 0 < np.abs(here - there).mean() < 6


def test_a_plain_pillow_takes_a_zeroed_page_for_a_sound_image(
    plants: PlantList, files: dict[str, bytes]
) -> None:
    for plant_ in plants.of_kind("zeroed_page"):
        Image.open(io.BytesIO(files[plant_.member])).load()


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_refused_by_the_decode_policy_with_the_expected_code(
    plants: PlantList, files: dict[str, bytes], kind: str
) -> None:
    planted = plants.of_kind(kind)

    assert len(planted) >= 3
    for plant_ in planted:
        with pytest.raises(Undecodable) as refused:
            decode(files[plant_.member], RULES)
        assert refused.value.reason == Reason(plant_.code)


@pytest.mark.parametrize("kind", ODDITIES)
def test_odd_images_decode_to_a_digit_of_32_pixels(
    plants: PlantList, files: dict[str, bytes], kind: str
) -> None:
    for plant_ in plants.of_kind(kind):
        assert decode(files[plant_.member], RULES).pixels_HWC.shape == (32, 32, 3)
        assert not plant_.code or Remark(plant_.code)


def test_a_rotated_digit_stands_upright_once_its_orientation_is_applied() -> None:
    pixels = images.load_scans().images[0]

    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(images.rotated_jpeg(pixels))))

    assert np.abs(np.asarray(shown).astype(int) - pixels).mean() < 2


def test_the_gps_needles_are_in_the_planted_files_and_in_no_other(
    plants: PlantList, files: dict[str, bytes]
) -> None:
    (needle,) = (bytes.fromhex(text) for text in plants.needles_hex)

    holding = {name for name, data in files.items() if needle in data}

    assert holding == {plant.member for plant in plants.of_kind("gps")}
    assert len(holding) >= 3


def test_three_annotators_of_unequal_quality_voted_on_every_image(
    planted_folder: Path, plants: PlantList
) -> None:
    votes = rows(planted_folder / "votes.csv")

    right = Counter(
        vote["annotator"] for vote in votes if vote["label"] == plants.true_labels[vote["member"]]
    )

    assert len(votes) == 3 * len(plants.true_labels)
    accuracies = {name: count / len(plants.true_labels) for name, count in right.items()}
    assert accuracies["ana"] > 0.96 > accuracies["ben"] > 0.91 > accuracies["cleo"] > 0.80


def test_the_person_to_forget_has_a_dozen_images_without_other_faults(
    planted_folder: Path, plants: PlantList
) -> None:
    people = rows(planted_folder / "subjects.csv")

    theirs = [row["member"] for row in people if row["subject"] == FORGET]

    assert len(theirs) == 12
    assert not plants.involved() & set(theirs)


def test_member_names_tell_nothing_of_the_fault(plants: PlantList) -> None:
    places = [
        int(plant.member.split("/")[1].split(".")[0])
        for plant in plants.of_kind("flip_uniform", "duplicate_bytes")
    ]

    assert max(places) - min(places) > 1500  # spread over the whole archive


def test_the_plant_list_reads_back_as_it_was_written(
    planted_folder: Path, plants: PlantList
) -> None:
    assert read_plants(planted_folder / "plants.json") == plants


def test_a_page_outside_the_file_cannot_be_zeroed() -> None:
    with pytest.raises(ValueError, match="page 3 is not inside a file of 5000 bytes"):
        damage.zeroed_page(bytes(5000), page=3)
