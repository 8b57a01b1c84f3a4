"""What `predict` is asked about: names become items, in the order in which they are named, and never all at once.

inputs.py tells what a name means (piped_names.py: names that come through a pipe), archives.py finds the images of an
archive, items.py reads the bytes of one image, and sight.py makes them what the model looks at.
"""
