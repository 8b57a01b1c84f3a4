"""Betons: FFCV files of pictures, one per shard. Their layout, and reading them back without FFCV."""
