"""Discovery: list what the sources hold, and end at once where a later stage would have to."""
