"""curation/groups.csv: what it takes, and one line for what it does not."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.slices.groups_file import GroupsFile, grouped_images, parse_groups, read_groups

FILE = Path("curation/groups.csv")
ROWS = pd.DataFrame(
    {
        "image_id": ["a/x%201.jpg", "a/y.jpg", "b/y.jpg", "b/z.jpg"],
        "source": ["a", "a", "b", "b"],
        "sha256": ["aa11", "bb22", "bb22", None],
    }
)


def parsed(text: str) -> GroupsFile:
    return parse_groups(text, FILE)


def test_by_image_id_an_empty_cell_is_no_value_and_a_line_too_many_is_told() -> None:
    text = "image_id,skin,place\na/y.jpg,dark,\n# a note\n\nb/gone.jpg,light,Rome\n"

    found = grouped_images(parsed(text), ROWS, FILE)

    assert found.columns == ("skin", "place")
    assert found.values == {"a/y.jpg": {"skin": "dark"}}
    assert [(one.number, one.key) for one in found.lost] == [(5, "b/gone.jpg")]


def test_by_sha256_every_copy_is_named_and_by_member_the_path_in_the_source() -> None:
    by_content = grouped_images(parsed("sha256,g\nBB22,1\n"), ROWS, FILE)
    by_member = grouped_images(parsed("\ufeffmember,g\nx 1.jpg,'=1\n"), ROWS, FILE)

    assert set(by_content.values) == {"a/y.jpg", "b/y.jpg"}
    assert by_member.values == {"a/x%201.jpg": {"g": "=1"}}


def test_the_file_as_shipped_and_none_at_all_say_nothing(tmp_path: Path) -> None:
    shipped = read_groups(Path(__file__).parents[3])

    assert (shipped.columns, shipped.lines) == ((), ())
    assert read_groups(tmp_path).lines == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"groups.csv:1: the first column does not say how images are named\. Remedy: name the images"),
        ("file,g\na,1\n", r"groups.csv:1: .*\(found: file,g\).* headed image_id, sha256 or member"),
        ("image_id,g,g,\n", r"groups.csv:1: columns without a name, or two of one name \(found: \(empty\), g\)"),
        (
            "image_id,g\na/y.jpg\n,1\na/y.jpg,1,2\na,1\na,2\n",
            r"4 wrong lines \(found: line 2: 1 cells instead of 2; line 3: no image_id; line 4: 3 cells instead of 2; "
            r"line 6: a has other values in line 5\). Remedy: fix or delete",
        ),
        ('image_id,g\n"a,1\n', r"1 wrong line .*line 2: "),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_id,g\ny.jpg,1\n", r"no line names an image .* by its image_id \(found: line 2: y.jpg\).* such as a/x%201"),
        ("member,g\ny.jpg,1\n", r"1 wrong line .*line 2: y.jpg is in several sources: .*\(a/y.jpg, b/y.jpg\)"),
    ],
)  # fmt: skip
def test_keys_that_name_no_image_or_several_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadData, match=said):
        grouped_images(parsed(text), ROWS, FILE)
