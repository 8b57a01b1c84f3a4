"""Betons: FFCV files of images, one per shard. Their layout, and reading them back without FFCV."""
