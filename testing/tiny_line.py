"""A line of 96 plain images in three colours, written table by table, with dvc.lock and DVC's cache beside it.

Classes: red, green, blue. The exported model is a real ONNX file that answers with the strongest colour.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

from pipeline_lib.evaluate.shift_figures import shift_figures
from pipeline_lib.harness.line import Line, read_line
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.settings import Settings
from pipeline_lib.shift.names import STRENGTHS, corrupted_set
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.listing import LISTING
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.shifted import SHIFTED
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.votes import VOTES
from testing.tiny_figures import write_figures

ROOT = Path(__file__).parents[1]
CLASSES = ("red", "green", "blue")
SIDE_PX = 16
N_TRAIN, N_VAL, N_TEST = 24, 12, 60
SPLITS = ["train"] * N_TRAIN + ["val"] * N_VAL + ["test"] * N_TEST
PROFILE: dict[str, Any] = {
    "n": 96,
    "columns": {"entropy_bit": {"edges": [0, 4, 8], "counts": [90, 6]}},
    "classes": {"red": 96},
}
RULES = {"exif_orientation": "apply", "max_pixels": 64_000_000}


@dataclass(frozen=True)
class TinyLine:
    """A checkout that has been through evaluate. `job`: what the harness would hand to register."""

    root: Path

    def job(
        self, *, params: RegisterParams | None = None, **settings: Any
    ) -> StageRun[RegisterParams]:
        files = self.files.stage_files("register")
        return StageRun(
            self.root, files.reads, files.writes, params or RegisterParams(), Settings(**settings)
        )

    def path(self, role: str) -> Path:
        return self.files.path(role)

    @cached_property
    def files(self) -> Line:
        return read_line(self.root)


def make_line(
    root: Path,
    *,
    wrong: Collection[int] = (),
    model: str = "one",
    git: bool = True,
    names: tuple[str, ...] = CLASSES,
    blurred_wrong: Collection[int] = (),
) -> TinyLine:
    """Write the line. wrong: test images (0..59) answered wrongly. model: another word, other bytes.

    blurred_wrong: test images answered wrongly where they are blurred, beside those of `wrong`.

    names: what an override renames red, green and blue to.
    """
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml")
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / "curation").mkdir(exist_ok=True)
    (root / "curation" / "overrides.csv").write_text("key_type,key,action\n")
    (root / "params.yaml").write_text("download: {}\nregister: {}\n")
    line = TinyLine(root)
    _write_data(line, names)
    _write_model(line, wrong, model, names)
    _write_shift(line, blurred_wrong)
    receive(line)
    if git and not (root / ".git").exists():
        for command in (
            ["init", "--quiet"],
            ["add", "params.yaml", "dvc.yaml", "curation"],
            ["commit", "-qm", "start"],
        ):
            identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
            subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True)
    return line


def receive(line: TinyLine) -> None:
    """Write dvc.lock and the cache as `dvc repro` would, from the files as they are now."""
    stages: dict[str, Any] = {}
    content = YAML(typ="safe").load(line.root / "dvc.yaml")["stages"]
    for stage, entry in content.items():
        if stage == "register":
            continue
        outs = [_path(out) for kind in ("outs", "metrics", "plots") for out in entry.get(kind, ())]
        outs = [out for out in outs if (line.root / out).exists()]  # register reads few of them
        deps = [dep for dep in entry.get("deps", ()) if (line.root / dep).exists()]
        params = {
            stage: {"sources": [{"name": "tiny", "uri": "images"}]} if stage == "discover" else {}
        }
        stages[stage] = {
            "cmd": entry["cmd"],
            "deps": [
                {"path": dep, "hash": "md5", "md5": keep(line.root, line.root / dep)}
                for dep in deps
            ],
            "params": {"params.yaml": params},
            "outs": [
                {"path": out, "hash": "md5", "md5": keep(line.root, line.root / out)}
                for out in outs
            ],
        }
    YAML().dump({"schema": "2.0", "stages": stages}, line.root / "dvc.lock")


def keep(root: Path, path: Path) -> str:
    """Put a file or folder into `.dvc/cache` as DVC does; its md5."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = [
            {"md5": keep(root, file), "relpath": file.relative_to(path).as_posix()}
            for file in files
        ]
        return _store(root, json.dumps(listing).encode(), ".dir")
    return _store(root, path.read_bytes(), "")


def _store(root: Path, data: bytes, ending: str) -> str:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() + ending
    target = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return md5


def image_ids() -> list[str]:
    return [f"tiny/{CLASSES[i % 3]}/{i:03d}.png" for i in range(len(SPLITS))]


