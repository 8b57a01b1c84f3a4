"""Everything that the line knows of one image, gathered from its tables, for `perennial why`."""
