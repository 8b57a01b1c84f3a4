"""The tables of the README and docs that come from benchmarks, between `<!-- name -->` and `<!-- end name -->`."""

from __future__ import annotations

from typing import Any

from scripts import (
    backbone_tables,
    death_tables,
    export_tables,
    gate_tables,
    increment_tables,
    label_tables,
    learning_tables,
    prediction_tables,
    scale_tables,
    speed_tables,
)
from scripts.curation_tables import acceptance
from scripts.duplicate_tables import cifar10_copies
from scripts.explain_tables import marks
from scripts.measured import hardware, results
from scripts.metric_tables import metrics
from scripts.photograph_tables import photograph_copies, photographs, photographs_in_short
from scripts.report_tables import mistakes_columns, report_scale, slices_columns
from scripts.slices_tables import slices
from scripts.speed_tables import (
    cifar10,
    cifar10_stages,
    conversion,
    every_figure,
    kills,
    kills_of_training,
    loaders,
    loaders_in_short,
    long_run,
)
from scripts.unlike_tables import unlike

SCORES = (
    ("wrong labels found, with three annotators' votes", "label_errors_with_votes_recall", "min"),
    ("… precision", "label_errors_with_votes_precision", "min"),
    ("wrong labels found, without votes", "label_errors_without_votes_recall", "min"),
    ("… precision", "label_errors_without_votes_precision", "min"),
    ("exact duplicates found", "exact_duplicates_recall", "min"),
    ("near duplicates found", "near_duplicates_recall", "min"),
    ("copies with conflicting labels settled rightly", "conflicts_settled", "min"),
    (
        "pairs of copies or of one person that would cross splits if each image were drawn alone",
        "leaks_planted",
        "min",
    ),
    ("… that do cross", "leaks", "max"),
    ("sound images lost", "unplanted_removed", "max"),
    (
        "truncated, zeroed, spliced, HTML, empty, bomb: refused with the exact reason",
        "refused",
        "min",
    ),
    ("PNG named .jpg, EXIF-rotated, CMYK, 16-bit, GIF: kept, and remarked", "oddities_kept", "min"),
    ("files behind `download` with a GPS position", "gps_found", "max"),
    (
        "images that FFCV's own Loader reads from our betons as our loaders do",
        "ffcv_reads",
        "min",
    ),
    ("top-1 on the test split, true labels", "top1_true", "min"),
)

PACKAGE_SETS = (
    (
        "predict",
        "`perennial predict` of a model that is there",
        "`make setup FOR=predict` (in `.venv-predict`)",
    ),
    ("line", "the whole line, both doors", "`make setup`, and by itself `make demo`"),
    (
        "developers",
        "tests and checks",
        "by itself `make test`; `make check`, or `make setup FOR=developers`",
    ),
)


def with_tables(page: str) -> str:
    """A page's text with the tables it has marks for written anew."""
    for name, table in TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        if begin:
            _, end, after = rest.partition(f"<!-- end {name} -->")
            page = before + begin + table() + end + after
    return page


def scorecard() -> str:
    """The worst seed for each figure."""
    measured = results("scorecard")
    rows = [row for row in measured["rows"] if row["case"].startswith("plant seeds")]
    seeds = [row for row in measured["rows"] if row["case"].startswith("training seeds")]
    lines = [f"| {words} | {_worst(rows, metric, end)} |" for words, metric, end in SCORES]
    lines.append(f"| … over {seeds[0]['n']} training seeds | {_worst(seeds, 'top1_true', 'min')} |")
    lines.append(f"| … labels as received | {_worst(rows, 'top1_received', 'min')} |")
    head = f"| planted in the demo, graded by `python -m benchmarks.whole.scorecard` | worst of {rows[0]['n']} seeds |"
    n_test = int(min(row["min"] for row in rows if row["metric"] == "n_test"))
    return "\n".join(
        [head, "|---|---|", *lines, "", f"{n_test} test images or more. {hardware(measured)}", ""]
    )


def first_run() -> str:
    """Time and disk of the two commands."""
    measured = results("first_run")
    wall = {row["case"]: row["median"] for row in measured["rows"] if row["metric"] == "wall"}
    disk = {row["metric"]: row["median"] for row in measured["rows"] if row["case"] == "disk"}
    head = "| a fresh clone, timed by `python -m benchmarks.whole.first_run` | wall time |"
    lines = [f"| `{case}` | {_duration(seconds)} |" for case, seconds in wall.items()]
    notes = (
        "Set-up with the packages in uv's cache; a first download adds what the connection takes.",
        f"Disk: {disk['.venv'] / 1000:.1f} GB for `.venv` (most of it torch's CUDA libraries),",
        f"{sum(disk.values()) - disk['.venv']:.0f} MB for the demo.",
        "The photographs are of clothing, ten classes; `train.epochs=0` gives a first model, on frozen features.",
        hardware(measured),
    )
    return "\n".join([head, "|---|---|", *lines, "", " ".join(notes), ""])


