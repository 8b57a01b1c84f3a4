"""Questions for people: the review page, Label Studio's tasks, and answers back into curation/overrides.csv."""

from pipeline_lib.review.answers import Answer, Merged, merge, read_answers
from pipeline_lib.review.page import render_page
from pipeline_lib.review.questions import Questions, gather

__all__ = ["Answer", "Merged", "Questions", "gather", "merge", "read_answers", "render_page"]
