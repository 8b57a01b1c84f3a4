"""The perceptual hash that most programs use, to compare with: 64 signs of a DCT against their median.

As Buchner's `imagehash.phash` computes it (Zauner, "Implementation and benchmarking of perceptual image hash functions",
2010); that package is no dependency.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.fft import dctn


def phash(data: bytes) -> np.uint64:
    """The hash of an encoded image: its 64 lowest frequencies at 32x32, grey."""
    grey = Image.open(io.BytesIO(data)).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(grey, np.float64), type=2)[:8, :8]
    return np.packbits((low > np.median(low)).ravel()).view(np.uint64)[0]
