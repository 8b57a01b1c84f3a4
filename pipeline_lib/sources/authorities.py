"""Certificates of authorities that a machine is told to trust, for obstore, which does not look for them itself."""

from __future__ import annotations

from pathlib import Path

from pipeline_lib.errors import ConfigError


def read_authorities(path: Path, *, named_in: str) -> bytes:
    """The certificates of a PEM file, or of those in a folder. Raises ConfigError naming the variable `named_in`."""
    try:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        return b"\n".join(file.read_bytes() for file in files)
    except OSError as error:
        raise ConfigError(
            "certificates that cannot be read",
            file=named_in,
            value=f"{path}: {error.strerror}",
            remedy="name a file of certificates in PEM form, or unset the variable",
        ) from error
