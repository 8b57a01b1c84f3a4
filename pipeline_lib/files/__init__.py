"""Files: written whole or not at all (atomic.py), CSV cells that no spreadsheet runs, YAML, and weight files."""
