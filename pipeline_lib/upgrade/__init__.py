"""Take over a newer Perennial without running stages again whose results stay the same: see docs/upgrading.md."""
