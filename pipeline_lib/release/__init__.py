"""A dataset release: what the line holds at one commit, with hashes, a datasheet and Croissant metadata."""

from pipeline_lib.release.datasheet_answers import About, fresh_about, read_about
from pipeline_lib.release.write import FOLDER, Released, check_name, write_release

__all__ = [
    "FOLDER",
    "About",
    "Released",
    "check_name",
    "fresh_about",
    "read_about",
    "write_release",
]
