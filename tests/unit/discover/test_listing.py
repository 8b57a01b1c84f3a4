"""What discover lists, when it lists, and how it fails."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.discover.run import run
from pipeline_lib.errors import BadData, ConfigError, OutputDamaged, PipelineError, SourceMissing
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.sources.source import read_sources
from pipeline_lib.tables.listing import LISTING

Discover = Callable[..., dict[str, Path]]


def write(path: Path, data: bytes = b"1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def rows(listing: Path) -> list[tuple[str, str, int]]:
    frame = LISTING.read(listing)
    return list(zip(frame["kind"], frame["key"], frame["size_bytes"], strict=True))


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


def faults(listing: Path) -> dict[str, str]:
    frame = LISTING.read(listing).dropna(subset="fault")
    return dict(zip(frame["key"], frame["fault"], strict=True))


def test_a_file_that_cannot_be_read_is_listed_with_why_and_the_others_are_taken(
    discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pics = tmp_path / "pics"
    write(pics / "a" / "1.jpg")
    secret = write(pics / "a" / "secret.jpg")
    (pics / "a" / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    (pics / "a" / "itself.jpg").symlink_to(pics / "a" / "itself.jpg")
    (pics / "a" / "again").symlink_to(pics)
    write(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    (pics / "b").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(pics / "a" / "pipe.jpg")
    monkeypatch.setattr(os, "access", lambda path, mode: path != secret)  # root may read everything

    listing = discover({"uri": "pics"})["listing"]

    assert faults(listing) == {
        "a/again": "broken_link",
        "a/itself.jpg": "broken_link",
        "a/nowhere.jpg": "broken_link",
        "a/pipe.jpg": "unreadable_file",
        "a/secret.jpg": "unreadable_file",
        "b/round": "broken_link",
    }
    assert {key for _, key, _ in rows(listing)} - set(faults(listing)) == {"a/1.jpg", "b/2.jpg"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user of the machine may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def listed_by_another_user(folder: Path) -> list[tuple[str, str | None]]:
    """(key, fault) of all that a place lists; by another user where we are root, who may read everything."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            answer = [(one.key, one.fault) for one in LocalPlace("pics", folder).list()]
        except BaseException as error:
            answer = [(repr(error), None)]
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return sorted((key, fault) for key, fault in json.load(pipe))


def test_a_folder_that_may_not_be_read_is_listed_as_one_fault_and_the_others_are_taken(
    open_folder: Path,
) -> None:
    for name in ("cats/1.jpg", "dogs/deep/2.jpg", "owls/3.jpg", "owls/inside/4.jpg"):
        write(open_folder / "pics" / name)
    (open_folder / "pics" / "dogs" / "deep").chmod(0)
    (open_folder / "pics" / "owls").chmod(0o444)  # its names may be read, and nothing behind them

    found = listed_by_another_user(open_folder / "pics")

    (open_folder / "pics" / "owls").chmod(0o755)
    (open_folder / "pics" / "dogs" / "deep").chmod(0o755)
    assert found == [
        ("cats/1.jpg", None),
        ("dogs/deep", "unreadable_folder"),
        ("owls/3.jpg", "unreadable_file"),
        ("owls/inside", "unreadable_folder"),
    ]


@pytest.mark.parametrize("closed", ["pics", "pics/inside"])
def test_a_source_that_may_not_be_read_at_all_is_named_with_the_remedy(
    open_folder: Path, closed: str
) -> None:
    write(open_folder / "pics" / "inside" / "1.jpg")
    (open_folder / closed).chmod(0)

    [(error, _)] = listed_by_another_user(open_folder / "pics" / "inside")

    (open_folder / closed).chmod(0o755)
    assert re.match(r"ObjectRefused\(.*not allowed to read it .*Remedy: chmod u\+rX", error)


