import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_lib.errors import OutputDamaged, ServiceUnavailable, SourceMissing, UsageError
from pipeline_lib.register.run import run
from pipeline_lib.registry import load_registry
from pipeline_lib.registry.closure import closure_from_json, read_closure
from pipeline_lib.registry.dvc_cache import dvc_cache
from pipeline_lib.registry.mlflow_store import MlflowStore
from pipeline_lib.registry.read_sqlite import SqliteReader
from pipeline_lib.registry.records import join_long, split_long
from pipeline_lib.settings import Settings
from testing.served import refusing_port
from testing.tiny_line import make_line


def two_versions(checkout: Path) -> None:
    for wrong, model in (([1], "one"), ([], "two")):
        run(make_line(checkout, wrong=wrong, model=model).job())


def test_what_is_read_straight_from_sqlite_is_what_mlflow_says(
    checkout: Path, name: str, database: str
) -> None:
    two_versions(checkout)

    quick, slow = (
        SqliteReader(Path(database.removeprefix("sqlite:///")), name),
        MlflowStore(database, name),
    )

    assert quick.attempts() == slow.attempts()
    assert quick.versions() == slow.versions()
    assert quick.turn() == slow.turn() == 2
    assert [version.aliases for version in quick.versions()] == [
        ("previous", "reference"),
        ("champion",),
    ]


def test_a_version_has_many_names(checkout: Path, name: str) -> None:
    two_versions(checkout)
    registry = load_registry(Settings(), checkout)

    for ref in (
        "champion",
        "2",
        "v2",
        f"{name}/2",
        f"{name}@champion",
        f"models:/{name}@champion",
        f"models:/{name}/2",
    ):
        assert registry.version(ref).number == 2


def test_an_unknown_version_is_refused_with_those_there_are(checkout: Path) -> None:
    two_versions(checkout)

    message = "no such model version (found: 7). Remedy: name one of: 1 (previous, reference), 2 (champion)"
    with pytest.raises(UsageError, match=re.escape(message)):
        load_registry(Settings(), checkout).version("7")


def test_an_empty_registry_has_no_champion_and_is_not_created_by_asking(tmp_path: Path) -> None:
    registry = load_registry(Settings(), tmp_path)

    assert registry.champion() is None
    with pytest.raises(UsageError, match="no model was registered yet. Remedy: `dvc repro` or"):
        registry.version("7")
    assert not (tmp_path / ".perennial").exists()


def test_rollbacks_walk_back_through_the_promotions(checkout: Path) -> None:
    two_versions(checkout)
    run(make_line(checkout, model="three").job())
    registry = load_registry(Settings(), checkout)

    numbers = [registry.rollback(reason="bad").number for _ in range(2)]

    assert numbers == [2, 1]
    message = "there is no previous champion to go back to. Remedy: a rollback needs two promotions"
    with pytest.raises(UsageError, match=message):
        registry.rollback(reason="bad")


def test_the_export_of_a_version_comes_out_of_the_cache(checkout: Path) -> None:
    line = make_line(checkout)
    run(line.job())
    expected = (line.path("export") / "model.onnx").read_bytes()
    shutil.rmtree(line.path("export"))
    registry = load_registry(Settings(), checkout)

    folder = registry.export_folder(registry.version("champion"))

    assert (folder / "model.onnx").read_bytes() == expected


def test_a_damaged_object_of_the_cache_is_never_handed_out(checkout: Path) -> None:
    line = make_line(checkout)
    run(line.job())
    registry = load_registry(Settings(), checkout)
    champion = registry.version("champion")
    held = registry.cache.object(registry.cache.listing(champion.model_md5)["model.onnx"])
    held.unlink()
    held.write_bytes(b"damaged")

    message = "an object in the DVC cache is not what its name says.*delete the damaged object"
    with pytest.raises(OutputDamaged, match=message):
        registry.export_folder(champion)


def test_an_absent_object_is_named_with_the_command_that_brings_it(checkout: Path) -> None:
    make_line(checkout)

    with pytest.raises(
        SourceMissing, match=f"does not hold this object .found: {'0' * 32}.*`dvc fetch --all-tags`"
    ):
        dvc_cache(checkout, Settings()).object("0" * 32)


def test_the_cache_folder_is_where_dvc_was_told(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = /store\n"
    )
    (tmp_path / ".dvc" / "config.local").write_text("[cache]\n    dir = ../elsewhere\n")

    assert dvc_cache(tmp_path, Settings()).folders == (tmp_path / "elsewhere",)


def test_a_workspace_also_looks_in_the_cache_of_its_origin(tmp_path: Path) -> None:
    found = dvc_cache(tmp_path / "workspace", Settings(root=tmp_path / "origin")).folders

    assert found == (tmp_path / "workspace/.dvc/cache", tmp_path / "origin/.dvc/cache")


def test_a_receipt_survives_the_way_through_the_registry(checkout: Path) -> None:
    make_line(checkout)
    closure = read_closure(checkout)
    tags = {"a": closure.as_json() * 9, "b": "short"}

    assert closure_from_json(closure.as_json()) == closure
    assert join_long(split_long(tags)) == tags


def test_a_server_that_does_not_answer_is_named(name: str) -> None:
    with refusing_port() as port:
        with pytest.raises(
            ServiceUnavailable,
            match=rf"http://127.0.0.1:{port}: the registry refused.*setting registry_uri",
        ):
            MlflowStore(f"http://127.0.0.1:{port}", name)


KILLED_AT_THE_FIFTH_TABLE = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from pipeline_lib.registry.mlflow_store import MlflowStore

made = []

@event.listens_for(Engine, "before_cursor_execute")
def kill(connection, cursor, statement, *others):
    made.append("CREATE TABLE" in statement)
    if sum(made) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

MlflowStore(sys.argv[1], "m")
"""


def test_a_kill_while_the_database_is_made_leaves_nothing_that_the_next_run_refuses(
    tmp_path: Path,
) -> None:
    path = tmp_path / "registry.db"

    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_FIFTH_TABLE, f"sqlite:///{path}"], check=False
    )

    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "registry.db.partial").exists()
    assert not path.exists()
    assert MlflowStore(f"sqlite:///{path}", "m").versions() == []
