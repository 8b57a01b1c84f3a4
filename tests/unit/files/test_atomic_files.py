from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_lib.errors import NoSpace
from pipeline_lib.files.atomic import (
    atomic_file,
    atomic_folder,
    link_or_copy,
    translate_full_disk,
    write_text,
)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "sub" / "a.txt", "hällo")

    assert (tmp_path / "sub" / "a.txt").read_bytes() == "hällo".encode()
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.txt"]


def test_the_old_file_survives_an_error_while_the_new_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_lies_at_the_partial_name_is_not_followed(tmp_path: Path) -> None:
    precious, path = tmp_path / "precious", tmp_path / "out" / "a"
    precious.write_text("mine")
    path.parent.mkdir()
    (path.parent / "a.partial").symlink_to(precious)

    write_text(path, "new")

    assert (precious.read_text(), path.read_text()) == ("mine", "new")
    assert not path.is_symlink()


def test_kill_9_leaves_the_old_file_and_the_next_write_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom pipeline_lib.files.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as f:\n"
        "    f.write(b'half'); f.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )

    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)

    assert killed.returncode == -signal.SIGKILL and path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_the_old_one_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with atomic_folder(path) as folder:
        (folder / "one").write_text("1")

    with pytest.raises(RuntimeError), atomic_folder(path) as folder:
        (folder / "two").write_text("2")
        raise RuntimeError
    left = [p.name for p in path.iterdir()]
    with atomic_folder(path) as folder:
        (folder / "three").write_text("3")

    assert left == ["one"]
    assert [p.name for p in path.iterdir()] == ["three"] and list(tmp_path.iterdir()) == [path]


def test_a_link_shares_the_bytes_and_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")

    link_or_copy(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "a").samefile(tmp_path / "b")


def test_a_full_disk_says_how_much_is_left_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        NoSpace, match=r"the disk is full \(found: \d+ MB left\). Remedy: free some space"
    ):
        with translate_full_disk(tmp_path / "x"):
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EDQUOT, r"the disk quota is used up \(found: Disk quota exceeded\).*larger quota"),
        (
            errno.EFBIG,
            r"a file became larger than is allowed here \(found: File too large\).*ulimit",
        ),
    ],
)
def test_a_quota_and_a_limit_of_files_are_named_for_what_they_are(
    tmp_path: Path, number: int, told: str
) -> None:
    with pytest.raises(NoSpace, match=told), translate_full_disk(tmp_path / "x"):
        raise OSError(number, os.strerror(number))


def test_a_folder_that_could_not_be_filled_leaves_nothing_on_the_full_disk(tmp_path: Path) -> None:
    with pytest.raises(NoSpace), atomic_folder(tmp_path / "shards") as folder:
        (folder / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass_through_untranslated(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), translate_full_disk(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "no")
