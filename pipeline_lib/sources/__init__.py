"""Sources: the places from which a data set is read.

source.py is one entry of `discover.sources`; places.py and s3.py list and fetch its objects; names.py judges their
names; layout.py and split_names.py read class and split from a path; doubt.py finds folders that can be read in several
ways.
"""
