"""The self-grading demo: real digits with planted faults, and the score of a line that had to find them."""
