"""The history of a model: every night with verdict, accuracy, data, time and cost; in words and as a page."""

from pipeline_lib.history.gather import gather
from pipeline_lib.history.night import History, Night
from pipeline_lib.history.page import write_page
from pipeline_lib.history.words import as_csv, as_json, as_text, summary

__all__ = [
    "History",
    "Night",
    "as_csv",
    "as_json",
    "as_text",
    "gather",
    "summary",
    "write_page",
]
