"""Geometry of the charts of the history, in SVG user units; the template draws it, so that text is escaped in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline_lib.history import words
from pipeline_lib.history.night import NO_RESULT, WORD, Night
from pipeline_lib.report.charts import Tick, nice_ticks

WIDTH, LEFT, RIGHT = (
    1100,
    14,
    64,
)  # the axis is on the right, beside the newest night: a phone shows that end
ACCURACY_HEIGHT, TOP, BOTTOM = 270, 16, 26
STRIP_HEIGHT, STRIP_GAP = 62, 30
LEAST_SLOTS = 8  # a few nights are not spread over the whole width
MOST_BINS = 100


@dataclass(frozen=True)
class Mark:
    """One night on the chart of accuracy. kind: its outcome, which is its shape. top, bottom: of the interval."""

    x: float
    y: float
    top: float
    bottom: float
    kind: str
    href: str
    reading: str
    left: float
    width: float


@dataclass(frozen=True)
class Bar:
    """One night in a strip."""

    x: float
    y: float
    width: float
    height: float
    href: str
    reading: str


@dataclass(frozen=True)
class Strip:
    """A row of bars under the chart. top: of its plot; most: what its highest bar shows."""

    title: str
    top: float
    bottom: float
    most: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Part:
    """Neighbouring nights, oldest first. first: position of the first one among all nights.

    champion: `x,y x,y ...` of the line, one text per stretch.
    """

    anchor: str
    first: int
    nights: tuple[Night, ...]
    marks: tuple[Mark, ...]
    champion: tuple[str, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    strips: tuple[Strip, ...]
    strips_height: float
    width: int = WIDTH
    height: int = ACCURACY_HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = ACCURACY_HEIGHT - BOTTOM


@dataclass(frozen=True)
class Bin:
    """Some nights in the chart of all: lowest, middle and highest top-1."""

    x: float
    middle: float
    top: float
    bottom: float
    href: str
    reading: str
    left: float
    width: float


@dataclass(frozen=True)
class Overview:
    """All nights in bins."""

    bins: tuple[Bin, ...]
    champion: tuple[str, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    in_bin: int
    width: int = WIDTH
    height: int = 190
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = 190 - BOTTOM


def anchor_of(position: int) -> str:
    """The row of a night in the tables."""
    return f"night-{position + 1}"


def part_of(nights: Sequence[Night], *, first: int) -> Part:
    """Place the nights of one part."""
    slots = max(len(nights), LEAST_SLOTS)
    slot = (WIDTH - LEFT - RIGHT) / slots
    start = WIDTH - RIGHT - slot * len(nights)

    def across(number: float) -> float:
        return round(start + (number + 0.5) * slot, 1)

    low, high, y_marks = _scale(nights)

    def down(share: float) -> float:
        return round(_placed(share, low, high, ACCURACY_HEIGHT), 1)

    marks = []
    for number, night in enumerate(nights):
        score = night.score
        floor = float(ACCURACY_HEIGHT - BOTTOM)
        y = down(score.top1) if score else floor
        marks.append(
            Mark(
                x=across(number),
                y=y,
                top=down(score.high) if score and score.high is not None else y,
                bottom=down(score.low) if score and score.low is not None else y,
                kind=night.outcome,
                href=night.report or f"#{anchor_of(first + number)}",
                reading=_reading(night),
                left=round(across(number - 0.5), 1),
                width=round(slot, 1),
            )
        )
    champion = _champion_line(nights, across, down, slot)
    strips = _strips(nights, first, across, slot)
    return Part(
        anchor=f"part-{anchor_of(first)}",
        first=first,
        nights=tuple(nights),
        marks=tuple(marks),
        champion=champion,
        y_ticks=tuple(Tick(down(mark), f"{100 * mark:.4g} %") for mark in y_marks),
        x_ticks=_dates(nights, across, slot),
        strips=strips,
        strips_height=len(strips) * (STRIP_HEIGHT + STRIP_GAP) + 8,
    )


def overview(nights: Sequence[Night], in_part: int) -> Overview:
    """All nights; each bin leads to the part that its newest night is in."""
    in_bin = -(-len(nights) // MOST_BINS)
    n_bins = -(-len(nights) // in_bin)
    slot = (WIDTH - LEFT - RIGHT) / n_bins
    low, high, y_marks = _scale(nights)

    def down(share: float) -> float:
        return round(_placed(share, low, high, Overview.height), 1)

    bins = []
    ends: list[Night] = []
    for number in range(n_bins):
        found = nights[number * in_bin : (number + 1) * in_bin]
        ends.append(found[-1])
        scores = [night.score.top1 for night in found if night.score]
        if not scores:
            continue
        newest = number * in_bin + len(found) - 1
        part = max(0, len(nights) - in_part * ((len(nights) - 1 - newest) // in_part + 1))
        days = " to ".join(dict.fromkeys((found[0].when[:10], found[-1].when[:10])))
        bins.append(
            Bin(
                x=round(LEFT + (number + 0.5) * slot, 1),
                middle=down(median(scores)),
                top=down(max(scores)),
                bottom=down(min(scores)),
                href=f"#part-{anchor_of(part)}",
                reading=f"{days}: top-1 {100 * min(scores):.1f} to {100 * max(scores):.1f} %, {len(found)} nights",
                left=round(LEFT + number * slot, 1),
                width=round(slot, 1),
            )
        )

    def across(number: float) -> float:
        return round(LEFT + (number + 0.5) * slot, 1)

    return Overview(
        bins=tuple(bins),
        champion=_champion_line(ends, across, down, slot),
        y_ticks=tuple(Tick(down(mark), f"{100 * mark:.4g} %") for mark in y_marks),
        x_ticks=_dates(ends, across, slot),
        in_bin=in_bin,
    )


def _scale(nights: Sequence[Night]) -> tuple[float, float, list[float]]:
    """The lowest and the highest share that is drawn, and round marks between."""
    ends: list[float] = []
    for night in nights:
        if night.score:
            score = night.score
            ends += [score.top1 if end is None else end for end in (score.low, score.high)]
        if night.champion_top1 is not None:
            ends.append(night.champion_top1)
    if not ends:
        return 0.0, 1.0, [0.0, 0.5, 1.0]
    marks = [mark for mark in nice_ticks(min(ends), max(ends)) if mark <= 1]
    return min(marks[0], *ends), max(marks[-1], *ends), marks


def _placed(share: float, low: float, high: float, height: int) -> float:
    return height - BOTTOM - (share - low) / ((high - low) or 1) * (height - TOP - BOTTOM)


def _champion_line(
    nights: Sequence[Night],
    across: Callable[[float], float],
    down: Callable[[float], float],
    slot: float,
) -> tuple[str, ...]:
    """Steps: after a night its champion is in use until the next one. A gap where none is, or where its top-1 is lost."""
    stretches: list[list[str]] = [[]]
    for number, night in enumerate(nights):
        if night.champion_top1 is None:
            stretches.append([])
            continue
        y = down(night.champion_top1)
        x = across(number)
        stretches[-1] += [f"{x},{y}", f"{round(x + slot, 1)},{y}"]
    if stretches[-1]:  # nothing is known after the last night
        end = across(len(nights) - 0.5)
        stretches[-1][-1] = f"{end},{stretches[-1][-1].split(',')[1]}"
    return tuple(" ".join(one) for one in stretches if one)


def _strips(
    nights: Sequence[Night], first: int, across: Callable[[float], float], slot: float
) -> tuple[Strip, ...]:
    """Images kept, labels changed, time, and cost where a price is set."""
    wanted: list[tuple[str, Callable[[Night], float | None], Callable[[float], str]]] = [
        ("images kept", lambda one: one.images.kept if one.images else None, lambda n: f"{n:,.0f}"),
        (
            "labels changed",
            lambda one: one.changed.labels if one.changed else None,
            lambda n: f"{n:,.0f}",
        ),
        ("time of the stages", lambda one: one.cost.busy_s if one.cost else None, words.duration),
    ]
    currency = next((one.cost.currency for one in nights if one.cost and one.cost.currency), "")
    if currency:
        wanted.append(
            (
                f"cost, {currency}",
                lambda one: one.cost.price if one.cost else None,
                lambda n: f"{n:.2f}",
            )
        )
    strips = []
    for row, (title, value_of, said) in enumerate(wanted):
        top = row * (STRIP_HEIGHT + STRIP_GAP) + STRIP_GAP - 6
        bottom = top + STRIP_HEIGHT
        values = [value_of(night) for night in nights]
        most = max((value for value in values if value is not None), default=0.0)
        bars = []
        for number, (night, value) in enumerate(zip(nights, values, strict=True)):
            if not value:
                continue
            height = max(STRIP_HEIGHT * value / most, 1.5)
            width = min(0.72 * slot, 46.0)
            bars.append(
                Bar(
                    x=round(across(number) - width / 2, 1),
                    y=round(bottom - height, 1),
                    width=round(width, 1),
                    height=round(height, 1),
                    href=night.report or f"#{anchor_of(first + number)}",
                    reading=f"{words.minute(night.when)}: {said(value)} {title.partition(',')[0]}",
                )
            )
        strips.append(Strip(title, top, bottom, said(most) if most else "", tuple(bars)))
    return tuple(strips)


def _dates(
    nights: Sequence[Night], across: Callable[[float], float], slot: float
) -> tuple[Tick, ...]:
    """Dates under the chart, as many as have room; a day that is shown already shows its time."""
    every = max(1, round(76 / slot + 0.5))
    ticks = []
    shown = ""
    for number in range(0, len(nights), every):
        when = nights[number].when
        label = when[:10] if when[:10] != shown else when[11:16]
        shown = when[:10]
        ticks.append(Tick(across(number), label))
    return tuple(ticks)


def _reading(night: Night) -> str:
    """What a mark says when it is pointed at, or read aloud."""
    said = f"{words.minute(night.when)}: {WORD[night.outcome]}"
    if night.version is not None:
        said += f", version {night.version}"
    if night.score:
        said += f", top-1 {words.percent(night.score.top1)}"
    if night.outcome in NO_RESULT:
        said += f". {night.sentence}"
    return said
