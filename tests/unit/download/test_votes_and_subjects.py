"""CSV files beside the images: every mistake is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.download.annotations import read_subjects, read_votes
from pipeline_lib.errors import BadData
from testing.sources import Take, tar_of

MEMBERS = frozenset({"a/1.jpg", "a/2.jpg", "b/caf%E9 %231.jpg"})


def votes(text: str | bytes) -> list[tuple[int, str, str, str]]:
    data = text.encode() if isinstance(text, str) else text
    lines = read_votes(data, file="votes.csv", members=MEMBERS)
    return [
        (line.number, line.member, line.cells["annotator"], line.cells["label"]) for line in lines
    ]


def test_votes_and_subjects_join_their_images(take: Take, tmp_path: Path) -> None:
    tar_of(tmp_path / "pics.tar", {"./a/1.jpg": b"1", "./b/2.jpg": b"2"})
    (tmp_path / "votes.csv").write_text(
        "member,annotator,label\na/1.jpg,ana,a\na/1.jpg,ben,b\n./b/2.jpg,ana,b\n"
    )
    (tmp_path / "subjects.csv").write_text("member,subject\nb/2.jpg,person 7\n")

    taken = take({"uri": "pics.tar", "votes": "votes.csv", "subjects": "subjects.csv"})

    assert taken.votes.to_numpy().tolist() == [
        ["pics/a/1.jpg", "ana", "a"],
        ["pics/a/1.jpg", "ben", "b"],
        ["pics/b/2.jpg", "ana", "b"],
    ]
    assert taken.members["subject"].fillna("").to_dict() == {
        "pics/a/1.jpg": "",
        "pics/b/2.jpg": "person 7",
    }


def test_a_pattern_or_a_column_tells_the_subjects_without_a_file_of_them(
    take: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tar_of(tmp_path / "pics.tar", {f"a/{name}.jpg": b"1" for name in ("ann_1", "ann_2", "cover")})
    table = "file,label,person\nann_1.jpg,a,p1\nann_2.jpg,a,p2\ncover.jpg,a,\n"
    (tmp_path / "labels.csv").write_text(table)

    by_name = take({"uri": "pics.tar", "subject_from": "{subject}_*"}).members["subject"]
    by_cell = take({"uri": "pics.tar", "subject_from": "person", "labels": "labels.csv"})

    assert by_name.fillna("").tolist() == ["ann", "ann", ""]
    assert by_cell.members["subject"].fillna("").tolist() == ["p1", "p2", ""]
    assert "1 images do not fit subject_from {subject}_* and have no subject: a/cover.jpg" in (
        caplog.text
    )
    with pytest.raises(
        BadData, match=r"no image fits subject_from {subject}-\* .*a/ann_1.jpg, a/a"
    ):
        take({"uri": "pics.tar", "subject_from": "{subject}-*"})


def test_byte_order_mark_windows_line_ends_quotes_and_further_columns_are_read() -> None:
    text = b'\xef\xbb\xbflabel,member,annotator,when\r\n" a ",a/1.jpg,ana,2026\r\n"b, c",a/2.jpg,ana,2026\r\n'

    assert votes(text) == [(2, "a/1.jpg", "ana", "a"), (3, "a/2.jpg", "ana", "b, c")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "member;annotator;label\n",
            r"votes.csv:1: the columns are not as they should be \(found: member;annotator;label\)",
        ),
        (
            "member,label\na/1.jpg,a\n",
            r"votes.csv:1: the columns .*Remedy: if these are labels, one for each image, name .* as `labels`",
        ),
        ("member,annotator,label,label\n", "votes.csv:1: the columns"),
        ("", "votes.csv:1: the columns"),
        ("member,annotator,label\na/1.jpg,ana\n", "votes.csv:2: an empty cell"),
        ("member,annotator,label\na/1.jpg,ana,  \n", "votes.csv:2: an empty cell"),
        (
            "member,annotator,label\na/9.jpg,ana,a\n",
            r"no line names an image that the source has \(found: line 2: a/9.jpg\). Remedy: write members as paths",
        ),
        (
            "member,annotator,label\na/1.jpg,ana,a\na/1.jpg,ana,b\n",
            r"1 lines repeat another \(found: lines 2 and 3: a/1.jpg, ana\)",
        ),
        ('member,annotator,label\n"a/1.jpg"x,ana,a\n', "votes.csv:2: not valid CSV"),
        (b"member,annotator,label\na/\xff.jpg,ana,a\n", "votes.csv: not UTF-8 text"),
    ],
)
def test_a_mistake_in_a_votes_file_is_named_with_its_line(text: str | bytes, message: str) -> None:
    with pytest.raises(BadData, match=message):
        votes(text)


def test_votes_on_withdrawn_images_are_left_out_and_the_first_five_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = "".join(f"gone/{n}.jpg,ana,a\n" for n in range(7))

    read = votes("member,annotator,label\n" + lines + "a/1.jpg,ana,a\n")

    assert read == [(9, "a/1.jpg", "ana", "a")]
    assert (
        "votes.csv: 7 lines ignored, since the source has no such images: line 2: gone/0.jpg"
        in caplog.text
    )
    assert "line 6: gone/4.jpg" in caplog.text and "gone/5.jpg" not in caplog.text


def test_a_member_has_one_subject() -> None:
    with pytest.raises(BadData, match=r"1 lines repeat another \(found: lines 2 and 3: a/1.jpg\)"):
        read_subjects(
            b"member,subject\na/1.jpg,x\na/1.jpg,y\n", file="subjects.csv", members=MEMBERS
        )


def test_a_name_typed_by_people_finds_the_file_that_macos_named() -> None:
    """Composed on a keyboard (NFC), decomposed on the disk (NFD); labels are composed."""
    data = "member,annotator,label\ncaf\u00e9/1.jpg,ana,the\u0301\n".encode()

    lines = read_votes(data, file="votes.csv", members=frozenset({"cafe\u0301/1.jpg"}))

    assert [line.member for line in lines] == ["cafe\u0301/1.jpg"]
