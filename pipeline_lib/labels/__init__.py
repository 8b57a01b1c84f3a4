"""Labels that come in files: tables and the annotation formats of known data sets, each read into one kind of statement.

params.py says how params.yaml names such files; formats.py is the table of formats; match.py finds the image of each
statement. Labels are as received: votes and overrides take precedence.
"""
