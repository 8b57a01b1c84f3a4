"""The report of one registration attempt: one HTML file that needs no network, and a model card in Markdown."""

from pipeline_lib.report.content import Content, Run, gather
from pipeline_lib.report.drift import Previous
from pipeline_lib.report.render import render_card, render_report

__all__ = ["Content", "Previous", "Run", "gather", "render_card", "render_report"]