def _write_data(line: TinyLine, names: tuple[str, ...]) -> None:
    ids, random = image_ids(), np.random.default_rng(0)
    files = [_image(i % 3, random) for i in range(len(ids))]
    line.path("shards").mkdir(parents=True, exist_ok=True)
    (line.path("shards") / "a.bin").write_bytes(b"".join(files))
    sizes = [len(data) for data in files]
    members = pd.DataFrame(
        {
            "image_id": ids,
            "source": "tiny",
            "shard": "a" * 16,
            "row_in_shard": range(len(ids)),
            "container": "a.bin",
            "offset_bytes": np.cumsum([0, *sizes[:-1]]),
            "size_bytes": sizes,
            "sha256": [hashlib.sha256(data).hexdigest() for data in files],
            "label_received": [CLASSES[i % 3] for i in range(len(ids))],
        }
    )
    MEMBERS.write(_filled(MEMBERS, members), line.path("members"))
    for table, role in ((LISTING, "listing"), (VOTES, "votes"), (EXTRAS, "extras")):
        table.write(table.empty(), line.path(role))
    images = members[["image_id", "shard", "row_in_shard"]].assign(
        width_px=SIDE_PX, height_px=SIDE_PX
    )
    IMAGES.write(_filled(IMAGES, images), line.path("images"))
    line.path("sources").write_text('{"tiny": "images"}')
    line.path("features").mkdir(parents=True, exist_ok=True)
    (line.path("features") / "a.parquet").write_bytes(b"none")
    line.path("pixel_rules").write_text(json.dumps(RULES))
    line.path("betons").mkdir(parents=True, exist_ok=True)
    (line.path("betons") / "pixels.json").write_text(
        json.dumps({"pixel_rules": RULES, "short_side_px": None})
    )
    _write_curated(line, members, names)


def _write_curated(line: TinyLine, members: pd.DataFrame, names: tuple[str, ...]) -> None:
    became = dict(zip(CLASSES, names, strict=True))
    class_id = members["label_received"].map(became)
    facts = members[["image_id", "source", "sha256", "shard", "size_bytes", "label_received"]]
    kept: dict[str, Any] = {"decision": "keep", "split": SPLITS, "weight": 1.0, "reason": None}
    manifest = facts.assign(
        class_id=class_id,
        label_source="received",
        n_votes=0,
        label_issue="none",
        group_id=facts["image_id"],
        flags=pd.Series([[] for _ in range(len(facts))], index=facts.index, dtype=object),
        decided_by="rule",
        **kept,
    )
    lost = manifest.iloc[:1].assign(
        image_id="tiny/red/copy.png",
        decision="remove",
        reason="duplicate",
        split=None,
        weight=None,
        dup_kind="bytes",
    )
    both = pd.concat([manifest, lost]).assign(dup_group=None)
    copies = both["image_id"].isin([facts["image_id"][0], "tiny/red/copy.png"])
    both["dup_group"] = pd.Series(
        np.where(copies, facts["image_id"][0], None), index=both.index, dtype=object
    )
    MANIFEST.write(_filled(MANIFEST, both), line.path("manifest"))
    rows = pd.DataFrame({"image_id": facts["image_id"], "class_id": class_id, "weight": 1.0})
    rows["label"] = [i % 3 for i in range(len(rows))]
    for split in ("train", "val", "test"):
        SELECTION.write(
            rows[np.array(SPLITS) == split], line.path("selection") / f"{split}.parquet"
        )
    review = {
        "kind": "label_issue",
        "rank": [1],
        "image_id": [facts["image_id"][3]],
        "sha256": [facts["sha256"][3]],
    }
    doubted = pd.DataFrame(
        {**review, "given": "red", "suggested": "blue", "score": 0.9, "note": "looks blue"}
    )
    REVIEW.write(doubted, line.path("review"))
    counts = pd.DataFrame({"label": range(3), "class_id": names, "name": names})
    counts.assign(n_train=8, n_val=4, n_test=20).to_csv(line.path("classes"), index=False)
    SOFT_LABELS.write(SOFT_LABELS.empty(), line.path("soft_labels"))
    line.path("stopping").write_text("class_id,n_images,first_vote_right,unanimous_votes\n")
    line.path("annotators").write_text("annotator,n_votes,accuracy,agreement\nana,12,0.9,0.8\n")
    line.path("curation").write_text("{}\n")
    balance = (
        "red,train,keep,,32\ngreen,val,keep,,32\nblue,test,keep,,32\nred,train,remove,duplicate,1\n"
    )
    line.path("balance").write_text("class_id,split,decision,reason,n\n" + balance)
    line.path("profile").write_text(json.dumps({**PROFILE, "became": became}))


