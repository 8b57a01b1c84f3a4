"""How a column becomes groups, and which columns there are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.errors import ConfigError
from pipeline_lib.params_file import parse
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.slices.columns import Cell, Wanted, groups_of, read_columns
from pipeline_lib.slices.names import of_images, of_manifest
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.votes import VOTES
from testing.tiny_line import TinyLine, image_ids, make_line


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> TinyLine:
    line = make_line(tmp_path_factory.mktemp("line"), git=False)
    ids = image_ids()
    said = ['{"camera": "A", "size": 3, "flash": true, "boxes": [[1, 2]]}', '{"camera": "B"}']
    EXTRAS.write(pd.DataFrame({"image_id": ids[-2:], "extras": said}), line.path("extras"))
    manifest = MANIFEST.read(line.path("manifest"))
    is_wide = (manifest["image_id"] == ids[-2]).to_numpy(bool)
    width, height = np.where(is_wide, 64, 20), np.where(is_wide, 16, 20)
    MANIFEST.write(manifest.assign(width_px=width, height_px=height), line.path("manifest"))
    votes = {"image_id": [ids[-1], ids[-1]], "annotator": ["ana", "ben"], "label": ["red", "red"]}
    VOTES.write(pd.DataFrame(votes), line.path("votes"))
    (line.root / "curation/groups.csv").write_text(f"member,skin\n{ids[-1][5:]},dark\n")
    return line


def sizes(cells: Sequence[Cell]) -> dict[str | None, int]:
    return {value: len(rows) for value, rows in groups_of(cells).items()}


def grouped(line: TinyLine, *names: str) -> dict[str, dict[str | None, list[int]]]:
    wanted = Wanted(names, line.root)
    found = read_columns(wanted, image_ids()[-3:], line.job().reads).found
    return {
        column.name: {value: rows.tolist() for value, rows in column.groups.items()}
        for column in found
    }


def test_columns_of_all_tables_group_the_test_images(line: TinyLine) -> None:
    found = grouped(
        line,
        "source",
        "annotator",
        "groups",
        "extras.camera",
        "extras.flash",
        "short_side_px",
        "mode",
    )

    assert found == {
        "source": {"tiny": [0, 1, 2]},
        "annotator": {"ana": [2], "ben": [2], None: [0, 1]},
        "groups.skin": {"dark": [2], None: [0, 1]},
        "extras.camera": {"A": [1], "B": [2], None: [0]},
        "extras.flash": {"yes": [1], None: [0, 2]},
        "short_side_px": {"16": [1], "20": [0, 2]},
        "mode": {None: [0, 1, 2]},
    }  # fmt: skip


@pytest.mark.parametrize("name", [*of_manifest(), *of_images()])
def test_every_column_that_may_be_named_can_be_read(line: TinyLine, name: str) -> None:
    assert sum(len(rows) for rows in grouped(line, name)[name].values()) >= 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("extras.camra", r"extras.parquet: register.slices names a column that is not there: extras.camra .*camera, flash, s"),
        ("groups.skni", r"groups.csv: .*: groups.skni \(found: skni\). Remedy: name one of: skin"),
        ("extras.boxes", r"extras.boxes .*name one of: camera, flash, size"),
    ],
)  # fmt: skip
def test_a_column_that_no_file_has_is_refused_with_the_nearest(
    line: TinyLine, name: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        grouped(line, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sorce", r"no column sorce, nearest is source"),
        ("brightness", "no column brightness"),
        ("sha256", "no column sha256"),
        ("groups.", "no column groups."),
    ],
)
def test_a_misspelt_parameter_is_refused_before_anything_runs(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(Path("params.yaml"), {"register": {"slices": [name]}}, {"register": RegisterParams})


def test_numbers_of_many_values_are_cut_at_quartiles_that_occur() -> None:
    assert sizes([float(n) for n in range(1, 101)] + [None]) == {
        "1 to 25": 25,
        "over 25 to 50": 25,
        "over 50 to 75": 25,
        "over 75 to 100": 25,
        None: 1,
    }


def test_most_of_one_number_make_fewer_bins() -> None:
    assert sizes([0.0] * 90 + [float(n) for n in range(1, 21)]) == {
        "0 to 0": 90,
        "over 0 to 20": 20,
    }


def test_edges_that_are_near_keep_the_digits_that_tell_them_apart() -> None:
    found = sizes([100_000.0 + n / 100 for n in range(16)])

    assert next(iter(found)) == "100000 to 100000.03"
    assert len(found) == 4


def test_codes_of_sites_are_no_measurements() -> None:
    sites = [str(place % 30) for place in range(900)]
    ages = [str(18 + place % 60) for place in range(300)]

    assert len(sizes(sites)) == 30
    assert list(sizes(sites))[:3] == ["0", "1", "2"]
    assert len(sizes(ages)) == 4
    assert len(sizes([float(one) for one in sites])) == 4  # measured, not written by people
    assert len(sizes([f"{place:03}" for place in range(30)])) == 30


def test_few_numbers_texts_and_codes_stay_what_they_are() -> None:
    assert sizes([3.0, 10.0, 3.0]) == {"3": 2, "10": 1}
    assert sizes(["007", "7", "none", None]) == {"007": 1, "7": 1, "none": 1, None: 1}
    assert sizes([("b", "a"), ("a",), ()]) == {"a": 2, "b": 1, None: 1}
    assert sizes(["nan"] + [str(n) for n in range(20)])["nan"] == 1
