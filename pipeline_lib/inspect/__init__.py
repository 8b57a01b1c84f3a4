"""Inspection: every picture is decoded once, strictly, and all that only pixels can tell is written down.

run.py maps shards over cores, shard.py does one, picture.py one picture: hashes.py, quality.py and, for the features,
hog.py or embedding.py. memory_limit.py bounds what a hostile picture takes. Nothing is judged here: that is `curate`.
"""
