"""Rates are tried on real images, and the one that is named trains."""

from pathlib import Path

import pandas as pd
import pytest

from flows.cli.parser import main
from pipeline_lib.train.rate_finder import TriedRate, find_rates, peak_rate
from pipeline_lib.train.run import run
from testing.small_line import SmallLine

ROOT = Path(__file__).parents[3]


def test_a_tenth_of_the_rate_with_the_lowest_loss_is_named() -> None:
    assert peak_rate([TriedRate(0.01, 1.2), TriedRate(0.456, 0.7), TriedRate(2.0, 3.0)]) == 0.046


def test_no_rate_is_named_where_the_loss_only_rises() -> None:
    assert peak_rate([TriedRate(1e-5, 0.09), TriedRate(1e-3, 0.2), TriedRate(0.1, 0.4)]) is None


def test_rates_rise_until_the_loss_runs_away_and_the_one_that_is_named_trains(
    small_line: SmallLine, tmp_path: Path
) -> None:
    job = small_line.train(tmp_path)

    tried = find_rates(job)

    rates, losses = [found.rate for found in tried], [found.loss for found in tried]
    assert rates == sorted(rates) and rates[0] == pytest.approx(1e-5)
    assert min(losses) < losses[0] and losses.index(min(losses)) > 20
    peak = peak_rate(tried)
    assert peak is not None
    run(small_line.train(tmp_path, peak_learning_rate=peak, epochs=20))
    assert pd.read_csv(tmp_path / "curves.csv")["val_top1"].max() > 0.8


def test_before_the_first_run_the_command_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())

    code = main(["rate"])

    assert code != 0
    assert (
        "there are no images to train on yet. Remedy: run `dvc repro curate convert`"
        in capsys.readouterr().err
    )
