"""What the demo's line must reach; `python -m demo.score --check` fails below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A bound on one figure of score.json. at_least: the bound is a minimum, else a maximum."""

    key: str
    bound: float
    at_least: bool = True

    def missed_by(self, figures: Mapping[str, float]) -> str:
        """One phrase on how the figure misses the bound, "" when it does not or was not measured."""
        if self.key not in figures:
            return ""
        value = figures[self.key]
        met = value >= self.bound if self.at_least else value <= self.bound
        return (
            ""
            if met
            else f"{self.key} {value:.4g}, {'at least' if self.at_least else 'at most'} {self.bound:g}"
        )


TARGETS = (
    Target("label_errors_with_votes_recall", 0.90),
    Target("label_errors_with_votes_precision", 0.94),
    Target("label_errors_without_votes_recall", 0.80),
    Target("label_errors_without_votes_precision", 0.85),
    Target("exact_duplicates_recall", 1.0),
    Target("leaks", 0, at_least=False),
    Target("leaks_planted", 12),
    Target("near_duplicates_recall", 0.95),
    Target("unplanted_removed", 0.01, at_least=False),
    Target("refused_truncated", 1.0),
    Target("refused_zeroed_page", 1.0),
    Target("refused_spliced", 1.0),
    Target("refused_html", 1.0),
    Target("refused_empty", 1.0),
    Target("refused_bomb", 1.0),
    Target("refused_system_file", 1.0),
    Target("refused_text_file", 1.0),
    Target("ext_mismatch_kept", 1.0),
    Target("oddities_kept", 1.0),
    Target("ffcv_reads", 1.0),
    Target("gps_found", 0, at_least=False),
    Target("top1_true", 0.98),
    Target("n_test", 300),
)


def missed(figures: Mapping[str, float]) -> list[str]:
    """The targets that were missed, each in a phrase."""
    return [phrase for target in TARGETS if (phrase := target.missed_by(figures))]
