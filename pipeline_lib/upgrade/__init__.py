"""Take over a newer Perennial without working again what comes out the same: see docs/upgrading.md."""
