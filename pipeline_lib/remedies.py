"""Remedies for reason codes, for the messages of limits: a key that cannot help is worse than none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline_lib.reasons import Reason

OVERRIDES: Final = "curation/overrides.csv"
REMEDY_OF: Final[Mapping[Reason, str]] = {
    Reason.BROKEN_LINK: "fix or remove these links",
    Reason.UNREADABLE_FILE: "allow reading these files (`chmod u+r`; of S3 keys s3:GetObject, then `dvc repro --force "
    "download`), or remove them from the source",
    Reason.UNREADABLE_FOLDER: "allow reading these folders (`chmod u+rx`), or remove them from the source",
    Reason.NOT_SERVED: "open these URLs in a browser, and remove or correct those that are gone; a server that asks for a "
    "token gets it by the setting url_tokens",
    Reason.ADDRESS_REFUSED: "remove these URLs, or set allow_private_urls = true in settings.toml if you trust the list",
    Reason.EMPTY: "fetch these files again, or remove them from the source",
    Reason.NOT_IMAGE: "check the content of these files, and remove them from the source",
    Reason.UNSUPPORTED_FORMAT: "save these files as JPEG or PNG (docs/bad-images.md says which formats are read)",
    Reason.UNSUPPORTED_MODE: "save these files with 8 or 16 bits per channel",
    Reason.TOO_MANY_PIXELS: "raise inspect.max_pixels in params.yaml, or shrink these images",
    Reason.FILE_TOO_LARGE: "save these images smaller, or raise download.max_file_bytes in params.yaml",
    Reason.TOO_MUCH_WORK: "save these images again, as JPEG or PNG with one frame",
    Reason.TOO_SMALL: "lower inspect.min_side_px in params.yaml",
    Reason.ODD_ASPECT: "raise inspect.aspect_quarantine in params.yaml",
    Reason.PLACEHOLDER: "raise curate.placeholder_copies in params.yaml if they are sound",
    Reason.LABEL_MISSING: "give these images a class: name a table of labels (one line per image) as `labels` of the "
    "source in params.yaml (docs/labels.md), or sort them into class folders",
    Reason.LABEL_CONFLICT: f"give the copies one class in {OVERRIDES}",
    Reason.LABEL_ISSUE: f"confirm or correct these labels in {OVERRIDES} (`perennial review`)",
    Reason.VOTES_UNDECIDED: "ask for more votes, or set curate.undecided_votes: keep in params.yaml",
    Reason.CLASS_TOO_SMALL: "add images to these classes, lower curate.min_images_per_class or set "
    f"curate.small_classes: keep in params.yaml, or leave them out with exclude_class in {OVERRIDES}",
}
# No limit is offered where raising it would leave too little to train on.
LEAVES_NOTHING: Final = frozenset({Reason.CLASS_TOO_SMALL, Reason.LABEL_MISSING})


def remedy_of(reason: Reason) -> str:
    """Return the remedy for a reason; "fix the source" if no parameter can help."""
    return REMEDY_OF.get(reason, "fix the source")
