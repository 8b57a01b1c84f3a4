"""Shards: tars and zips whose members are read at their offsets, and where the objects of a source lie.

places.py and s3.py list and fetch; tar_files.py and zip_files.py read directories strictly (found.py, names.py);
layout.py reads class and split from a path; cut.py says where shards begin and end; read.py gives a member's bytes.
"""