def test_an_archive_that_cannot_be_read_stops_the_run(discover: Discover, tmp_path: Path) -> None:
    write(tmp_path / "pics" / "1.jpg")
    (tmp_path / "pics" / "more.tar").symlink_to(tmp_path / "gone.tar")

    with pytest.raises(
        BadData,
        match=r"pics/more.tar: it cannot be read \(found: broken_link\). Remedy: remove it, f",
    ):
        discover({"uri": "pics"})


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


def test_refresh_never_keeps_the_last_listing_and_says_so(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = write(tmp_path / "pics" / "a.jpg")
    first = discover({"uri": "pics"})["listing"].read_bytes()
    image.write_bytes(b"changed")
    caplog.set_level("INFO")

    kept = discover({"uri": "pics"}, refresh="never")["listing"]

    assert kept.read_bytes() == first
    assert re.search(
        r"refresh: never: the sources were not listed again; the listing of 0.0 h ago is used",
        caplog.text,
    )


def test_refresh_never_needs_no_source_any_more(discover: Discover, tmp_path: Path) -> None:
    image = write(tmp_path / "pics" / "a.jpg")
    first = discover({"uri": "pics"})["listing"].read_bytes()
    image.unlink()

    assert discover({"uri": "pics"}, refresh="never")["listing"].read_bytes() == first


def test_refresh_never_lists_sources_that_were_never_listed(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "pics" / "a.jpg")
    caplog.set_level("INFO")

    listing = discover({"uri": "pics"}, refresh="never")["listing"]

    assert rows(listing) == [("image", "a.jpg", 1)]
    assert "there is no earlier listing of these sources, so they are listed now" in caplog.text


def test_a_listing_is_kept_for_its_hours_and_made_anew_after_them(
    discover: Discover, tmp_path: Path
) -> None:
    image = write(tmp_path / "pics" / "a.jpg")
    first = discover({"uri": "pics"})["listing"].read_bytes()
    image.write_bytes(b"changed")
    assert discover({"uri": "pics"}, refresh=2)["listing"].read_bytes() == first
    [kept] = (tmp_path / ".perennial" / "listing").iterdir()
    three_hours_ago = kept.stat().st_mtime - 3 * 3600
    os.utime(kept, (three_hours_ago, three_hours_ago))

    assert rows(discover({"uri": "pics"}, refresh=2)["listing"]) == [("image", "a.jpg", 7)]


def test_a_mistake_in_another_stages_params_is_found_before_hours_of_work(tmp_path: Path) -> None:
    write(tmp_path / "pics" / "a.jpg")
    text = "discover: {sources: [{name: pics, uri: pics}]}\ndownload: {shard_max: 3}\ninspect: {}\ncurate: {}\n"
    (tmp_path / "params.yaml").write_text(
        text + "convert: {}\ntrain: {recipe: fast}\nevaluate: {}\nregister: {}\n"
    )
    params = DiscoverParams.model_validate({"sources": [{"name": "pics", "uri": "pics"}]})

    with pytest.raises(
        ConfigError, match=r"download.shard_max: no such key, nearest is .*train.recipe = 'fast'"
    ):
        run(StageRun(tmp_path, {}, {}, params, Settings()))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"name": "pics", "uri": "ftp://host/x"},
            "ftp:// cannot be read: name a local path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or",
        ),
        (
            {"name": "pics", "uri": "abfss://images@account.dfs.core.windows.net/x"},
            r"abfss:// cannot be read: name az://container/prefix, and the account in settings.toml",
        ),
        ({"name": "pics", "uri": "gs:///x"}, "the bucket is missing"),
        ({"name": "pics", "uri": "s3://"}, "the bucket is missing"),
        ({"name": "My Pics", "uri": "x"}, "should match pattern"),
        (
            {"name": "pics", "uri": "x", "layout": "class_folders", "splits": {"dev": "val"}},
            "layout class_folders reads no splits",
        ),
        (
            {"name": "pics", "uri": "x", "splits": {"dev": "dev"}},
            "Input should be 'train', 'val' or 'test'",
        ),
        (
            {"name": "pics", "uri": "x", "layout": "folders"},
            "Input should be 'auto', 'class_folders'",
        ),
        (
            {"name": "pics", "uri": "x", "role": "unlabelled", "labels": "l.csv", "split": "test"},
            "role unlabelled: leave out labels and split, or leave out the role",
        ),
    ],
)
def test_a_source_that_cannot_be_is_refused(source: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DiscoverParams.model_validate({"sources": [source]})


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two sources are named pics"):
        DiscoverParams.model_validate(
            {"sources": [{"name": "pics", "uri": "a"}, {"name": "pics", "uri": "b"}]}
        )


def test_a_damaged_sources_file_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "sources.json").write_text("{")

    with pytest.raises(
        OutputDamaged,
        match=r"sources.json: not a list of sources .*Remedy: run `dvc repro discover`",
    ):
        read_sources(tmp_path / "sources.json")


