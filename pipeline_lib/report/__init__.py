"""The report of one registration attempt: a folder of pages that need no network, and a model card in Markdown."""

from pipeline_lib.report.champion import Before
from pipeline_lib.report.content import Content, Run, gather
from pipeline_lib.report.drift import Previous
from pipeline_lib.report.render import render_card, render_report
from pipeline_lib.report.write import write_report

__all__ = [
    "Before",
    "Content",
    "Previous",
    "Run",
    "gather",
    "render_card",
    "render_report",
    "write_report",
]
