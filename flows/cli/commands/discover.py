"""`perennial discover`: what is new in the sources since they were last listed."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

HELP = "show what is new in the sources since the last run, by source and class; moves nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial discover`."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(options: argparse.Namespace) -> int:
    """List the sources and print one line for each. Raises as the stage does where a source cannot be read."""
    from flows.cli.project import find_project
    from pipeline_lib.discover.kept_listing import listed_before
    from pipeline_lib.discover.listing import list_sources
    from pipeline_lib.discover.news import news_of, sentences
    from pipeline_lib.discover.params import DiscoverParams
    from pipeline_lib.params_file import load_section
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    settings = load_settings(origin)
    params = load_section(origin / "params.yaml", "discover", DiscoverParams)
    before = listed_before(params.sources, settings, origin)
    listed = list_sources(params.sources, settings, root=origin)
    news = news_of(params.sources, before.listing if before else None, listed)
    age_h = round(before.age_h, 2) if before else None
    if options.json:
        print(json.dumps({"hours_since": age_h, "sources": [asdict(one) for one in news]}))
        return 0
    print("\n".join(sentences(news)))
    since = "no run has listed these sources yet" if age_h is None else f"{age_h:.1f} h ago"
    print(f"since the last run's listing: {since}")
    return 0
