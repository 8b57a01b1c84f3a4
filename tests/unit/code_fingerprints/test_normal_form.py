"""What a normal form leaves out, and what it must never leave out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipeline_lib.code_fingerprints.normal_form import c_form, python_form

LIBRARY = Path(__file__).parents[3] / "pipeline_lib"
BEFORE = b'''
from __future__ import annotations
from pydantic import BaseModel, Field

class Params(BaseModel):
    """Words."""
    rate: float = Field(0.1, gt=0, description="how fast")

def train(images: list[int], rate: float = 0.1) -> float:
    """Train."""
    total: float = 0
    for image in images:
        total += image * (rate + 1)
    return total
'''


def edited(old: str, new: str) -> bytes:
    assert old.encode() in BEFORE
    return BEFORE.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    "after",
    [
        BEFORE + b"\n# a comment\n",
        edited('"""Train."""', '"""Train on images.\n\n    At length.\n    """'),
        edited('    """Train."""\n', ""),
        edited("total += image * (rate + 1)", "total += (image\n            * (rate + 1))"),
        edited('description="how fast"', "description='The step size, per image.'"),
        edited(
            "images: list[int], rate: float = 0.1) -> float",
            "images: Sequence[int], rate: float = 0.1) -> int",
        ),
        edited("total: float = 0", "total: int = 0"),
        edited("gt=0, ", "gt=0x0, "),
        edited(
            "class Params",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import late\n\nclass Params",
        ),
        edited("    rate: float = F", '    """Below."""\n    rate: float = F'),
    ],
)
def test_what_cannot_change_a_byte_leaves_the_form_as_it_is(after: bytes) -> None:
    assert python_form(after).text == python_form(BEFORE).text


@pytest.mark.parametrize(
    "after",
    [
        edited("rate: float = Field", "rate: int = Field"),
        edited("gt=0", "gt=1"),
        edited("total: float = 0", "total: float = 0.0"),
        edited("rate + 1", "rate - 1"),
        edited("(rate + 1)", "rate + 1"),
        edited("rate: float = 0.1) ->", "rate: float = 0.2) ->"),
        edited("from __future__ import annotations\n", ""),
        edited("def train", "@njit\ndef train"),
        edited("def train", 'raise ValueError("why")\n\ndef train'),
        edited("Field(0.1, gt=0, ", "column(0.1, gt=0, "),
    ],
)
def test_what_may_change_a_byte_changes_the_form(after: bytes) -> None:
    assert python_form(after).text != python_form(BEFORE).text


def test_a_decorated_function_keeps_its_annotations_and_another_call_its_description() -> None:
    lazy = "from __future__ import annotations\n"
    one, other = (
        f"{lazy}@validate\ndef f(a: {kind}): return column(description='{kind}')"
        for kind in ("int", "str")
    )

    assert python_form(one.encode()).text != python_form(other.encode()).text
    assert python_form(b"f(description='a')").text != python_form(b"f(description='b')").text


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("print(train.__doc__)", True),
        ("inspect.getdoc(train)", True),
        ("from inspect import signature", True),
        ("Params.model_json_schema()", True),
        ("Params.model_fields['rate'].description", True),
        ("ConfigDict(use_attribute_docstrings=True)", True),
        ("argparse.ArgumentParser(description=__doc__)", True),
        ("Field(1, description='words')", False),
        ("train([1], signature, description=description)", False),
    ],
)
def test_who_reads_docstrings_descriptions_or_annotations_when_it_runs_is_known(
    line: str, reads: bool
) -> None:
    assert python_form(line.encode()).reads_source is reads


def test_the_fields_that_a_later_python_adds_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.12 gave functions and classes `type_params`, an empty list where there are none; 3.13 no other field."""
    now = python_form(BEFORE).text
    for kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
        monkeypatch.setattr(kind, "_fields", ("later", "type_params", *kind._fields))
        monkeypatch.setattr(kind, "type_params", [], raising=False)
        monkeypatch.setattr(kind, "later", None, raising=False)

    assert python_form(BEFORE + b"# not the cached one").text == now


def test_what_python_versions_escape_differently_is_escaped_always() -> None:
    assert python_form("name = 'é \U0001fae8'".encode()).text.isascii()


def test_imports_are_found_wherever_they_stand_but_not_for_type_checkers() -> None:
    text = b"""
import a.b
from ..x import y as z
def f():
    from a import c
if TYPE_CHECKING:
    from never import seen
else:
    from always import there
"""
    assert python_form(text, "pipeline_lib.train.deep").imports == (
        ("a.b", ""),
        ("pipeline_lib.train.x", "y"),
        ("a", "c"),
        ("always", "there"),
    )


def test_c_keeps_its_texts_and_lines_and_loses_comments_and_spaces() -> None:
    one = '#define A 1 /* a\n b */\nint f(void) {\n\treturn g("// no /* comment */", \'"\');  // why\n}\n'
    other = '\n#define  A  1\n\nint f(void) {\n    return g("// no /* comment */", \'"\');\n}'

    assert c_form(one) == c_form(other)
    assert c_form(one) != c_form(one.replace("// no", "//  no"))
    assert c_form("#define A\n1") != c_form("#define A 1")


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("*.c")), ids=lambda file: file.name)
def test_our_c_sources_have_comments_that_their_forms_lack(file: Path) -> None:
    assert "/*" not in c_form(file.read_text()) and "//" not in c_form(file.read_text())
