"""A newcomer's pages name what exists: the recipes of docs/extending.md, the glossary, the version."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from flows.cli.parser import COMMANDS
from pipeline_lib.harness.line import STAGES
from pipeline_lib.loader.view_params import ViewParams
from pipeline_lib.networks.build import OURS, VIT_S, torchvision_names
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.register.params import RegisterParams

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
CODES = {code.value: f"{type(code).__name__}.{code.name}" for code in (*Reason, *Remark)}
# Of each recipe: what is there already. A recipe that an existing one does not follow is wrong.
EXAMPLES = {
    "A stage": STAGES,
    "A kind of source": ("s3",),
    "A network": tuple(OURS),
    "An augmentation": tuple(ViewParams.model_fields),
    "A metric with a gate rule": ("top1",),
    "A reason code": tuple(CODES),
    "A command": COMMANDS,
}
# A file of a recipe says something other than the example's name, or has no need to.
SAID_OTHERWISE = {
    ("A stage", "docs/architecture.md"): "`{}`",
    ("A kind of source", "pyproject.toml"): "boto3",
    ("A kind of source", "docs/dependencies.md"): "boto3",
    ("A kind of source", "pipeline_lib/settings.py"): "s3_endpoint_url",
    ("A kind of source", "settings.toml"): "s3_endpoint_url",
    ("A kind of source", "tests/unit/discover/test_stated_sources.py"): "s3://",
    ("A metric with a gate rule", "pipeline_lib/register/params.py"): "min_top1",
    ("A metric with a gate rule", "pipeline_lib/registry/verdict.py"): "better than the floor",
    ("A metric with a gate rule", "docs/gate.md"): "register.min_top1",
    ("A metric with a gate rule", "tests/unit/register/"): "min_top1",
    ("A network", "tests/unit/networks/test_build.py"): "OURS",
}


def recipes() -> dict[str, list[str]]:
    """Each recipe's title and its steps."""
    sections = re.split(r"^## ", PAGE.partition("## Tried")[0], flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^\d+\. (.*(?:\n   .*)*)", body, re.MULTILINE)
        for title, _, body in (section.partition("\n") for section in sections)
    }


def files_of(step: str) -> list[str]:
    return [
        span
        for span in re.findall(r"`([^` ]+)`", step)
        if "/" in span or span.endswith((".toml", ".yaml", ".md"))
    ]


@cache
def text_of(path: str) -> str:
    """The content of a file, or of every file of a folder."""
    if not path.endswith("/"):
        return (ROOT / path).read_text(encoding="utf-8")
    files = [file for file in TRACKED if file.startswith(path) and file.endswith((".py", ".md"))]
    return "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)


def names(path: str, recipe: str, example: str) -> bool:
    """Whether a file of a recipe is there for this example, and says it."""
    own = re.sub(r"<\w+>", example, path)
    if not (ROOT / own).exists():
        return False
    if own != path or path == "pipeline_lib/reasons.py":  # a file of its own; the enum itself
        return True
    said = SAID_OTHERWISE.get((recipe, path), example).format(example)
    if recipe == "A reason code" and path == "pipeline_lib/":
        said = CODES[example]
    return re.search(rf"(?<!\w){re.escape(said)}(?!\w)", text_of(path)) is not None


def test_there_are_seven_recipes() -> None:
    assert list(recipes()) == list(EXAMPLES)


@pytest.mark.parametrize("recipe", EXAMPLES)
def test_every_file_that_a_recipe_names_exists(recipe: str) -> None:
    paths = {path for step in recipes()[recipe] for path in files_of(step)}

    ways = {path: [re.sub(r"<\w+>", one, path) for one in EXAMPLES[recipe]] for path in paths}
    gone = [path for path, own in ways.items() if not any((ROOT / one).exists() for one in own)]

    assert len(paths) >= 4 and gone == []


@pytest.mark.parametrize("recipe", EXAMPLES)
def test_what_is_there_already_follows_its_recipe(recipe: str) -> None:
    """The first file of each step, but for steps that not all need."""
    steps = [files_of(step)[0] for step in recipes()[recipe] if not step.startswith("*If*")]

    missing = [
        f"{one}: {path}"
        for path in steps
        for one in EXAMPLES[recipe]
        if not names(path, recipe, one)
    ]

    assert missing == []


def test_one_member_of_every_family_of_torchvision_is_trained_by_a_test() -> None:
    import torchvision.models as zoo

    trained = text_of("tests/unit/train/test_every_family.py")
    families: dict[str, list[str]] = {zoo.vision_transformer.__name__: [VIT_S]}
    for name in set(torchvision_names()) - {VIT_S}:
        families.setdefault(zoo.get_model_builder(name).__module__, []).append(name)

    assert [
        names for names in families.values() if not any(f'"{name}"' in trained for name in names)
    ] == []


def test_a_limit_of_the_gate_stands_in_the_files_of_its_recipe() -> None:
    absent = [
        name
        for name in RegisterParams.model_fields
        if name not in text_of("pipeline_lib/register/")
    ]

    assert absent == []


def test_every_term_of_the_glossary_is_used_elsewhere_in_code_or_docs() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| `([^`]+)` \| \S", glossary, re.MULTILINE)
    others = [
        f
        for f in TRACKED
        if f.endswith((".py", ".md")) and f != "docs/glossary.md" and (ROOT / f).exists()
    ]
    text = "\n".join((ROOT / f).read_text(encoding="utf-8") for f in others).lower()

    unused = [
        term for term in terms if re.search(rf"(?<!\w){re.escape(term.lower())}", text) is None
    ]

    assert len(terms) >= 40 and unused == []
    assert terms == sorted(terms, key=str.lower)


def test_the_version_is_the_newest_heading_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)

    assert headings[:2] == ["Unreleased", project["version"]]
