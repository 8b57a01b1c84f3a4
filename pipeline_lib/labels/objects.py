"""One class for an image from the objects that an annotation names in it, for data sets made for detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_lib.labels.combinations import BETWEEN
from pipeline_lib.labels.params import Several

REFUSED = "\0several"  # no class has such a name


@dataclass(frozen=True)
class Box:
    """An object. x, y: of its upper left corner, pixels. width and height are 0 where no box is given."""

    label: str
    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels; 0 where no box is given."""
        return self.width * self.height

    def as_json(self) -> dict[str, object]:
        """For the extras."""
        sides = {"x": self.x, "y": self.y, "width": self.width, "height": self.height}
        return {"class": self.label, **{key: round(value, 2) for key, value in sides.items()}}


def class_of(boxes: Sequence[Box], rule: Several) -> str:
    """The class of an image with these objects; "" for none, REFUSED where they differ and `rule` does not settle it."""
    classes = {box.label for box in boxes}
    if len(classes) == 1:
        return boxes[0].label
    if not classes or rule == "leave_out":
        return ""
    if rule == "refuse":
        return REFUSED
    if rule == "combined":
        return BETWEEN.join(sorted(classes))
    largest = max(box.area for box in boxes)
    if not largest:  # tags and points: none is larger than another
        return REFUSED
    # the name decides between boxes of one size, so that no order of the file does
    return max(boxes, key=lambda box: (box.area, box.label)).label


def as_extras(boxes: Sequence[Box]) -> dict[str, object]:
    """The boxes, for those that have one."""
    drawn = [box.as_json() for box in boxes if box.width and box.height]
    return {"boxes": drawn} if drawn else {}
