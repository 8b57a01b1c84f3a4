"""The schemes of addresses that sources may have."""

from __future__ import annotations

import re

CLOUDS = ("gs", "az")
BUCKETS = frozenset({"s3", *CLOUDS})
SCHEMES = frozenset({"http", "https", *BUCKETS})
FORMS = "a local path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or https://host/file"
# What other programs call the same services.
OTHER_NAMES = {
    "gcs": "gs://bucket/prefix",
    "s3a": "s3://bucket/prefix",
    "s3n": "s3://bucket/prefix",
    **dict.fromkeys(
        ("azure", "abfs", "abfss", "wasb", "wasbs", "adl"),
        "az://container/prefix, and the account in settings.toml (azure_account)",
    ),
}


def scheme_of(uri: str) -> str:
    """The scheme of an address; empty for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", uri)
    return found[1] if found else ""


def is_in_bucket(uri: str) -> bool:
    """Whether an address is one of a bucket or container."""
    return scheme_of(uri) in BUCKETS


def form_in_place_of(scheme: str) -> str:
    """What to name in place of an address of a scheme that is not read."""
    return OTHER_NAMES.get(scheme, FORMS)
