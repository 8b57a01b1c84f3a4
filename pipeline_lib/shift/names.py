"""What shifted test sets are called: `corrupted/<kind>/<strength>` and `extra/<source>`."""

from __future__ import annotations

from typing import Final, Literal, get_args

Kind = Literal["noise", "blur", "jpeg", "brightness", "fog", "low_resolution"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STRENGTHS: Final = (1, 2, 3)
CORRUPTED: Final = "corrupted"
EXTRA: Final = "extra"


def corrupted_set(kind: str, strength: int) -> str:
    """The test set of one kind in one strength."""
    return f"{CORRUPTED}/{kind}/{strength}"


def extra_set(source: str) -> str:
    """The test set that a source is."""
    return f"{EXTRA}/{source}"


def is_corrupted(test_set: str) -> bool:
    """Whether a test set has corrupted images."""
    return test_set.startswith(f"{CORRUPTED}/")


def kind_and_strength(test_set: str) -> tuple[Kind, int]:
    """The inverse of `corrupted_set`."""
    _, found, strength = test_set.split("/")
    return next(kind for kind in KINDS if kind == found), int(strength)


def family_of(test_set: str) -> str:
    """What is judged as one: `corrupted/<kind>` for all its strengths, and an extra test set by itself."""
    return test_set.rpartition("/")[0] if is_corrupted(test_set) else test_set
