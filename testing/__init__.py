"""What tests and benchmarks share: throw-away checkouts, lines made in seconds, servers on loopback, damaged files."""
