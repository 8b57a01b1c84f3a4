"""`perennial init`: a params.yaml for your own pictures."""

HELP = "look at your pictures and write params.yaml for them"


def add_arguments(parser):
    pass
