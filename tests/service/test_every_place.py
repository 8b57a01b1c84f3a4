"""What is the same on every kind of server: names, labels, votes, subjects, and images in Parquet, through `curate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer
from scripts.sets_of_tables import hugging_face_ints_set, tsv_set
from testing.curated import curate_source, write_files
from testing.s3_server import CREDENTIALS, s3_server
from testing.sources import SMALL_SHARDS, take_sources
from tests.support.emulators import BUCKET, azure, google
from tests.support.web_server import WebServer

pytestmark = pytest.mark.service
Put = Callable[[Mapping[str, bytes]], None]


class Server:
    """A server of one kind. base: the address below which `put` lays files. places: the settings that lead there."""

    def __init__(
        self, kind: str, base: str, put: Put, places: Mapping[str, Any], environment: Any = ()
    ) -> None:
        self.kind, self.base, self.put, self.places = kind, base, put, places
        self.environment = dict(environment)


@contextmanager
def of_s3() -> Iterator[Server]:
    with s3_server(BUCKET) as server:
        places = {"s3_endpoint_url": server.url}
        yield Server("s3", f"s3://{BUCKET}/", server.put, places, CREDENTIALS)


@contextmanager
def of_the_web() -> Iterator[Server]:
    with WebServer({}) as server:
        yield Server("https", f"{server.url}/", server.files.update, {"allow_private_urls": True})


@contextmanager
def of_a_cloud(start: Any) -> Iterator[Server]:
    with start() as cloud:
        yield Server(cloud.scheme, cloud.uri(), cloud.put, cloud.settings(), cloud.environment)


STARTS: dict[str, Callable[[], Any]] = {
    "s3": of_s3,
    "https": of_the_web,
    "gs": lambda: of_a_cloud(google),
    "az": lambda: of_a_cloud(azure),
}


@pytest.fixture(scope="module", params=STARTS)
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STARTS[request.param]() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


# Spaces, percent and hash signs, letters in two cases and two normal forms, 1,024 bytes, what no terminal should obey.
NAMES = (
    "0/A.jpg",
    "0/a.jpg",
    "0/caf\u00e9.jpg",
    "0/cafe\u0301.jpg",
    "0/ 100%25 #1+&?.jpg",
    "0/~^|<>$@!.jpg",
    "0/\u202egpj.jpg",
    "0/.hidden.jpg",
    f"1/{'d' * 250}/{'e' * 250}/{'f' * 250}/{'g' * 60}/{'n' * 198}.jpg",
)


def test_names_are_taken_as_from_a_local_folder(server: Server, tmp_path: Path) -> None:
    files = {f"names/{name}": name.encode() for name in NAMES} | {"names/0/empty.jpg": b""}
    is_web = server.kind == "https"
    write_files(tmp_path, files)
    server.put({quote(name): data for name, data in files.items()} if is_web else files)
    assert max(len(name.encode()) for name in files) == 1024
    uri, prefix = f"{server.base}names", "pics/"
    if is_web:
        server.put({"urls.txt": "\n".join(server.base + quote(name) for name in files).encode()})
        uri, prefix = (
            f"{server.base}urls.txt",
            f"pics/{urlsplit(uri).netloc.replace(':', '_')}/names/",
        )
    settings = Settings(workers=2, **server.places)
    near, far = (
        take_sources(tmp_path, ({"uri": one},), out=out, params=SMALL_SHARDS, settings=settings)
        for one, out in (("names", "near"), (uri, "far"))
    )

    assert near.members["refusal"].dropna().to_dict() == {
        "pics/0/.hidden.jpg": "ignored_system_file"
    }
    told = ["sha256", "refusal"]
    found = far.members[told].rename(index=lambda name: f"pics/{name.removeprefix(prefix)}")
    assert found.sort_index().equals(near.members[told].sort_index())


def counts(told: Mapping[str, str]) -> dict[str, int]:
    return dict(Counter(filter(None, told.values())))


def test_a_table_beside_the_images_tells_the_classes(server: Server, tmp_path: Path) -> None:
    """Of a web server the images are a list of URLs: nobody lists its folders."""
    rows = [f"{n}.jpg,{'cat' if n % 2 else 'dog'}\n" for n in range(12)]
    files = {**tsv_set(), "labels.csv": "".join(["file_name,label\n", *rows]).encode()}
    server.put(files)
    uri = f"{server.base}pics"
    if server.kind == "https":
        names = [name for name in files if name.endswith(".jpg")]
        server.put({"urls.txt": "\n".join(server.base + name for name in names).encode()})
        uri = f"{server.base}urls.txt"

    answer = SourceAnswer(labels=f"{server.base}labels.csv")
    taken = curate_source(tmp_path, uri, answer=answer, places=server.places)

    assert counts(taken.labels) == {"cat": 6, "dog": 6}
    assert f"labels: {server.base}labels.csv" in taken.params.replace('"', "")


def test_images_in_parquet_are_read_with_their_labels(server: Server, tmp_path: Path) -> None:
    [whole] = hugging_face_ints_set().values()
    server.put({"data/train.parquet": whole})

    taken = curate_source(tmp_path, f"{server.base}data/train.parquet", places=server.places)

    assert counts(taken.labels) == {"0": 6, "1": 6}


def test_votes_and_subjects_are_read_from_the_same_place(server: Server, tmp_path: Path) -> None:
    """The images lie in a local folder: each file of a source has its own address."""
    files = {name: data for name, data in tsv_set().items() if name.endswith(".jpg")}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    members = [Path(name).name for name in files]
    votes = "member,annotator,label\n" + "".join(
        f"{one},{who},{'cat' if n % 2 else 'dog'}\n"
        for n, one in enumerate(members)
        for who in "abc"
    )
    subjects = "member,subject\n" + "".join(f"{one},s{n // 2}\n" for n, one in enumerate(members))
    server.put({"votes.csv": votes.encode(), "subjects.csv": subjects.encode()})
    base = server.base
    params = f"""discover:
  sources:
  - {{name: pics, uri: pics, votes: "{base}votes.csv", subjects: "{base}subjects.csv"}}
download: {{}}
inspect: {{}}
curate: {{}}
convert: {{}}
train: {{recipe: quick}}
evaluate: {{}}
register: {{}}
"""
    taken = curate_source(tmp_path, "pics", params=params, places=server.places)

    assert counts(taken.labels) == {"cat": 6, "dog": 6}
    assert taken.members["subject"].nunique() == 6
