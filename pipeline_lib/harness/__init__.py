"""The harness: what runs around a stage and changes no byte of its outputs.

stage.py runs one stage; line.py finds its files; shard_engine.py and shard_workers.py run its shards, memo.py brings
back those already done; progress.py and terminal.py talk; parent_watch.py and gpu_watch.py look on; tracking.py tells
experiment trackers.
"""
