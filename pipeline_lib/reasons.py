"""Reason codes: why an image was not kept, or a remark about it. One enum, documented in docs/reasons.md.

An image that is not kept has exactly one primary reason. Remarks never exclude by themselves.
"""

from enum import StrEnum
from typing import Self


class _Code(StrEnum):
    """A code with its meaning: a line of docs/reasons.md and of the report."""

    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


# fmt: off

class Reason(_Code):
    """Why an image is quarantined (a fault, can be fixed) or removed (a choice)."""

    # found while listing
    BROKEN_LINK = "broken_link", "a link to nothing, or back to a folder above it"
    UNREADABLE_FILE = "unreadable_file", "a file or S3 key without read permission, a socket, pipe or device"
    UNREADABLE_FOLDER = "unreadable_folder", "a folder without read permission, with all that lies in it: one row"
    NOT_SERVED = "not_served", "a URL that its server refuses or does not have, or a server that does not answer"
    ADDRESS_REFUSED = "address_refused", "a URL of a list that leads, itself or by a redirect, to a private address"
    # found while downloading
    EXCLUDED_BY_PATTERN = "excluded_by_pattern", "`exclude` of its source fits its name, or `include` does not"
    TAR_UNSAFE_MEMBER = "tar_unsafe_member", "link, device, sparse file, absolute or climbing path"
    NAME_COLLISION = "name_collision", "second member of the same name in one archive"
    IGNORED_SYSTEM_FILE = "ignored_system_file", ".DS_Store, ._x, Thumbs.db, __MACOSX"
    NOT_A_PICTURE_NAME = "not_a_picture_name", "the file name's ending is not one of an image (readme.txt)"
    FILE_TOO_LARGE = "file_too_large", "over download.max_file_bytes"
    # found while decoding
    EMPTY = "empty", "no bytes, or only zeros"
    NOT_IMAGE = "not_image", "HTML, JSON, pickle, text, ..."
    UNSUPPORTED_FORMAT = "unsupported_format", "an image format outside the allow-list"
    UNSUPPORTED_MODE = "unsupported_mode", "float samples and the like"
    DECODE_TRUNCATED = "decode_truncated", "the data ends early"
    DECODE_CORRUPT = "decode_corrupt", "damage inside, found by a strict decoder"
    TOO_MANY_PIXELS = "too_many_pixels", "over max_pixels or a side over 65,500 px: a bomb or a panorama"
    TOO_MUCH_MEMORY = "too_much_memory", "more than an image of max_pixels can need; or its worker was killed twice"
    TOO_MUCH_WORK = "too_much_work", "more frames, scans, chunks or CPU seconds than any photograph needs"
    DECODER_CRASHED = "decoder_crashed", "decoding it ended the process, twice"
    TOO_SMALL = "too_small", "shorter side under min_side_px"
    ODD_ASPECT = "odd_aspect", "much longer than wide, or much wider than long"
    # found while curating
    PLACEHOLDER = "placeholder", 'such as "photo unavailable": little content, and many files have the same pixels'
    LABEL_MISSING = "label_missing", "the source gives it no class"
    LABEL_UNKNOWN = "label_unknown", "not in the class list"
    LABEL_CONFLICT = "label_conflict", "same image, different classes"
    LABEL_ISSUE = "label_issue", "training image whose label is very probably wrong"
    VOTES_UNDECIDED = "votes_undecided", "annotators disagree too much to decide"
    DUPLICATE = "duplicate", "another image of its group is kept"
    LEAK_TRAIN_EVAL = "leak_train_eval", "a training image that is also in val or test, or whose subject is"
    CLASS_TOO_SMALL = "class_too_small", "fewer kept training images than min_images_per_class"
    OVER_CLASS_CAP = "over_class_cap", "a training image beyond cap_per_class"
    CLASS_EXCLUDED = "class_excluded", "left out by an override"
    OVERRIDE_REMOVED = "override_removed", "left out by a person"


class Remark(_Code):
    """A remark about an image, which does not exclude it."""

    EXT_MISMATCH = "ext_mismatch", "the file name's ending differs from the format of the bytes"
    EXIF_ROTATED = "exif_rotated", "according to EXIF, the camera was not upright"
    HAS_GPS = "has_gps", "a position in EXIF; it is stored in the shards only"
    SEVERAL_FRAMES = "several_frames", "an animation, of which the first frame is used"
    TRAILING_BYTES = "trailing_bytes", "extra bytes after the end of the image"
    ON_BLACK = "on_black", "light shapes on transparency, laid over black: on white they would be invisible"
    LOW_BITS = "low_bits", "16-bit samples that use 12 bits or fewer, and no sBIT says so: nearly black"
    ENDS_GREY = "ends_grey", "the last rows have the grey of a file that was cut off and saved again"
    ELONGATED = "elongated", "more than aspect_review times longer than wide, or wider than long"
    DARK = "dark", "even the brightest hundredth of its pixels is dark"
    LIGHT = "light", "overexposed: colours are cut off, or nothing in it is dark"
    BLURRED = "blurred", "out of focus or shaken, judged by its edges"
    LOW_INFORMATION = "low_information", "almost the same grey everywhere, and little beside it"
    LABEL_REVIEW = "label_review", "its label is in doubt: a person should check it"
    RELABELLED_BY_VOTES = "relabelled_by_votes", "the annotators' votes give it another class than the source"
    RELABELLED_BY_OVERRIDE = "relabelled_by_override", "a line of overrides.csv gives it another class"
    LEARNED_UNLABELLED = "learned_unlabelled", "without a class, and used in training all the same"