def package_sets() -> str:
    """What each set of packages takes."""
    measured = results("package_sets")
    found: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"]] = row["median"]
    lines = ["| for | command | packages | disk |", "|---|---|---|---|"]
    for name, what, command in PACKAGE_SETS:
        lines.append(
            f"| {what} | {command} | {found[name]['packages']:.0f} | {_size(found[name]['disk'])} |"
        )
    by = "Measured by `python -m benchmarks.whole.package_sets`, the environment with pip and compiled bytecode."
    return "\n".join([*lines, "", f"{by} {hardware(measured)}", ""])


def _size(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _worst(rows: list[dict[str, Any]], metric: str, end: str) -> str:
    if metric == "refused":  # one row per kind of damage
        values = [row for row in rows if row["metric"].startswith("refused_")]
    else:
        values = [row for row in rows if row["metric"] == metric]
    value = (min if end == "min" else max)(row[end] for row in values)
    return f"{100 * value:.1f} %" if values[0]["unit"] == "share" else f"{value:g}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def coverage() -> str:
    """The share of lines that the quick tests run."""
    measured = results("coverage")
    found = {(row["case"], row["metric"]): row["median"] for row in measured["rows"]}
    packages = [row["case"] for row in measured["rows"] if row["metric"] == "lines run"]
    head = "| lines run by `make coverage` | of | share |\n|---|---|---|"
    lines = [
        f"| {one} | {found[one, 'lines']:,} | {found[one, 'lines run']:.1f} % |" for one in packages
    ]
    when = measured["measured"]
    counts = ", ".join(
        f"{row['median']:,} {row['metric']}" for row in measured["rows"] if row["case"] == "tests"
    )
    tests = f"Unit tests and contracts at {when['commit']}, once on {when['date']}: {counts}"
    return "\n".join([head, *lines, "", f"{tests}. {hardware(measured)}", ""])


TABLES = {
    "coverage": coverage,
    "mistakes columns": mistakes_columns,
    "report scale": report_scale,
    "scale stages": scale_tables.per_image,
    "scale curate": scale_tables.curate_rows,
    "scale estimates": scale_tables.estimates,
    "unlike": unlike,
    "metrics": metrics,
    "marks": marks,
    "export forms": export_tables.export_forms,
    "learning": learning_tables.gains,
    "imbalance": learning_tables.imbalance,
    "small trainings": learning_tables.small_trainings,
    "photographs training": learning_tables.photographs_training,
    "least batch": learning_tables.least_batch,
    "recipes": learning_tables.recipes,
    "cifar10 recipes": learning_tables.cifar10_recipes,
    "cifar10 transfer": learning_tables.cifar10_transfer,
    "cifar10 curation": learning_tables.cifar10_curation,
    "scorecard": scorecard,
    "first run": first_run,
    "package sets": package_sets,
    "backbone": backbone_tables.cost,
    "features by size": backbone_tables.by_size,
    "phone photographs": backbone_tables.phone,
    "loaders": loaders,
    "loaders in short": loaders_in_short,
    "long run": long_run,
    "conversion": conversion,
    "kills": kills,
    "kills of training": kills_of_training,
    "cifar10": cifar10,
    "cifar10 stages": cifar10_stages,
    "training": speed_tables.training,
    "freed memory": speed_tables.freed_memory,
    "transfer": speed_tables.transfer,
    "download cifar10": speed_tables.download_cifar10,
    "listing": speed_tables.listing,
    "acceptance": acceptance,
    "cifar10 copies": cifar10_copies,
    "photographs": photographs,
    "photographs in short": photographs_in_short,
    "photograph copies": photograph_copies,
    "votes": label_tables.votes,
    "cifar10 votes": label_tables.cifar10_votes,
    "planted labels": label_tables.digits,
    "photograph labels": label_tables.photograph_labels,
    "reliability": label_tables.reliability,
    "cifar10 labels": label_tables.cifar10_labels,
    "photograph outliers": label_tables.photograph_outliers,
    "next to label": label_tables.next_to_label,
    "deaths": death_tables.deaths,
    "prediction speed": prediction_tables.speed,
    "prediction memory": prediction_tables.memory,
    "prediction answers": prediction_tables.answers,
    "increments": increment_tables.nights,
    "kills of download": lambda: every_figure("kill_download", "boto3", "obstore"),
    "gate renamed": gate_tables.renamed,
    "gate classes": gate_tables.lost,
    "gate shown": gate_tables.shown,
    "gate nights": gate_tables.nights,
    "slices benchmark": slices,
    "slices columns": slices_columns,
}
