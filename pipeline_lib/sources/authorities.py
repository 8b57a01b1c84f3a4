"""Certificates of authorities that a machine is told to trust, for obstore, which does not look for them itself."""

from __future__ import annotations

from pathlib import Path

from pipeline_lib.errors import ConfigError

BEGINS = b"-----BEGIN CERTIFICATE-----"
TRUST = "if it is a server of your own, name its authority's certificates in SSL_CERT_FILE (S3: AWS_CA_BUNDLE), then run again"


def read_authorities(path: Path, *, named_in: str) -> bytes:
    """The certificates of a PEM file, or of those in a folder. Raises ConfigError naming the variable `named_in`."""
    try:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        found = b"\n".join(file.read_bytes() for file in files)
        reason = "" if BEGINS in found else "it holds no certificate"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise ConfigError(
            "certificates that cannot be read",
            file=named_in,
            value=f"{path}: {reason}",
            remedy="name a file of certificates in PEM form, or unset the variable",
        )
    return found
