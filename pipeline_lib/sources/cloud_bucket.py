"""Buckets of Google Cloud Storage and containers of Azure Blob Storage, by obstore.

Credentials come from the clouds' own chains, as obstore follows them: environment, files, the machine's identity.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.settings import Settings
from pipeline_lib.sources.authorities import read_authorities
from pipeline_lib.sources.cloud_faults import Words, cloud_fault, unavailable, unusable_environment
from pipeline_lib.sources.object_bytes import RETRIES, TIMES, Entry, Wanted, is_obstore_usable
from pipeline_lib.sources.web.connections import CA_VARIABLES

PAGE_KEYS = 1000
ANONYMOUS = "or name the {} in public_buckets (settings.toml) if all may read it"
GOOGLE = Words(
    service="Google Cloud Storage",
    bucket="bucket",
    login="log in (`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS for a key file), "
    + ANONYMOUS.format("bucket"),
    allow="allow storage.objects.get on it, then `dvc repro --force download`",
    check="check the network and gcs_endpoint_url in settings.toml (PERENNIAL_GCS_ENDPOINT_URL), then run again",
    rename="rename or remove that object, name a prefix without it, or read the bucket as s3://, with s3_endpoint_url "
    "https://storage.googleapis.com and an HMAC key",
)
AZURE = Words(
    service="Azure Blob Storage",
    bucket="container",
    login="set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or log in "
    "(`az login` with AZURE_USE_AZURE_CLI=true), " + ANONYMOUS.format("container"),
    allow="allow reading it (Storage Blob Data Reader), or restore it from its archive tier, then `dvc repro --force download`",
    check="check the network, azure_account and azure_endpoint_url in settings.toml, then run again",
)
# Azure's own command line has other names for two variables than its libraries and obstore.
AZURE_VARIABLES = {
    "account_name": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"),
    "account_key": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"),
    "sas_key": ("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    "endpoint": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
TOKENS = (
    "GOOGLE_BEARER_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_SAS_KEY",
)
UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f]")
CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"


class CloudBucket:
    """A `Bucket` of one of the two clouds."""

    def __init__(self, uri: str, name: str, settings: Settings) -> None:
        self._scheme, self._name, self._settings = uri.partition("://")[0], name, settings
        self._words = GOOGLE if self._scheme == "gs" else AZURE
        self.service, self.check = self._words.service, self._words.check

    def address(self, key: str) -> str:
        """The address of a key."""
        return f"{self._scheme}://{self._name}/{key}"

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every object below a prefix. Raises BadData for a key that obstore cannot name: it gives no page with one."""
        import obstore

        self._refuse_unnameable(prefix.removesuffix("/"))
        store = self.open_store()
        with self._translated(prefix):
            pages = obstore.list(store, prefix=prefix.rstrip("/") or None, chunk_size=PAGE_KEYS)
            found = (
                Entry(one["path"], one["size"], (one["e_tag"] or "").strip('"'))
                for page in pages
                for one in page
            )
            yield from _without_markers(found, prefix)

    def head(self, key: str) -> Entry:
        """The present version of one object."""
        import obstore

        self._refuse_unnameable(key)
        store = self.open_store()
        with self._translated(key):
            found = obstore.head(store, key)
        return Entry(key, found["size"], (found["e_tag"] or "").strip('"'))

    def open_store(self) -> Any:
        """obstore's store for the bucket or container."""
        return self._store

    def read_otherwise(self, wanted: Wanted, check: Callable[[str, int], None]) -> Iterator[bytes]:
        """Raise BadData: keys that obstore cannot name are not listed either."""
        del check
        raise BadData(
            "a key that cannot be read",
            file=self.address(wanted.key),
            value=wanted.key,
            remedy=self._words.rename,
        )

    def explain(self, wanted: Wanted, error: Exception) -> None:
        """Raise why an object could not be read. An object that is gone may answer that it is another version."""
        import obstore
        from obstore.exceptions import PreconditionError

        if isinstance(error, PreconditionError):
            try:
                obstore.head(self._store, wanted.key)
            except FileNotFoundError as gone:
                error = gone
        if fault := cloud_fault(error, self.address(wanted.key), self._words, is_object=True):
            raise fault from error

    def _refuse_unnameable(self, key: str) -> None:
        """Raise BadData for a key or prefix that obstore would refuse, or take for another one (`/a` for `a`)."""
        if key and (UNNAMEABLE.search(key) or set(key.split("/")) & {"", ".", ".."}):
            remedy = "name one without empty parts, `.`, `..` and control characters"
            raise BadData("a name that cannot be read", file=self.address(key), remedy=remedy)

    @cached_property
    def _store(self) -> Any:
        from obstore.exceptions import BaseError

        assert is_obstore_usable(), "no process that reads from the clouds is forked"
        is_public = self._settings.is_public(f"{self._scheme}://{self._name}")
        make = _google_store if self._scheme == "gs" else _azure_store
        try:
            return make(self._name, self._settings, is_public=is_public)
        except BaseError as error:  # nothing was asked over the network yet
            raise unusable_environment(error, self.address(""), self._words) from error

    @contextlib.contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            address = self.address(key)
            fault = cloud_fault(error, address, self._words, is_object=False)
            raise fault or unavailable(error, address, self._words) from error


