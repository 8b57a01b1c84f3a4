"""`python -m flows.cli`: the `perennial` command."""

from __future__ import annotations

import sys

from flows.cli.parser import main

if __name__ == "__main__":
    sys.exit(main())
