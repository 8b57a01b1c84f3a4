"""What runs again, and what does not, after one thing changed."""

from __future__ import annotations

import shutil

from testing.checkout import Checkout, stages_from
from testing.versions import aliases, version_numbers

ALWAYS = ["discover", "register"]


def test_the_first_run_registers_a_champion(finished: Checkout) -> None:
    assert version_numbers(finished) == [1]
    assert aliases(finished)["champion"] == 1


def test_a_second_and_a_third_run_only_look_and_make_no_version(line: Checkout) -> None:
    before = line.lock()

    second, third = line.repro(), line.repro()

    assert (second.ran, third.ran) == (ALWAYS, ALWAYS)
    assert line.lock() == before
    assert version_numbers(line) == [1]


def test_another_number_of_epochs_runs_train_and_what_follows_and_a_rollback_is_final(
    line: Checkout,
) -> None:
    line.set_param("train.epochs", "1")

    changed = line.repro()

    assert changed.ran == ["discover", *stages_from("train")]
    if aliases(line)["champion"] == 2:  # the gate may as well have held it
        line.python("flows.cli", "rollback", "--reason", "a test")
    champion, versions = aliases(line)["champion"], version_numbers(line)
    again = line.repro()
    assert again.ran == ALWAYS
    assert (aliases(line)["champion"], version_numbers(line)) == (champion, versions)


def test_dvc_shows_the_plots(line: Checkout) -> None:
    line.python("dvc", "plots", "show", "--out", "plots")

    page = (line.folder / "plots/index.html").read_text()
    assert all(name in page for name in ("loss", "top1", "confusion.csv", "per_class.csv"))


def test_a_changed_setting_runs_nothing(line: Checkout) -> None:
    before = line.lock()
    (line.folder / "settings.toml").write_text("workers = 1\nprogress_every_s = 5\n")

    after = line.repro()

    assert after.ran == ALWAYS
    assert line.lock() == before


def test_a_comment_everywhere_runs_nothing_and_code_that_is_as_it_was_brings_its_results_back(
    line: Checkout,
) -> None:
    """DVC's run-cache keys on the fingerprint, so that an edit that is taken back costs nothing."""
    for file in (line.folder / "pipeline_lib").rglob("*.py"):
        file.write_text(file.read_text() + "\n# A comment.\n")
    edited = line.folder / "pipeline_lib/convert/run.py"
    commented = edited.read_text()

    assert line.repro().ran == ALWAYS
    edited.write_text(commented + "\nNEW = 1\n")
    refused = line.repro("--single-item", "--force", "convert", check=False)
    changed = line.repro()
    edited.write_text(commented)
    back = line.repro()

    assert (
        refused.exit_code != 0
        and "pipeline_lib/convert/run.py: the code of convert changed" in refused.output
    )
    assert changed.ran == [
        "discover",
        "convert",
        "register",
    ]  # the same bytes as before: nothing follows
    assert (back.ran, back.restored) == (ALWAYS, ["convert"])


def test_with_the_memo_alone_the_same_bytes_come_out(line: Checkout) -> None:
    before = line.lock()
    for name in ("line", ".dvc/cache"):
        shutil.rmtree(line.folder / name)
    (line.folder / "dvc.lock").unlink()

    line.repro("convert")

    assert all(line.out_hashes()[path] in before.decode() for path in line.out_hashes())
