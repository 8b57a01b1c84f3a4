"""The commands of `perennial`, one file each: HELP, add_arguments(parser), run(options) -> exit code."""
