"""The schemas of every table of the line, one file each: the one place that spells a column."""