def _without_markers(found: Iterator[Entry], prefix: str) -> Iterator[Entry]:
    """Leave out the empty objects that stand for folders: obstore takes away the slash at the end of their keys.

    In the order of the listing the objects of a folder follow its marker; an empty object without an ending may be that
    of an empty folder, and is no image.
    """
    for one, following in pairwise(chain(found, [Entry("", 0, "")])):
        is_marker = not one.size_bytes and (
            "." not in one.key.rpartition("/")[2]
            or following.key.startswith(f"{one.key}/")
            or f"{one.key}/" == prefix
        )
        if not is_marker:
            yield one


def _google_store(bucket: str, settings: Settings, *, is_public: bool) -> Any:
    from obstore.store import GCSStore

    config: Any = {"skip_signature": True} if is_public else {}
    if settings.gcs_endpoint_url:
        config["base_url"] = settings.gcs_endpoint_url.rstrip("/")
    options = _client_options(config.get("base_url"))
    return GCSStore(bucket, config=config, client_options=options, retry_config=RETRIES)


def _azure_store(container: str, settings: Settings, *, is_public: bool) -> Any:
    from obstore.store import AzureStore

    config: Any = azure_account(os.environ, settings)
    if is_public:
        config = {key: config[key] for key in ("account_name", "endpoint") if key in config}
        config["skip_signature"] = True
    options = _client_options(config.get("endpoint"))
    return AzureStore(container, config=config, client_options=options, retry_config=RETRIES)


def azure_account(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The account and, where it is in the environment, its key or signature, as obstore's keys.

    The settings come first, then Azure's variables, then the connection string. Raises ConfigError without an account.
    """
    told = _connection(environment)
    for key, variables in AZURE_VARIABLES.items():
        stated = next((environment[name] for name in variables if environment.get(name)), None)
        if stated:
            told[key] = stated
    if settings.azure_account:
        told["account_name"] = settings.azure_account
    if settings.azure_endpoint_url:
        told["endpoint"] = settings.azure_endpoint_url.rstrip("/")
    if not told.get("account_name"):
        raise ConfigError(
            "no storage account is named for az://",
            file="settings.toml",
            remedy="set azure_account there (PERENNIAL_AZURE_ACCOUNT), AZURE_STORAGE_ACCOUNT_NAME, or "
            "AZURE_STORAGE_CONNECTION_STRING",
        )
    return told


def _connection(environment: Mapping[str, str]) -> dict[str, str]:
    """What the connection string says, as the portal gives it: `AccountName=...;AccountKey=...`."""
    text = environment.get(CONNECTION, "")
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    if text and not parts.keys() & {"AccountName", "BlobEndpoint"}:
        remedy = "copy it from the portal again: AccountName=...;AccountKey=..."
        raise ConfigError("not a connection string", file=CONNECTION, remedy=remedy)
    told = {
        "account_name": parts.get("AccountName", ""),
        "account_key": parts.get("AccountKey", ""),
        "sas_key": parts.get("SharedAccessSignature", ""),
        "endpoint": parts.get("BlobEndpoint", "").rstrip("/"),
    }
    if not told["endpoint"] and (suffix := parts.get("EndpointSuffix")):
        told["endpoint"] = f"https://{told['account_name']}.blob.{suffix}"
    return {key: value for key, value in told.items() if value}


def _refuse_broken_tokens() -> None:
    """Raise ConfigError for a token with a line break in it, by which obstore would panic."""
    for variable in TOKENS:
        if UNNAMEABLE.search(os.environ.get(variable, "").strip(" ")):
            remedy = "set it again without line breaks"
            raise ConfigError(
                "a token with a control character in it", file=variable, remedy=remedy
            )


def _client_options(endpoint: str | None) -> Any:
    """allow_http: only where the endpoint is named so; credentials never go over http otherwise."""
    _refuse_broken_tokens()
    options: Any = {**TIMES, "allow_http": (endpoint or "").startswith("http://")}
    for variable in CA_VARIABLES:
        if path := os.environ.get(variable):
            options["root_certificate"] = read_authorities(Path(path), named_in=variable)
            break
    return options
