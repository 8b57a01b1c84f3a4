"""Shards: tars and zips whose members are read at their offsets, without unpacking.

tar_files.py and zip_files.py read directories strictly (tar_headers.py, found.py, sniff.py) within limits.py;
streams.py unpacks; cut.py says where shards begin and end; read.py gives a member's bytes.
"""
