"""The registry of a checkout, read from its SQLite file."""

from __future__ import annotations

import tomllib

from pipeline_lib.registry.read_sqlite import SqliteReader
from pipeline_lib.registry.records import Version
from testing.checkout import Checkout


def versions(checkout: Checkout) -> list[Version]:
    """All versions of the model that settings.toml names, oldest first."""
    settings = tomllib.loads((checkout.folder / "settings.toml").read_text())
    name = settings.get("model_name", "perennial")
    return SqliteReader(checkout.folder / ".perennial/registry.db", name).versions()


def version_numbers(checkout: Checkout) -> list[int]:
    """Their numbers."""
    return [version.number for version in versions(checkout)]


def aliases(checkout: Checkout) -> dict[str, int]:
    """Version number by alias."""
    return {alias: version.number for version in versions(checkout) for alias in version.aliases}
