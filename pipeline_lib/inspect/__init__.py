"""Inspection: decode every image once, strictly, and record everything that only its pixels can tell.

run.py maps shards over cores, shard.py inspects a shard, image.py an image, with hashes.py, quality.py and, for the
features, hog.py or embedding.py. memory_limit.py bounds the memory for a hostile image. All decisions are `curate`'s.
"""
