"""A line of eight stages that each take a moment, for tests of what stands around the stages."""
