"""Detectors for the tests of pixelation."""

from pickle import loads as loads  # what no parameter may name


def corner(pixels_HWC):
    """One box, part of it outside the picture."""
    return [(-5, -5, 20, 12)]


def nothing(pixels_HWC):
    return []
