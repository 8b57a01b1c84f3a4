"""Run one stage of the line: `python -m pipeline_lib.stage curate`, which is what dvc.yaml calls."""

from __future__ import annotations

import sys

from pipeline_lib.harness.stage import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
