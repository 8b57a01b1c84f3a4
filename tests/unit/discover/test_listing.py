"""What discover lists: each file, archive and table, and the same bytes each time."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from pipeline_lib.errors import PipelineError, SourceMissing
from pipeline_lib.sources.source import read_sources
from pipeline_lib.tables.listing import LISTING
from tests.unit.discover.listed import Discover, rows, write


def test_every_file_of_a_folder_is_a_row_hidden_ones_and_archives_too(
    discover: Discover, tmp_path: Path
) -> None:
    for name in ("a/1.jpg", "a/.DS_Store", "b/deep/2.png", "more.tar.gz", "README.txt"):
        write(tmp_path / "pics" / name)

    listing = discover({"uri": "pics"})["listing"]

    assert rows(listing) == [
        ("archive", "more.tar.gz", 1),
        ("image", "README.txt", 1),
        ("image", "a/.DS_Store", 1),
        ("image", "a/1.jpg", 1),
        ("image", "b/deep/2.png", 1),
    ]


def test_an_archive_is_one_row_with_its_checksum_and_the_csv_files_are_rows_too(
    discover: Discover, tmp_path: Path
) -> None:
    write(tmp_path / "pics.tar", b"123")
    write(tmp_path / "votes.csv", b"1234")
    write(tmp_path / "who" / "subjects.csv", b"12345")

    written = discover(
        {
            "uri": "pics.tar",
            "votes": "votes.csv",
            "subjects": str(tmp_path / "who" / "subjects.csv"),
        }
    )

    assert rows(written["listing"]) == [
        ("archive", "pics.tar", 3),
        ("subjects", "subjects.csv", 5),
        ("votes", "votes.csv", 4),
    ]
    checksum = LISTING.read(written["listing"])["checksum"].iloc[0]
    assert checksum == f"sha256:{hashlib.sha256(b'123').hexdigest()}"
    assert [source.votes for source in read_sources(written["sources"])] == ["votes.csv"]


def test_an_unchanged_source_gives_the_same_bytes(discover: Discover, tmp_path: Path) -> None:
    for n in range(30):
        write(tmp_path / "pics" / f"{n}.jpg")

    first = {role: path.read_bytes() for role, path in discover({"uri": "pics"}).items()}

    assert {role: path.read_bytes() for role, path in discover({"uri": "pics"}).items()} == first


def test_no_path_of_this_machine_is_in_what_discover_writes(
    discover: Discover, tmp_path: Path
) -> None:
    write(tmp_path / "pics" / "a.jpg")

    written = discover({"uri": "pics"})

    assert all(str(tmp_path).encode() not in path.read_bytes() for path in written.values())


def test_a_name_that_is_not_utf8_is_listed_percent_encoded(
    discover: Discover, tmp_path: Path
) -> None:
    write(tmp_path / "pics" / os.fsdecode(b"caf\xe9.jpg"))

    assert rows(discover({"uri": "pics"})["listing"]) == [("image", "caf%E9.jpg", 1)]


def test_linked_files_and_folders_are_followed(discover: Discover, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "a.jpg", b"12")
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pics" / "b.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")

    assert rows(discover({"uri": "pics"})["listing"]) == [
        ("image", "b.jpg", 2),
        ("image", "cats/a.jpg", 2),
    ]


def test_a_date_after_2262_stops_nothing(discover: Discover, tmp_path: Path) -> None:
    file = write(tmp_path / "pics" / "1.jpg")
    os.utime(file, (2**33 + 2**32, 2**33 + 2**32))  # in 2378, the last that ext4 keeps is in 2446

    assert rows(discover({"uri": "pics"})["listing"]) == [("image", "1.jpg", 1)]


def test_a_missing_source_is_named_with_where_it_was_looked_for(
    discover: Discover, tmp_path: Path
) -> None:
    expected = re.escape(
        f"pics.tar: no such file or folder (found: looked at {tmp_path}/pics.tar). Remedy: fix discover.sources"
    )
    with pytest.raises(SourceMissing, match=expected):
        discover({"uri": "pics.tar"})


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("a\0b", "not a path that can be followed .*embedded null"),
        ("~nobody-of-this-name/x", "not a path that can be followed .*home directory"),
        ("circle", "not a path that can be followed .*[Ll]oop"),
        ("n" * 5000, "File name too long"),
        ("pipe", "pipe: neither a file nor a folder"),
    ],
)
def test_what_is_no_file_or_folder_is_named_and_never_waited_for(
    discover: Discover, tmp_path: Path, uri: str, said: str
) -> None:
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(PipelineError, match=said):
        discover({"uri": uri})


def test_a_missing_votes_file_is_named(discover: Discover, tmp_path: Path) -> None:
    write(tmp_path / "pics.tar")

    with pytest.raises(SourceMissing, match=r"votes.csv: no such file or folder"):
        discover({"uri": "pics.tar", "votes": "votes.csv"})


def test_an_empty_folder_is_a_missing_source(discover: Discover, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()

    with pytest.raises(
        SourceMissing,
        match=r"pics: nothing is there. Remedy: fix discover.sources in params.yaml, or put",
    ):
        discover({"uri": "pics"})


def test_a_table_of_labels_is_listed_and_params_without_one_describe_sources_as_before(
    discover: Discover, tmp_path: Path
) -> None:
    write(tmp_path / "pics" / "1.jpg")
    write(tmp_path / "labels.csv", b"file,label\n1,cat\n")

    written = discover({"uri": "pics", "labels": "labels.csv"})

    assert rows(written["listing"]) == [("image", "1.jpg", 1), ("labels", "labels.csv", 17)]
    assert '"splits"' not in discover({"uri": "pics"})["sources"].read_text()