def test_doubtful_folders_are_warned_of_until_params_state_a_reading(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train/cat/1.jpg", "dev/cat/2.jpg", "docs/banner.png"):
        write(tmp_path / "pics" / name)

    listing = discover({"uri": "pics", "layout": "class_folders"})["listing"].read_bytes()
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    shutil.rmtree(tmp_path / ".perennial")
    caplog.clear()
    stated = discover({"uri": "pics", "layout": "class_folders", "splits": {}})[
        "listing"
    ].read_bytes()

    assert warning.startswith(
        "source pics: folders are named like splits (dev, train). They are read as class_folders"
    )
    assert (
        "split_class_folders: 1 classes: cat 2; splits train 1, val 1 (dev is val); 1 without a class"
        in warning
    )
    assert (
        "(layout: split_class_folders, splits: {dev: val, train: train}, for example; `splits: {}` if no"
        in warning
    )
    assert not caplog.records
    assert stated == listing


def test_a_doubt_is_warned_of_once_and_again_when_it_is_another_one(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a params.yaml of an earlier release has it: a layout in doubt that nobody stated."""
    for name in ("train/cat/1.jpg", "dev/cat/2.jpg"):
        write(tmp_path / "pics" / name)

    def warnings() -> list[str]:
        caplog.clear()
        discover({"uri": "pics"})
        return [record.message for record in caplog.records if record.levelname == "WARNING"]

    first = warnings()
    write(tmp_path / "pics" / "train/cat/3.jpg")
    more_images = warnings()
    write(tmp_path / "pics" / "testing/cat/4.jpg")
    more_folders = warnings()

    assert len(first) == 1
    assert more_images == []
    assert len(more_folders) == 1
    assert "(dev, testing, train)" in more_folders[0]
    assert warnings() == []


def test_numbered_archives_are_warned_of_by_their_names(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        write(tmp_path / "pics" / f"{number:06}.tar")

    discover({"uri": "pics"})

    assert (
        "the archives are numbered like parts of one data set (000000, 000001, 000002)"
        in caplog.text
    )


def test_a_table_of_labels_is_listed_and_params_without_one_describe_sources_as_before(
    discover: Discover, tmp_path: Path
) -> None:
    write(tmp_path / "pics" / "1.jpg")
    write(tmp_path / "labels.csv", b"file,label\n1,cat\n")

    written = discover({"uri": "pics", "labels": "labels.csv"})

    assert rows(written["listing"]) == [("image", "1.jpg", 1), ("labels", "labels.csv", 17)]
    assert '"splits"' not in discover({"uri": "pics"})["sources"].read_text()


def test_what_training_needs_is_checked_again_only_where_something_will_run(
    discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[object] = []
    monkeypatch.setattr("pipeline_lib.train.preflight.look_ahead", checks.append)
    write(tmp_path / "pics" / "a" / "1.jpg")

    def n_checks(**settings: str) -> int:
        checks.clear()
        discover({"uri": "pics"}, **settings)
        return len(checks)

    assert [n_checks(), n_checks()] == [1, 0]
    write(tmp_path / "pics" / "a" / "2.jpg")
    assert [n_checks(), n_checks()] == [1, 0]
    assert n_checks(device="cpu") == 1
