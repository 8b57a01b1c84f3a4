"""The short version of benchmarks/robustness/fuzz_inputs.py."""

from pathlib import Path

import pytest

from benchmarks.robustness import fuzz_inputs


@pytest.mark.parametrize("kind", [*fuzz_inputs.VARIANTS, *fuzz_inputs.ARCHIVES])
def test_some_mutations_of_every_format_are_verdicts(kind: str, tmp_path: Path) -> None:
    seeds = fuzz_inputs.seeds_of(kind)

    assert all(fuzz_inputs.take(kind, seed, tmp_path) for seed in seeds)
    for number in range(100):
        fuzz_inputs.take(kind, fuzz_inputs.mutation(kind, 2, number, seeds), tmp_path)