def _write_model(
    line: TinyLine, wrong: Collection[int], model: str, names: tuple[str, ...]
) -> None:
    test = pd.DataFrame(
        {"image_id": image_ids(), "split": SPLITS, "label": [i % 3 for i in range(len(SPLITS))]}
    )
    test = test[test["split"] != "train"].reset_index(drop=True)
    missed = test["split"].eq("test") & (test.index - N_VAL).isin(list(wrong))
    test["predicted"] = np.where(missed, (test["label"] + 1) % 3, test["label"])
    test["correct"] = ~missed
    test["p_label"], test["p_predicted"] = np.where(missed, 0.1, 0.8), np.where(missed, 0.7, 0.8)
    test["loss"] = -np.log(test["p_label"])
    test["top_classes"] = [[int(p), (int(p) + 1) % 3] for p in test["predicted"]]
    test["top_p"] = [[0.8, 0.1] for _ in range(len(test))]
    PREDICTIONS.write(test, line.path("predictions"))
    _write_explanations(line, test[test["split"] == "test"])
    write_figures(line.path, top1=1 - len(set(wrong)) / N_TEST, n=N_TEST, names=names)
    line.path("confusion").write_text("image_id,actual,predicted\n")
    line.path("weights").mkdir(parents=True, exist_ok=True)
    (line.path("weights") / "model.safetensors").write_text(model)
    line.path("curves").write_text(
        "epoch,train_loss,val_loss,val_top1,learning_rate\n1,1.0,1.1,0.5,0.1\n2,0.4,0.5,0.9,0.0\n"
    )
    kept = {
        "epoch": 2,
        "val_loss": 0.5,
        "val_top1": 0.9,
        "train_top1": 0.96,
        "train_top1_batch_statistics": 0.97,
    }
    line.path("validation").write_text(json.dumps(kept))
    write_export(line.path("export"), model, names)


def _write_shift(line: TinyLine, blurred_wrong: Collection[int]) -> None:
    """Answers to images in blur and fog, which are those to the plain ones but for `blurred_wrong`."""
    EXTRA_TESTS.write(EXTRA_TESTS.empty(), line.path("selection") / "extra.parquet")
    test = PREDICTIONS.read(line.path("predictions")).query("split == 'test'")
    plain = test[["image_id", "label", "predicted", "correct", "p_predicted"]]
    place = plain["image_id"].str.slice(-7, -4).astype(int) - N_TRAIN - N_VAL
    missed = place.isin(list(blurred_wrong))
    lost = plain["correct"] & missed
    blurred = plain.assign(
        predicted=plain["predicted"].where(~lost, (plain["label"].astype(int) + 1) % 3),
        correct=plain["correct"] & ~missed,
    )
    sets = {"blur": blurred, "fog": plain}
    shifted = pd.concat(
        rows.assign(test_set=corrupted_set(kind, strength))
        for kind, rows in sets.items()
        for strength in STRENGTHS
    )
    SHIFTED.write(shifted, line.path("shifted"))
    line.path("shift").write_text(shift_figures(shifted, plain, {}).to_csv(index=False))


def _write_explanations(line: TinyLine, test: pd.DataFrame) -> None:
    """Of the mistakes, or of the first image where there is none, in 4 x 4 cells: the answer above, the label below."""
    shown = test[~test["correct"]] if not test["correct"].all() else test.head(1)
    above = np.repeat([0.25, 0, 0, 0], 4).astype(np.float32).tolist()
    table = pd.DataFrame({"image_id": shown["image_id"], "place": range(len(shown))})
    table = table.assign(layer="colour", height=4, width=4, rank_correlation=np.float32(0.1))
    table["for_answer"] = [above] * len(table)
    table["nearest"] = [image_ids()[:5]] * len(table)
    table["likeness"] = [[0.9, 0.8, 0.7, 0.6, 0.5]] * len(table)
    table["for_label"] = [[] if right else above[::-1] for right in shown["correct"]]
    EXPLANATIONS.write(table, line.path("explanations"))


def write_export(folder: Path, model: str, classes: tuple[str, ...] = CLASSES) -> None:
    """An export folder whose ONNX answers with the strongest colour channel."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("Softmax", ["means"], ["probabilities"], axis=1),
    ]
    images = helper.make_tensor_value_info(
        "images", TensorProto.UINT8, ["batch", SIDE_PX, SIDE_PX, 3]
    )
    answers = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, model, [images], [answers])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "model.onnx",
    )
    about = {
        "format": 1,
        "network": "colour",
        "classes": classes,
        "names": classes,
        "side_px": SIDE_PX,
    }
    about |= {
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "pixels": {"pixel_rules": RULES, "short_side_px": None},
    }
    about |= {"recipe": {}, "parent": None, "epoch": 1, "temperature": 1.0}
    (folder / "model.json").write_text(json.dumps(about))
    (folder / "parity.json").write_text(
        json.dumps({"n": 60, "argmax_agreement": 1.0, "max_abs_dp": 1e-7})
    )


def _image(k: int, random: np.random.Generator) -> bytes:
    pixels_HWC = random.integers(0, 60, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    pixels_HWC[:, :, k] += 180
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "PNG")
    return buffer.getvalue()


def _filled(table: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with empty cells in the columns it does not have."""
    return frame.assign(
        **{column.name: None for column in table.columns if column.name not in frame}
    )


def _path(entry: Any) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))
