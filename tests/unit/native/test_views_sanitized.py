"""The C decoder under AddressSanitizer and UndefinedBehaviorSanitizer, on mutated images. fuzz_views.c says how.

The short version of `python -m benchmarks.robustness.fuzz_views`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from pipeline_lib.betons.layout import JPG
from pipeline_lib.native.views import Status
from testing.view_fuzzing import SANITIZED, compile_fuzzer, jpeg, photo, write_seeds

from .test_views import show

MUTATIONS = 50  # of each of 27 seeds


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzzer") / "fuzz_views"
    flags = ("-DREPLAY", "-Wall", "-Wextra", "-Werror", *SANITIZED)
    compile_fuzzer(path, *flags, compiler=os.environ.get("CC", "cc"))
    return path


def test_mutated_images_end_in_their_own_pixels_or_in_an_error(
    fuzzer: Path, tmp_path: Path
) -> None:
    seeds = [str(path) for path in write_seeds(tmp_path / "seeds")]
    command = [str(fuzzer), str(MUTATIONS), "1", *seeds]

    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120
    )

    assert ended.returncode == 0, f"{ended.stderr}\nthe input is {tmp_path / 'failed-input'}"
    shown, damaged, misfitting = map(int, ended.stdout.split())
    assert shown + damaged + misfitting >= 1000
    assert min(shown, damaged, misfitting) > 50


def without_last_scans(stream: bytes, count: int) -> bytes:
    """A progressive JPEG that ends, in good order, after its first scans."""
    at = -1
    for _ in range(count + 1):
        at = stream.index(b"\xff\xda", at + 1)
    return stream[:at] + b"\xff\xd9"


def test_a_progressive_jpeg_that_lacks_scans_shows_the_same_pixels_in_every_box() -> None:
    """libjpeg guesses at what the scans would have held, from what lies around; found by fuzzing."""
    stream = np.frombuffer(without_last_scans(jpeg(photo(97, 161), progressive=True), 3), np.uint8)

    _, whole = show(stream, mode=JPG, size=(97, 161), box=(0, 20, 97, 97), side=97)
    status, part = show(stream, mode=JPG, size=(97, 161), box=(30, 47, 40, 40), side=40)

    assert status == Status.DONE
    assert np.array_equal(part, whole[30:70, 27:67])


def complains(stream: bytes) -> bool:
    """Whether a strict decode of the whole image finds damage."""
    try:
        simplejpeg.decode_jpeg(stream, "RGB", strict=True)
    except ValueError:
        return True
    return False


def test_a_view_down_to_the_last_row_sees_all_that_a_strict_decode_of_the_image_sees() -> None:
    """A flipped bit may shift all blocks after it without an error, and tell on itself by data that is left over."""
    stream, rng = jpeg(photo(97, 161)), np.random.default_rng(0)
    seen = []
    for at in rng.integers(stream.index(b"\xff\xda") + 14, len(stream) - 2, 600):
        damaged = np.frombuffer(stream, np.uint8).copy()
        damaged[at] ^= 1 << rng.integers(8)
        status, _ = show(damaged, mode=JPG, size=(97, 161), box=(0, 30, 97, 97), side=32)
        seen.append((status == Status.DAMAGED, complains(damaged.tobytes())))

    assert all(named == known for named, known in seen)
    assert 20 < sum(known for _, known in seen) < 300


PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from pipeline_lib.native.views import VIEW, load, render_views
load()
stream, table = np.fromfile(sys.argv[1], np.uint8), np.zeros(1, VIEW)
table["stored"], table["size"], table["height"], table["width"] = stream.ctypes.data, stream.nbytes, 5000, 6000
table["box_height"] = table["box_width"] = 50
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000,) * 2)
render_views(table, np.empty((1, 8, 8, 3), np.uint8))
print(table["status"][0])
"""


def test_a_lack_of_memory_is_not_called_damage(tmp_path: Path) -> None:
    """A progressive image is decoded as a whole: two bytes for each of 30 million pixels."""
    (tmp_path / "large.jpg").write_bytes(jpeg(Image.new("L", (6000, 5000)), progressive=True))

    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "large.jpg")]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )

    assert int(ended.stdout) == Status.NO_MEMORY
