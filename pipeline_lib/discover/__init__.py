"""Discovery: list the objects of the sources, and fail early where a later stage would have to fail."""
