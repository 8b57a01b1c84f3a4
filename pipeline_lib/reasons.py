"""Reason codes: why an image was not kept, or what was remarked about it. One enum, documented in docs/reasons.md.

A picture that is not kept has exactly one primary reason. Remarks never exclude by themselves.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why an image is quarantined (a fault, can be mended) or removed (a choice)."""

    # found while listing
    BROKEN_LINK = "broken_link"  # a link that leads nowhere, or back to a folder above it
    UNREADABLE_FILE = "unreadable_file"  # a file that may not be read, a socket, pipe or device
    # found while downloading
    TAR_UNSAFE_MEMBER = "tar_unsafe_member"  # link, device, sparse file, absolute or climbing path
    NAME_COLLISION = "name_collision"  # second member of the same name in one archive
    IGNORED_SYSTEM_FILE = "ignored_system_file"  # .DS_Store, ._x, Thumbs.db, __MACOSX
    NOT_A_PICTURE_NAME = "not_a_picture_name"  # the name's ending is none of an image (readme.txt)
    FILE_TOO_LARGE = "file_too_large"  # over download.max_file_bytes
    # found while decoding
    EMPTY = "empty"  # no bytes, or only zeros
    NOT_IMAGE = "not_image"  # HTML, JSON, pickle, text, ...
    UNSUPPORTED_FORMAT = "unsupported_format"  # an image format outside the allow-list
    UNSUPPORTED_MODE = "unsupported_mode"  # float samples and the like
    DECODE_TRUNCATED = "decode_truncated"  # the data ends early
    DECODE_CORRUPT = "decode_corrupt"  # damage inside: a strict decoder objects
    TOO_MANY_PIXELS = "too_many_pixels"  # over max_pixels or a side over 65,500 px: a bomb or a panorama
    TOO_MUCH_MEMORY = "too_much_memory"  # more than any image of max_pixels needs; or its worker was killed twice
    TOO_MUCH_WORK = "too_much_work"  # so many frames, scans or chunks, or seconds of CPU time, as no photograph needs
    DECODER_CRASHED = "decoder_crashed"  # it ended the process that decodes it, twice
    TOO_SMALL = "too_small"  # shorter side under min_side_px
    ODD_ASPECT = "odd_aspect"  # far longer than wide, or wider than long
    # found while curating
    PLACEHOLDER = "placeholder"  # "photo unavailable": little to see, and many files have the same pixels
    LABEL_MISSING = "label_missing"  # the source gave it no class
    LABEL_UNKNOWN = "label_unknown"  # not in the class list
    LABEL_CONFLICT = "label_conflict"  # same image, different classes
    LABEL_ISSUE = "label_issue"  # training row whose label is very probably wrong
    VOTES_UNDECIDED = "votes_undecided"  # annotators disagree too much to decide
    DUPLICATE = "duplicate"  # another image of its group is kept
    LEAK_TRAIN_EVAL = "leak_train_eval"  # a training image that stands in val or test too, or whose subject does
    CLASS_TOO_SMALL = "class_too_small"  # fewer kept training images than min_images_per_class
    OVER_CLASS_CAP = "over_class_cap"  # a training image beyond cap_per_class
    CLASS_EXCLUDED = "class_excluded"  # left out by an override
    OVERRIDE_REMOVED = "override_removed"  # left out by a person


class Remark(StrEnum):
    """What was noticed and does not exclude."""

    EXT_MISMATCH = "ext_mismatch"  # the name says another format than the bytes
    EXIF_ROTATED = "exif_rotated"  # EXIF says that the camera was not upright
    HAS_GPS = "has_gps"  # a position in EXIF; it stays behind in the shards
    SEVERAL_FRAMES = "several_frames"  # an animation, of which the first frame is used
    TRAILING_BYTES = "trailing_bytes"  # more bytes after the end of the image
    ON_BLACK = "on_black"  # light shapes on transparency, laid over black: on white nothing would be seen
    LOW_BITS = "low_bits"  # 16-bit samples that use 12 bits or fewer: nearly black; scale them to 16 bits
    ENDS_GREY = "ends_grey"  # its last rows are the grey of a file that was cut off and saved again
    ELONGATED = "elongated"  # more than aspect_review times longer than wide, or wider than long
    DARK = "dark"  # even its brightest hundredth is dark
    LIGHT = "light"  # even its darkest hundredth is light
    BLURRED = "blurred"  # out of focus or shaken, as far as its edges tell
    LOW_INFORMATION = "low_information"  # nearly one grey level all over
    LABEL_REVIEW = "label_review"  # its label is doubted: a person should look
    RELABELLED_BY_VOTES = "relabelled_by_votes"  # annotators' votes gave it another class than the source
    RELABELLED_BY_OVERRIDE = "relabelled_by_override"  # a row of overrides.csv gave it another class
    LEARNED_UNLABELLED = "learned_unlabelled"  # without a class, and given to training all the same
