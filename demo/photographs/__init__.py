"""`make demo-photographs`: plant faults in a copy of somebody's own images, run the line on it, and grade what it found."""
