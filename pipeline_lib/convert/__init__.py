"""Conversion: each shard becomes a beton of its decodable images, without labels, splits or decisions.

run.py maps the shards, after an estimate (estimate.py); shard.py converts one. stored.py chooses the stored bytes of
each image (jpeg_stream.py), beton_writer.py writes them, and read_back.py reads every row back.
"""
