from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline_lib.harness.memo import FILES, Memo, digest, stage_key


def make(tmp_path: Path) -> tuple[Memo, Path]:
    result = tmp_path / "work" / "a.bin"
    result.parent.mkdir()
    result.write_bytes(b"result")
    return Memo(tmp_path / "memo", "key-1"), result


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    memo, result = make(tmp_path)
    memo.keep("shard-1", [result])

    found = memo.restore("shard-1", tmp_path / "other")

    assert (
        found
        and (tmp_path / "other/a.bin").read_bytes() == b"result"
        and (memo.hits, memo.misses) == (1, 0)
    )


def test_another_unit_or_another_stage_key_finds_nothing(tmp_path: Path) -> None:
    memo, result = make(tmp_path)
    memo.keep("shard-1", [result])

    assert not memo.restore("shard-2", tmp_path / "other")
    assert not Memo(tmp_path / "memo", "key-2").restore("shard-1", tmp_path / "other")


def test_a_damaged_entry_counts_as_absent_and_is_dropped(tmp_path: Path) -> None:
    memo, result = make(tmp_path)
    memo.keep("shard-1", [result])
    entry = next((tmp_path / "memo").glob("*/*"))
    (entry / "a.bin").unlink()
    (entry / "a.bin").write_bytes(b"rotten")

    found = memo.restore("shard-1", tmp_path / "other")

    assert not found and not (tmp_path / "other").exists()


def test_a_file_is_read_again_only_when_its_size_date_or_inode_is_another(tmp_path: Path) -> None:
    memo, result = make(tmp_path)
    memo.keep("shard-1", [result])
    kept = next((tmp_path / "memo").glob("*/*")) / "a.bin"
    date = kept.stat().st_mtime_ns

    kept.write_bytes(b"resulT")
    os.utime(kept, ns=(date, date))
    unread = memo.restore("shard-1", tmp_path / "other")
    os.utime(kept, ns=(date, date + 1))
    read = memo.restore("shard-1", tmp_path / "other")

    assert (unread, read) == (True, False)


def test_a_sound_file_with_another_date_is_still_known(tmp_path: Path) -> None:
    memo, result = make(tmp_path)
    memo.keep("shard-1", [result])
    os.utime(next((tmp_path / "memo").glob("*/*")) / "a.bin", ns=(0, 0))

    assert memo.restore("shard-1", tmp_path / "other")


def test_entries_nobody_asked_for_are_forgotten_after_their_days(tmp_path: Path) -> None:
    memo, result = make(tmp_path)
    memo.keep("old", [result])
    memo.keep("new", [result])
    old = memo._entry("old") / FILES
    os.utime(old, (time.time() - 10 * 86_400,) * 2)

    gone = memo.forget_older_than(7)

    assert (
        gone == 1
        and not memo.restore("old", tmp_path / "x")
        and memo.restore("new", tmp_path / "y")
    )


def test_the_stage_key_changes_with_format_params_and_library_versions() -> None:
    keys = {
        stage_key(format_version=1, params="{}", libraries=("numpy",)),
        stage_key(format_version=2, params="{}", libraries=("numpy",)),
        stage_key(format_version=1, params='{"a":1}', libraries=("numpy",)),
        stage_key(format_version=1, params="{}", libraries=("pandas",)),
    }

    assert len(keys) == 4


def test_a_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(b"")

    assert (
        digest(tmp_path / "e") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
