"""The plant list: what was hidden in the demo's archive. Written by the planter, read by the scorer alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path("demo/out")
FILES = (
    "digits.tar",
    "votes.csv",
    "subjects.csv",
    "plants.json",
)  # the list comes last: it says that the others are whole
PLANTER_VERSION = 1  # raised when the same seed gives other bytes

DAMAGE = ("truncated", "zeroed_page", "spliced", "html", "empty", "bomb")
ODDITIES = ("png_named_jpg", "exif_rotated", "gps", "png_16bit", "cmyk", "palette", "animated_gif")
FOREIGN = ("system_file", "text_file")


@dataclass(frozen=True)
class Plant:
    """One planted fault. `of`: the member it copies, if any. `code`: the reason or remark the line should give it."""

    kind: str
    member: str
    of: str = ""
    code: str = ""


@dataclass(frozen=True)
class PlantList:
    """The truth about one archive.

    true_labels: class of every image that can be decoded, by member. needles_hex: byte strings of the planted GPS
    positions, which must not be found behind `download`. forget: the person to forget, as in subjects.csv.
    """

    seed: int
    planter_version: int
    true_labels: Mapping[str, str]
    plants: tuple[Plant, ...]
    needles_hex: tuple[str, ...]
    forget: str

    def of_kind(self, *kinds: str) -> tuple[Plant, ...]:
        """The plants of these kinds, in archive order."""
        return tuple(plant for plant in self.plants if plant.kind in kinds)

    def involved(self) -> frozenset[str]:
        """Every member that is planted or copied; the others must come through untouched."""
        return frozenset(name for plant in self.plants for name in (plant.member, plant.of) if name)


def is_planted(folder: Path) -> bool:
    """Whether all files of the demo are there."""
    return all((folder / name).exists() for name in FILES)


def received_label(member: str) -> str:
    """The class a member arrives with: its folder."""
    return member.partition("/")[0]


def write_plants(plants: PlantList, path: Path) -> None:
    """Write the list as JSON, one line per image and per plant."""
    path.write_text(json.dumps(asdict(plants), indent=0, sort_keys=True) + "\n", encoding="utf-8")


def read_plants(path: Path) -> PlantList:
    """Read the list written by `write_plants`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    plants: Iterable[dict[str, str]] = content.pop("plants")
    needles = tuple(content.pop("needles_hex"))
    return PlantList(
        plants=tuple(Plant(**plant) for plant in plants), needles_hex=needles, **content
    )
