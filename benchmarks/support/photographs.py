"""Real photographs to measure with: JPEG files of 500 px longest side, as published figures on ImageNet use.

    python -m benchmarks.support.photographs [--count 2048] [--images FOLDER]

Writes build/photographs/<class>/<number>.jpg; git ignores build/. With --images they are images of that folder, for
instance of ImageNet's `train`, and the quality is 90. Without, they are windows, each somewhere else and of another
size, of 25 photographs in Debian's packages of desktop backgrounds (GPL-2+, CC-BY, CC-BY-SA or CC0, as each package
says). Backgrounds are smoother than ImageNet's images, which take about 0.4 bytes per pixel at quality 90; so
theirs is 95, and those with little in them are left out. The benchmark's result file says how many bytes they take.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps

FOLDER = Path(__file__).parents[2] / "build/photographs"
LONGEST_PX = 500
SHARE = Path("/usr/share")
BACKGROUNDS_QUALITY = 95
BACKGROUNDS = {  # package -> its photographs with much to see
    "lomiri-wallpapers-16.04": (
        "backgrounds/Dragonfly_by_Bolly.jpg",
        "backgrounds/Picture_0B_by_freespace.jpg",
        "backgrounds/Wine_by_Jakkub_Mede.jpg",
        "backgrounds/aitzgorri_by_Aitzol_Berasategi.jpg",
        "backgrounds/friends_by_Aitzol_Berasategi.jpg",
        "backgrounds/life_by_Aitzol_Berasategi.jpg",
        "backgrounds/picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "backgrounds/seeding_by_Clements_Engelhardt.jpg",
        "backgrounds/sunset_by_Aitzol_Berasategi.jpg",
    ),
    "lomiri-wallpapers-20.04": ("backgrounds/Kleiber_by_Lukas_Baubkus.jpg",),
    "mate-backgrounds": (
        "backgrounds/mate/nature/Blinds.jpg",
        "backgrounds/mate/nature/Dune.jpg",
        "backgrounds/mate/nature/Garden.jpg",
        "backgrounds/mate/nature/RainDrops.jpg",
        "backgrounds/mate/nature/TwoWings.jpg",
        "backgrounds/mate/nature/Wood.jpg",
        "backgrounds/mate/nature/YellowFlower.jpg",
    ),
    "plasma-workspace-wallpapers": (
        "wallpapers/BytheWater/contents/images/2560x1600.jpg",
        "wallpapers/ColdRipple/contents/images/2560x1600.jpg",
        "wallpapers/ColorfulCups/contents/images/2560x1600.jpg",
        "wallpapers/EveningGlow/contents/images/2560x1600.jpg",
        "wallpapers/FallenLeaf/contents/images/2560x1600.jpg",
        "wallpapers/Grey/contents/images/2560x1600.jpg",
        "wallpapers/OneStandsOut/contents/images/2560x1600.jpg",
        "wallpapers/Path/contents/images/2560x1600.jpg",
    ),
}
SHAPES = (
    (4, 3),
    (4, 3),
    (4, 3),
    (3, 2),
    (3, 4),
    (1, 1),
)  # width to height; ImageNet's median image is 500 x 375
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def make_photographs(folder: Path, *, count: int, images: Path | None) -> list[Path]:
    """Write `count` JPEG files below `folder`, in one folder per class; the same bytes for the same Pillow.

    images: a folder of images, of which `count` are drawn; None takes windows of the installed backgrounds.
    Nothing is done when they are there already. Raises SystemExit with what to type when images are missing.
    """
    quality = BACKGROUNDS_QUALITY if images is None else 90
    said = f"{count} images of {images or 'the installed backgrounds'}, {LONGEST_PX} px, quality {quality}\n"
    note = folder / "images.txt"
    if not note.exists() or note.read_text(encoding="utf-8") != said:
        shutil.rmtree(folder, ignore_errors=True)
        for number, (name, image) in enumerate(
            _windows(count) if images is None else _drawn(images, count)
        ):
            path = folder / name / f"{number:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            shrunk(image, longest_px=LONGEST_PX).save(
                path, "JPEG", quality=quality, subsampling="4:2:0"
            )
        note.write_text(said, encoding="utf-8")
    return sorted(folder.glob("*/*.jpg"))


def shrunk(image: Image.Image, *, longest_px: int) -> Image.Image:
    """The image at this longest side (Lanczos), or as it is when it is smaller."""
    part = min(1.0, longest_px / max(image.size))
    width, height = (max(1, round(side * part)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _windows(count: int) -> Iterator[tuple[str, Image.Image]]:
    """Windows of the backgrounds, equally many of each: (name of the photograph, pixels)."""
    paths = _backgrounds()
    for number, path in enumerate(paths):
        rng = random.Random(path.as_posix())
        with Image.open(path) as opened:
            photograph = opened.convert("RGB")
        name = f"{number:02}_{path.parents[2].name if 'contents' in path.parts else path.stem}"
        for _ in range(count * number // len(paths), count * (number + 1) // len(paths)):
            yield name, photograph.crop(photograph_window(*photograph.size, rng))


def photograph_window(width: int, height: int, rng: random.Random) -> tuple[int, int, int, int]:
    """A box (left, top, right, bottom) somewhere in the photograph, from half of what fits up to all of it."""
    across, down = rng.choice(SHAPES)
    unit = min(width / across, height / down) * math.sqrt(rng.uniform(0.25, 1))
    w, h = int(unit * across), int(unit * down)
    left, top = rng.randint(0, width - w), rng.randint(0, height - h)
    return left, top, left + w, top + h


def _backgrounds() -> list[Path]:
    missing = [
        package
        for package, names in BACKGROUNDS.items()
        if not all((SHARE / name).exists() for name in names)
    ]
    if missing:
        what = (
            f"photographs: packages of Debian 12 are not installed (missing: {', '.join(missing)})."
        )
        remedy = f"run `apt-get install --no-install-recommends {' '.join(missing)}`, or give --images FOLDER"
        sys.exit(f"{what} Remedy: {remedy}")
    return [SHARE / name for names in BACKGROUNDS.values() for name in names]


def _drawn(images: Path, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Images of a folder, drawn without looking: (name of its folder, pixels)."""
    paths = sorted(path for path in images.rglob("*") if path.suffix.lower() in ENDINGS)
    if len(paths) < count:
        sys.exit(
            f"{images}: too few images (found: {len(paths)}). Remedy: give --count {len(paths)} or less"
        )
    for path in random.Random(0).sample(paths, count):
        with Image.open(path) as opened:
            yield path.parent.name, ImageOps.exif_transpose(opened).convert("RGB")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.support.photographs", description=__doc__
    )
    parser.add_argument("--count", type=int, default=2048, help="how many (default 2048)")
    parser.add_argument("--images", type=Path, help="a folder of images of your own")
    options = parser.parse_args()
    paths = make_photographs(FOLDER, count=options.count, images=options.images)
    size_bytes, n_px = (
        [path.stat().st_size for path in paths],
        [math.prod(Image.open(path).size) for path in paths],
    )
    print(f"{len(paths)} images, {sum(size_bytes) / len(paths) / 1000:.1f} kB each on average")
    print(f"{sum(size_bytes) / sum(n_px):.3f} bytes per pixel")


if __name__ == "__main__":
    main()
