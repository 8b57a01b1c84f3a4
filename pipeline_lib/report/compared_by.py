"""By whose features curation compared images, in words: weights bring a licence and an origin along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline_lib.backbones.builtin import of_features


def compared_by(statistics: Mapping[str, Any]) -> tuple[str, ...]:
    """How many images curation compared by which features; of the built-in weights with licence and origin."""
    clauses = []
    for kind, n in statistics.get("features", {}).items():  # before 0.3 it was not counted
        backbone = of_features(kind)
        if kind == "hog":
            name = "gradients, which nobody trained"
        elif backbone:
            name = f"{backbone.ref} ({backbone.licence}; {backbone.origin})"
        else:
            name = f"other weights ({kind}, named in params.yaml under inspect)"
        clauses.append(f"{n:,} by {name}")
    return tuple(clauses)
