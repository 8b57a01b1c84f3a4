"""Write the demo's archive of digits, its votes and subjects, and the list of what is wrong with them.

    python -m demo.plant [--seed 0] [--folder demo/out]

The same seed gives the same bytes and file times. Source: the digits bundled with scikit-learn (UCI Optical Recognition
of Handwritten Digits, 1,797 real scans).
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from demo.annotators import cast_votes
from demo.faults import Item, plan
from demo.images import GPS_DATUM, load_scans
from demo.plant_list import (
    FOLDER,
    PLANTER_VERSION,
    Plant,
    PlantList,
    is_planted,
    read_plants,
    write_plants,
)

EPOCH_S = 1_704_067_200  # 2024-01-01 UTC; every file time is counted from here
FORGET = "person-00"
PERSONS, IMAGES_EACH, IMAGES_TO_FORGET = 20, 6, 12


def plant(folder: Path, *, seed: int) -> PlantList:
    """Write digits.tar, votes.csv, subjects.csv and plants.json into `folder`; does nothing when they are there."""
    done = folder / "plants.json"
    if is_planted(folder):
        plants = read_plants(done)
        if (plants.seed, plants.planter_version) == (seed, PLANTER_VERSION):
            return plants
    done.unlink(missing_ok=True)
    rng = np.random.default_rng(seed)
    items = plan(load_scans(), rng)
    order = [int(n) for n in rng.permutation(len(items))]
    members = _names(items, order)
    plants = _plant_list(items, order, members, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    modified_s = (
        EPOCH_S + PLANTER_VERSION * 1_000_000 + seed
    )  # another seed is another file, also for a listing
    _write(folder / "digits.tar", _tar((members[n], items[n].data) for n in order), modified_s)
    votes = [("member", "annotator", "label"), *cast_votes(plants.true_labels, rng)]
    _write(folder / "votes.csv", _csv(votes), modified_s)
    _write(
        folder / "subjects.csv", _csv([("member", "subject"), *_subjects(plants, rng)]), modified_s
    )
    write_plants(plants, done)
    return plants


def _names(items: Sequence[Item], order: Sequence[int]) -> dict[int, str]:
    """Member names by item: class folder and place in the archive, which tell nothing of the fault."""
    return {
        n: items[n].name or f"{items[n].folder}/{place:05d}{items[n].ending}"
        for place, n in enumerate(order)
    }


def _plant_list(
    items: Sequence[Item], order: Sequence[int], members: dict[int, str], *, seed: int
) -> PlantList:
    planted = [
        Plant(
            items[n].kind,
            members[n],
            members[of] if (of := items[n].of) is not None else "",
            items[n].code,
        )
        for n in order
        if items[n].kind
    ]
    truths = {members[n]: items[n].truth for n in order if items[n].truth}
    return PlantList(
        seed, PLANTER_VERSION, truths, tuple(planted), (GPS_DATUM.encode().hex(),), FORGET
    )


def _subjects(plants: PlantList, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Some people wrote several digits; the first of them will ask to be forgotten."""
    involved = plants.involved()
    free = [member for member in plants.true_labels if member not in involved]
    chosen = [
        str(member)
        for member in rng.choice(free, IMAGES_TO_FORGET + PERSONS * IMAGES_EACH, replace=False)
    ]
    people = [FORGET] * IMAGES_TO_FORGET
    people += [f"person-{n + 1:02d}" for n in range(PERSONS) for _ in range(IMAGES_EACH)]
    return sorted(zip(chosen, people, strict=True))


def _tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A plain tar whose members are one second apart."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for place, (name, data) in enumerate(files):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), EPOCH_S + place
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _write(path: Path, data: bytes, modified_s: int) -> None:
    path.write_bytes(data)
    os.utime(path, (modified_s, modified_s))


def main() -> None:
    """Command line: plant, and say what was planted."""
    parser = argparse.ArgumentParser(prog="python -m demo.plant", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="which faults, where (default 0)")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where to write (default demo/out)"
    )
    options = parser.parse_args()
    plants = plant(options.folder, seed=options.seed)
    images, faults = len(plants.true_labels), len(plants.plants)
    print(
        f"{options.folder}/digits.tar: {images} images of 10 classes, {faults} planted faults (seed {options.seed})"
    )


if __name__ == "__main__":
    main()
