"""Flows and the `perennial` command."""
