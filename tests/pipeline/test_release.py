"""A release of the demo's data: one command, and the tag brings the very files back."""

from __future__ import annotations

import json
import shutil

import mlcroissant

from testing.checkout import Checkout, commit


def test_the_demos_data_are_released_and_the_tag_brings_them_back(line: Checkout) -> None:
    commit(line, "Tonight's line")
    line.python("flows.cli", "dataset", "release", "digits-1.0.0")
    line.set_param("curate.split_salt", "another")
    line.repro("curate")
    shutil.rmtree(line.folder / "line/download/shards")

    line.run("git", "checkout", "--quiet", "--force", "dataset/digits-1.0.0")
    line.python("dvc", "checkout", "--quiet", "--force")

    folder = line.folder / "releases/digits-1.0.0"
    line.run("sha256sum", "--check", "--quiet", str(folder / "checksums.sha256"))
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    figures = json.loads((line.folder / "line/curate/curation.json").read_text())
    assert len(list(dataset.records("test"))) == figures["splits"]["test"]
    assert (
        f"{figures['ledger']['discovered']:,} files were found"
        in (folder / "datasheet.md").read_text()
    )
