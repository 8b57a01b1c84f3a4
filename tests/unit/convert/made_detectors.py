"""Detectors for the tests of pixelation."""


def corner(pixels_HWC):
    """One box, part of it outside the picture."""
    return [(-5, -5, 20, 12)]


def nothing(pixels_HWC):
    return []
