"""evaluate: score the test split once; calibrate, export, prove parity."""
