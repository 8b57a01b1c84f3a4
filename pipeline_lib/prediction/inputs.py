"""What names mean: files, folders, patterns, archives, objects of a bucket, addresses of the web, names on standard input."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline_lib.errors import PipelineError, SourceMissing, UsageError
from pipeline_lib.harness.work_in_order import Pause
from pipeline_lib.prediction.archives import (
    BESIDE_IMAGES,
    local_images,
    refused,
    remote_images,
)
from pipeline_lib.prediction.buckets import BucketElsewhere
from pipeline_lib.prediction.items import (
    Faulty,
    Item,
    LocalFile,
    Reader,
    Remote,
    WebImage,
    concerns_all,
    in_words_of_predict,
    web_name,
)
from pipeline_lib.prediction.piped_names import piped_names
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.sources.names import (
    decode_name,
    encode_name,
    is_archive,
    is_image_name,
    is_undecided,
    refusal,
)
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.places import split_address
from pipeline_lib.sources.schemes import form_in_place_of, is_in_bucket, scheme_of
from pipeline_lib.sources.web.place import HttpPlace
from pipeline_lib.sources.web.urls import is_web, name_of, parse_url

STDIN = "-"
log = logging.getLogger(__name__)


def named_items(
    names: Sequence[str], reader: Reader, *, stdin: int, nul: bool
) -> Iterator[Item | Pause]:
    """Yield what is named, in this order, each once; a name of which nothing can be had becomes a Faulty item.

    names: with folders and prefixes (all images below them, sorted), patterns, archives, and STDIN for one name a line
    of the file `stdin` (nul: separated by zero bytes), which is an image or an archive, and comes as often as it is
    named. Raises UsageError for a standard input that is no list of names, and what concerns a whole bucket.
    """
    seen: set[bytes] = set()
    for name in names:
        if name == STDIN:
            yield from _piped(piped_names(stdin, nul=nul), reader)
            continue
        for item in _expanded(name, reader):
            mark = hashlib.blake2b(os.fsencode(item.name), digest_size=16).digest()
            if mark not in seen:
                seen.add(mark)
                yield item


def refuse_empty(names: Iterable[str], reader: Reader) -> None:
    """Raise what is wrong with a folder, pattern or bucket of which nothing can be had, before anything else is done."""
    for name in names:
        if name != STDIN and _holds_many(name):
            first = next(_expanded(name, reader))
            if isinstance(first, Faulty) and first.name == name:
                raise first.fault


def _piped(names: Iterator[str | Pause], reader: Reader) -> Iterator[Item | Pause]:
    is_empty = True
    for name in names:
        if isinstance(name, Pause):
            yield name
            continue
        is_empty = False
        yield from _guarded(name, _one(name, reader))
    if is_empty:  # no fault: on some nights there is nothing new
        log.warning("standard input holds no name")


def _expanded(name: str, reader: Reader) -> Iterator[Item]:
    return _guarded(name, _many(name, reader))


def _guarded(name: str, items: Iterator[Item]) -> Iterator[Item]:
    """The same items; a fault or nothing at all becomes one that has this name."""
    name = web_name(name) if is_web(name) else name
    item: Item | None = None
    try:
        for item in items:
            yield item
    except PipelineError as fault:
        if concerns_all(fault, name):
            raise
        item = Faulty(name, in_words_of_predict(fault) if "://" in name else fault)
        yield item
    except OSError as error:
        what, remedy = "cannot be read", "name an image file, or a folder that holds some"
        item = Faulty(name, SourceMissing(what, file=name, value=error.strerror, remedy=remedy))
        yield item
    if item is None:
        remedy = "name image files, or a folder that holds some"
        yield Faulty(name, UsageError("no image is there", file=name, remedy=remedy))


def _many(name: str, reader: Reader) -> Iterator[Item]:
    """What a name on the command line stands for."""
    if is_web(name):
        yield from _of_web(name, reader, is_named=True)
        return
    if is_in_bucket(name):
        yield from _of_bucket(name, reader)
        return
    _refuse_scheme(name)
    path = Path(name).expanduser()
    if path.is_dir():
        yield from _of_place(path, LocalPlace(name, path), reader)
    elif _is_pattern(name):
        for match in sorted(glob.glob(str(path), recursive=True)):  # noqa: PTH207 - it may be absolute
            if Path(match).is_file():
                yield from _file(Path(match), reader)
    else:
        yield from _file(path, reader)


def _one(name: str, reader: Reader) -> Iterator[Item]:
    """What a name on standard input stands for: one image or archive, as it is spelled."""
    if is_web(name):
        yield from _of_web(name, reader, is_named=False)
        return
    if is_in_bucket(name):
        yield from _object(name, reader)
        return
    _refuse_scheme(name)
    path = Path(name)
    if path.is_dir():
        remedy = "write the names of files (`find photos -type f | perennial predict -`)"
        raise UsageError("a folder among the names on standard input", file=name, remedy=remedy)
    yield from _file(path, reader)


def _refuse_scheme(name: str) -> None:
    """Raise UsageError for the address of a kind that is not read."""
    if scheme := scheme_of(name):
        remedy = f"name {form_in_place_of(scheme)}"
        raise UsageError(f"{scheme}:// cannot be read", file=name, remedy=remedy)


def _holds_many(name: str) -> bool:
    if is_web(name):
        return False
    if is_in_bucket(name):
        return not _is_object(name)
    return _is_pattern(name) or Path(name).expanduser().is_dir()


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not Path(name).expanduser().exists()


def _file(path: Path, reader: Reader) -> Iterator[Item]:
    if is_archive(path.name) and path.is_file():
        return local_images(str(path), path, reader)
    return iter([LocalFile(str(path))])


def _of_place(folder: Path | str, place: Place | BucketElsewhere, reader: Reader) -> Iterator[Item]:
    """The images of a folder or of a prefix, also those in archives, in the order of the listing.

    As in a source, files whose names are not those of images are left out.
    """
    for found in place.list():
        below = os.fsdecode(decode_name(found.key))
        path = folder / below if isinstance(folder, Path) else None
        name = str(path) if path else f"{folder}{below}"
        reason = found.fault or (None if is_archive(found.key) else refusal(found.key))
        if reason:
            if reason not in BESIDE_IMAGES:
                yield Faulty(name, refused(name, reason))
        elif is_archive(found.key) and path:
            yield from local_images(name, path, reader)
        elif is_archive(found.key):
            yield from remote_images(name, place, found, reader)
        elif path:
            yield LocalFile(name)
        else:
            yield Remote(name, place.address, found.key, found)


def _of_web(address: str, reader: Reader, *, is_named: bool) -> Iterator[Item]:
    """The image or archive at an address. is_named: on the command line, so that it may lie in the own network."""
    name, url = web_name(address), parse_url(address, file=web_name(address))
    last = url.path.rpartition("/")[2]
    # whether an address without a file extension is an archive, its server tells: asked where a person named it
    is_open = is_named and not is_image_name(last)
    if not (is_archive(last) or is_open):
        yield WebImage(name, url, is_named)
        return
    place = HttpPlace(name, {name_of(url): url}, reader.settings, is_list=not is_named)
    (found,) = place.list()
    if is_archive(found.key):
        yield from remote_images(name, place, found, reader)
    else:
        yield WebImage(name, url, is_named)


def _of_bucket(name: str, reader: Reader) -> Iterator[Item]:
    """The object of this key, or all below it as a prefix. Raises UsageError without a bucket."""
    if _is_object(name):
        yield from _object(name, reader)
        return
    if not split_address(name)[0]:
        remedy = f"write {scheme_of(name)}://BUCKET/PREFIX"
        raise UsageError("no bucket is named", file=name, remedy=remedy)
    address = name if name.endswith("/") else f"{name}/"
    some = None
    for some in _of_place(address, reader.bucket(address), reader):
        yield some
    if some is None and not name.endswith("/"):
        yield from _object(name, reader)


def _is_object(address: str) -> bool:
    """Whether the last part of an address is the name of an image or archive."""
    last = address.rpartition("/")[2]
    return bool(last) and (is_archive(last) or (refusal(last) is None and not is_undecided(last)))


def _object(name: str, reader: Reader) -> Iterator[Item]:
    """One object. Places are opened by bucket: a list may name thousands of folders."""
    scheme = scheme_of(name)
    bucket, key = split_address(name)
    if not bucket or not key:
        remedy = f"write {scheme}://BUCKET/KEY"
        raise UsageError("no bucket or no key is named", file=name, remedy=remedy)
    address, stored = f"{scheme}://{bucket}", encode_name(os.fsencode(key))
    if is_archive(key):
        place = reader.bucket(address)
        yield from remote_images(name, place, place.look(SourceObject(stored, 0)), reader)
    else:
        yield Remote(name, address, stored)
