"""Download: fetch the listed objects, verify them, and record the position of each member.

run.py carries out what plan.py planned: archives.py takes archives, loose.py packs single files. tables.py writes
members.parquet, and votes.parquet from the files that annotations.py checks. stored.py is what a unit looks like then.
"""
