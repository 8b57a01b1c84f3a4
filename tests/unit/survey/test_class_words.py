"""Names and parents of classes that a source brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.settings import Settings
from pipeline_lib.survey import Survey, survey
from scripts.odd_folders import Files, below
from testing.curated import write_source

STRUCTURE = b"""<ImageNetStructure><releaseData>fall2011</releaseData>
<synset wnid="fall11" words="ImageNet 2011 Fall Release" gloss=""><synset wnid="n00017222" words="plant, flora" gloss="">
<synset wnid="n11545524" words="fern ally" gloss=""/><synset wnid="n11669921" words="flower" gloss=""/>
</synset></synset></ImageNetStructure>"""
FLOWERS = dict.fromkeys(below("n11545524", "n11669921"))


def surveyed(folder: Path, files: Files) -> Survey:
    write_source(folder / "pics", files)
    return survey("pics", Settings(workers=1), root=folder)


def test_imagenets_structure_names_the_classes_and_what_lies_above_them(tmp_path: Path) -> None:
    found = surveyed(tmp_path, FLOWERS | {"structure_released.xml": STRUCTURE})

    assert [(one.class_id, one.name, one.parents) for one in found.words] == [
        ("n00017222", "plant", ()),
        ("n11545524", "fern ally", ("n00017222",)),
        ("n11669921", "flower", ("n00017222",)),
    ]


@pytest.mark.parametrize("text", [STRUCTURE[:150], b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + STRUCTURE])
def test_a_damaged_structure_is_left_out_and_said(
    text: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = surveyed(tmp_path, FLOWERS | {"structure_released.xml": text})

    assert not any(one.parents for one in found.words)
    assert "ImageNet's structure is left out" in caplog.text


def test_sizes_and_formats_are_of_images_that_are_taken(tmp_path: Path) -> None:
    pages = [f"docs/{n}.ppm" for n in range(4)]
    files = dict.fromkeys([*below("train/cat", "train/dog", "val/cat", "val/dog", n=8), *pages])

    found = surveyed(tmp_path, files)

    assert sum(n for _, n in found.formats) == 32
    assert len(found.short_sides_px) == 32
