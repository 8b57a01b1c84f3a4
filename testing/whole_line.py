"""What the toy stages hand to the real `register`: a small line that ends in a model worth promoting."""

from __future__ import annotations

from pathlib import Path

from testing.tiny_line import make_line


def give_whole_line(origin: Path, *, wrong: range = range(0), model: str = "one") -> None:
    """From now on the toy stages write this line; `wrong` of its 60 test images are answered wrongly."""
    folder = origin / ".perennial" / "whole_line"
    make_line(folder, wrong=wrong, model=model, git=False)
    (
        folder / "line/curate/curation.json"
    ).unlink()  # the toy's own is what the ledger artifact shows
    for name in ("soft_labels", "unlabelled"):  # train asks for them; register does not
        (folder / f"line/curate/selection/{name}.parquet").write_text("none\n")
