"""Croissant 1.0 metadata (JSON-LD) of a release: https://docs.mlcommons.org/croissant/docs/croissant-spec.html

Written as plain JSON; the tests have MLCommons' own library (`mlcroissant`) validate it and read records through it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline_lib.release.datasheet_answers import About
from pipeline_lib.release.frozen import FrozenFile
from pipeline_lib.tables.manifest import MANIFEST, SPLITS
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.table import Table

UP = "../../"  # from releases/NAME/ to the root of the checkout
VERSION = "http://mlcommons.org/croissant/1.0"
FORMATS = {
    ".parquet": "application/x-parquet",
    ".csv": "text/csv",
    ".json": "application/json",
    ".tar": "application/x-tar",
}
CLASS_COLUMNS = {
    "label": ("sc:Integer", "index of the class in a model's output, 0-based"),
    "class_id": ("sc:Text", "the class"),
    "name": ("sc:Text", "the class in words"),
    **{f"n_{split}": ("sc:Integer", f"kept images in {split}") for split in SPLITS},
}
TERMS = "citeAs column conformsTo equivalentProperty extract field fileProperty fileObject fileSet format includes"
TERMS += " isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate"
TERMS += " separator source subField transform"
CONTEXT: dict[str, Any] = {  # the specification's, term by term
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{term: f"cr:{term}" for term in TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
}


def croissant(about: About, files: Sequence[FrozenFile], *, version: str, published: date) -> str:
    """The JSON-LD text. files: of the release. version: major.minor.patch."""
    terms = [licence.url or licence.name for licence in about.licences.values()]
    content = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": about.title,
        "description": about.description,
        "url": about.url,
        "license": list(dict.fromkeys(terms)),
        "creator": [{"@type": "sc:Organization", "name": name} for name in about.creators],
        "citeAs": f"{'; '.join(about.creators)} ({published.year}). {about.title}, version {version}. {about.url}",
        "datePublished": published.isoformat(),
        "version": version,
        "distribution": [_file(file) for file in files],
        "recordSet": _record_sets(files),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _file(file: FrozenFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": PurePosixPath(file.path).name,
        "contentUrl": UP + file.path,
        "contentSize": f"{file.size_bytes} B",
        "encodingFormat": FORMATS.get(PurePosixPath(file.path).suffix, "application/octet-stream"),
        "sha256": file.sha256,
    }


def _record_sets(files: Sequence[FrozenFile]) -> list[dict[str, Any]]:
    """Every image with its decision, where its bytes lie, the selected rows of each split, and the classes."""
    path = {PurePosixPath(file.path).stem: file.path for file in files if file.role != "shards"}
    tables = {"manifest": MANIFEST, "members": MEMBERS, **dict.fromkeys(SPLITS, SELECTION)}
    sets = [
        _record_set(name, path[name], table.meaning, _columns(table))
        for name, table in tables.items()
    ]
    classes = {name: (kind, meaning, False) for name, (kind, meaning) in CLASS_COLUMNS.items()}
    return [
        *sets,
        _record_set(
            "classes", path["classes"], "the classes in the order of a model's output", classes
        ),
    ]


def _record_set(
    name: str, file: str, meaning: str, columns: dict[str, tuple[str, str, bool]]
) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": meaning,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": what,
                "dataType": kind,
                **({"repeated": True} if repeated else {}),
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            }
            for column, (kind, what, repeated) in columns.items()
        ],
    }


def _columns(table: Table) -> dict[str, tuple[str, str, bool]]:
    """name -> data type, meaning, whether a cell holds several values."""
    return {
        c.name: (_data_type(c.type), c.meaning, pa.types.is_list(c.type)) for c in table.columns
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return _data_type(kind.value_type)
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
