"""Names as stored, names refused, and what folders say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.reasons import Reason
from pipeline_lib.sources.layout import detect_layout
from pipeline_lib.sources.names import (
    class_name,
    decode_name,
    encode_name,
    is_archive,
    is_undecided,
    refusal,
    respelled,
    without_archive_ending,
)
from pipeline_lib.sources.split_names import split_names


@given(st.binary(max_size=40))
def test_a_stored_name_gives_back_the_bytes_it_was_made_from(raw: bytes) -> None:
    stored = encode_name(raw)

    assert decode_name(stored) == raw
    assert stored.encode("utf-8").decode("utf-8") == stored


def test_what_could_mislead_an_eye_or_a_terminal_is_percent_encoded() -> None:
    assert encode_name(b"a\x1b[31m.jpg") == "a%1B[31m.jpg"
    assert encode_name("\u202egpj.a".encode()) == "%E2%80%AEgpj.a"
    assert encode_name(b"caf\xe9.jpg") == "caf%E9.jpg"
    assert encode_name("café #1 100%.jpg".encode()) == "café %231 100%25.jpg"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b.jpg", None),
        ("a/b.JPEG", None),
        ("a/0a1b2c", None),
        ("/etc/b.jpg", Reason.TAR_UNSAFE_MEMBER),
        ("a/../../b.jpg", Reason.TAR_UNSAFE_MEMBER),
        ("a/._b.jpg", Reason.IGNORED_SYSTEM_FILE),
        ("__MACOSX/a/b.jpg", Reason.IGNORED_SYSTEM_FILE),
        ("a/Thumbs.db", Reason.IGNORED_SYSTEM_FILE),
        (".git/x.png", Reason.IGNORED_SYSTEM_FILE),
        ("README.txt", Reason.NOT_A_PICTURE_NAME),
        ("a/b.jpg.xml", Reason.NOT_A_PICTURE_NAME),
        ("LICENSE", Reason.NOT_A_PICTURE_NAME),
        ("a/IMG_1.NEF", Reason.UNSUPPORTED_FORMAT),
        ("a/x.mpo", None),
        ("a/x.jpg?size=large", None),
        ("a/x.jpg_large", None),
        ("a/photo 2.0 (front)", None),
    ],
)
def test_names_are_judged_before_a_byte_is_read(name: str, reason: Reason | None) -> None:
    assert refusal(name) == reason


def test_names_that_say_nothing_are_those_whose_bytes_decide() -> None:
    undecided = ["a/x.jpg?size=large", "a/x.jpg_large", "a/photo 2.0 (front)", "a/0a1b2c", "x.part"]

    assert all(is_undecided(name) for name in undecided)
    assert not any(
        is_undecided(name) for name in ["a/x.jpg", "LICENSE", "a/._x", "a/x.xml", "a/x.nef", "../x"]
    )


@pytest.mark.parametrize(
    "name", ["50%", "C#", "caf\u00e9", "R&D 100% #1", "\u9752\u3044", "100%25"]
)
def test_a_class_is_called_as_people_write_it(name: str) -> None:
    stored = encode_name(name.encode())

    assert told([f"{stored}/a.png", "other/b.png"])[0] == (name, None)


def test_a_class_has_one_spelling_whether_composed_or_not_and_hides_nothing() -> None:
    assert class_name("cafe\u0301") == class_name("caf\u00e9") == "caf\u00e9"
    assert class_name(encode_name(b"caf\xe9")) == "caf%E9"
    assert class_name(encode_name("a\u202eb%".encode())) == "a%E2%80%AEb%"
    assert len(respelled(["cafe\u0301", "caf\u00e9", "tea"])) == 1


def test_an_archive_is_known_by_its_ending() -> None:
    assert is_archive("a/b.TAR.GZ")
    assert not is_archive("a/tar.jpg")
    assert without_archive_ending("a/n01440764.tar") == "a/n01440764"
    assert without_archive_ending("x.tar.gz") == "x"


def told(names: list[str], declared: str = "auto") -> list[tuple[str | None, str | None]]:
    layout = detect_layout(names, declared)
    return [(layout.label(name), layout.split(name)) for name in names]


def test_class_folders_are_found_below_a_wrapping_folder() -> None:
    assert told(["digits/7/a.png", "digits/8/deep/b.png"]) == [("7", None), ("8", None)]


def test_split_folders_give_split_and_class() -> None:
    assert told(["train/cat/a.png", "valid/dog/b.png"]) == [("cat", "train"), ("dog", "val")]


def test_a_class_may_be_called_train_beside_other_classes() -> None:
    assert told(["train/a.png", "bus/b.png"]) == [("train", None), ("bus", None)]


def test_a_single_split_folder_above_classes_is_a_split() -> None:
    assert told(["imagenette/val/n1/a.png", "imagenette/val/n2/b.png"]) == [
        ("n1", "val"),
        ("n2", "val"),
    ]


def test_images_in_a_split_folder_without_class_folder_have_no_class() -> None:
    """As ImageNet's validation images in Kaggle's archive."""
    names = ["CLS-LOC/train/n1/a.JPEG", "CLS-LOC/train/n2/c.JPEG", "CLS-LOC/val/b.JPEG"]

    assert told(names) == [("n1", "train"), ("n2", "train"), (None, "val")]


def test_flat_images_have_neither_class_nor_split() -> None:
    assert told(["all/a.png", "all/b.png"]) == [(None, None), (None, None)]


def test_a_declared_layout_is_taken_at_its_word() -> None:
    assert told(["train/a.png", "val/b.png"], "class_folders") == [("train", None), ("val", None)]
    assert told(["cat/a.png", "dog/b.png"], "flat") == [(None, None), (None, None)]
    assert told(["only/a.png"], "class_folders") == [("only", None)]


@pytest.mark.parametrize("word", ["images", "pictures", "picture", "photos", "imgs"])
def test_a_word_for_images_beside_the_name_of_a_split_says_nothing(word: str) -> None:
    found = split_names([f"{word}_train", f"{word.upper()}-Val"])

    assert found == {f"{word}_train": "train", f"{word.upper()}-Val": "val"}
