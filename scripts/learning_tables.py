"""The tables of what was trained: ways to learn (docs/training.md), CIFAR-10 (docs/recipes.md, docs/labels.md)."""

from __future__ import annotations

from typing import Any

from flows.fields import as_yaml
from pipeline_lib.train.recipes import RECIPES, Recipe
from scripts.measured import hardware, results

FIRST = "resnet-16"
PRETRAINED, TESTED = "training images", "test images of the other classes"
WAYS = ("plain", "class weights", "balanced sampling", "logit adjustment")


def gains() -> str:
    """Accuracy and gain of every way that was measured."""
    measured = results("learning")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    lines = ["| experiment | training | top-1, % | gain, points |", "|---|---|---|---|"]
    for (case, way), row in found.items():
        if way.startswith("gain of ") or way.split(", ")[-1].isdigit():
            continue
        gain = found.get((case, f"gain of {way}"))
        lines.append(f"| {case} | {way} | {_spread(row)} | {_spread(gain) if gain else ''} |")
    n = min(row["n"] for row in measured["rows"])
    note = f"Median (least to most) of {n} seeds. {hardware(measured, 'scikit-learn')}"
    return "\n".join([*lines, "", note, ""])


def small_trainings() -> str:
    """What `init` writes for few images, beside the same without its average and beside nearest means."""
    measured = results("small_trainings")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    head = (
        "images per class",
        "top-1, %",
        "gain by the average of the weights, points",
        "gain over the nearest mean of the network's features, points",
        "nearest mean of HOG features, %",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case in dict.fromkeys(case for case, _ in found):
        cells = [_spread(found[case, "as init writes, top-1 on test"])]
        for other in ("without an average", "nearest mean, own features"):
            gain = found.get((case, f"as init writes less {other}"))
            cells.append(_spread(gain) if gain else "")
        cells.append(_spread(found[case, "nearest mean, HOG, top-1 on test"]))
        lines.append(f"| {case} | {' | '.join(cells)} |")
    seeds = sorted({row["n"] for row in measured["rows"]})
    n = " or ".join(map(str, seeds))
    note = f"Median (least to most) of {n} draws; gains are computed draw by draw. {hardware(measured, 'ffcv')}"
    return "\n".join([*lines, "", note, ""])


SIDES = {
    "probe": "a plain probe: logistic regression on frozen features",
    "ours": "`finetune`",
    "timm": "timm's defaults",
    "fastai": "fastai's way",
}


def photographs_training() -> str:
    """Fine-tuning on photographs beside a plain probe and what people would use instead."""
    measured = results("photographs_training")
    found = {row["metric"]: row for row in measured["rows"]}
    head = (
        "745 photographs of clothing",
        "top-1, %",
        "training, CPU s",
        "gain of `finetune`, points",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for side, words in SIDES.items():
        gain = found.get(f"ours less {side}")
        won = ""
        if gain:
            interval = found[f"ours less {side}, corrected interval"]
            won = (
                f"{interval['median']:.1f} ({interval['min']:.1f} to {interval['max']:.1f}); "
                f"by split {gain['min']:.1f} to {gain['max']:.1f}"
            )
        top1, cost = found[f"{side}, top-1 on test"], found[f"{side}, training CPU"]
        cells = [str(top1["n"]), _spread(top1), f"{cost['median']:.0f}", won]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    note = (
        "Median (least to most) of the splits, 252 test images each; gains are means with their 95 % interval, split by "
        "split, widened for splits that share images (Nadeau and Bengio 2003). "
        f"{hardware(measured, 'timm', 'onnxruntime')}"
    )
    return "\n".join([*lines, "", note, ""])


def least_batch() -> str:
    """The largest logit after four steps, by how many values a channel batch normalisation saw."""
    measured = results("least_batch")
    found: dict[str, dict[str, Any]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"].split(", ")[1].split()[0]] = row
    sizes = list(next(iter(found.values())))
    lines = [
        f"| largest logit, by values per channel | {' | '.join(sizes)} |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for network, rows in found.items():
        lines.append(f"| {network} | {' | '.join(_largest(rows[size]['max']) for size in sizes)} |")
    n = measured["rows"][0]["n"]
    return "\n".join(
        [*lines, "", f"Maximum of {n} seeds, with images of 32 px. {hardware(measured)}", ""]
    )


def _largest(value: float) -> str:
    return "not finite" if value > 9e37 else f"{value:.2g}"


def imbalance() -> str:
    """Share of each class that is found."""
    measured = results("learning")
    found = {row["metric"]: row for row in measured["rows"] if row["case"] == "imbalance"}
    digits = sorted({way.split(", ")[1] for way in found if way.startswith("plain, ")})
    lines = [f"| recall, %, of digit | {' | '.join(digits)} |", "|---" * (len(digits) + 1) + "|"]
    for way in WAYS:
        lines.append(
            f"| {way} | "
            + " | ".join(f"{found[f'{way}, {digit}']['median']:.0f}" for digit in digits)
            + " |"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"Median of {found['plain']['n']} seeds, 35 or 36 test images per class.",
            "",
        ]
    )


def recipes() -> str:
    """The numbers behind each recipe's name, where recipes differ; the five longer resnet-N differ in their epochs."""
    shown = {
        name: dict(recipe)
        for name, recipe in RECIPES.items()
        if not name.startswith("resnet-") or name == FIRST
    }
    lines = [f"| | {' | '.join(f'`{name}`' for name in shown)} |", "|---" * (len(shown) + 1) + "|"]
    alike = {}
    for key in Recipe.model_fields:
        values = [as_yaml(recipe[key]) for recipe in shown.values()]
        if len(set(values)) == 1:
            alike[key] = values[0]
        else:
            lines.append(f"| `{key}` | {' | '.join(values)} |")
    note = (
        "In all of them: " + ", ".join(f"`{name}` {value}" for name, value in alike.items()) + "."
    )
    return "\n".join([*lines, "", note, ""])


def cifar10_recipes() -> str:
    """Recipes trained on CIFAR-10 on one core."""
    measured = results("cifar10_training")
    found = {(row["case"], row["metric"]): row["median"] for row in measured["rows"]}
    head = "| on CIFAR-10, one core | epochs | training images | CPU time, min | top-1 on the 10,000 test images |"
    lines = [head, "|---|---|---|---|---|"]
    for case in dict.fromkeys(case for case, metric in found if metric == "epochs"):
        cells = [f"{found[case, 'epochs']:.0f}", f"{found[case, 'training images']:,.0f}"]
        cells += [f"{found[case, 'training CPU']:.0f}", f"{found[case, 'top-1 on test']:.1f} %"]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"One run per row. {hardware(measured, 'ffcv')}", ""])


def cifar10_transfer() -> str:
    """What starting weights win on ten images of each class."""
    measured = results("cifar10_transfer")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    lines = [
        "| ten images of each of five classes of CIFAR-10 | top-1 on test, % | gain, points |",
        "|---|---|---|",
    ]
    for case in dict.fromkeys(case for case, metric in found if metric == "top-1 on test"):
        won = next(
            (row for (of, metric), row in found.items() if of == case and metric.startswith("won")),
            None,
        )
        lines.append(
            f"| {case} | {_spread(found[case, 'top-1 on test'])} | {_spread(won) if won else ''} |"
        )
    over = next(metric for _, metric in found if metric.startswith("won")).removeprefix("won over ")
    n_known, n_test = (f"{found['weights', name]['median']:,.0f}" for name in (PRETRAINED, TESTED))
    top1 = found[over, "top-1 on test"]
    note = f"Median (least to most) of {top1['n']} draws; gain over {over}, draw by draw. Weights from {n_known} images "
    note += f"of the five other classes; {n_test} test images. {hardware(measured, 'ffcv')}"
    return "\n".join([*lines, "", note, ""])


def cifar10_curation() -> str:
    """What curation wins where people labelled CIFAR-10 badly."""
    measured = results("cifar10_training")
    found = {
        (row["case"], row["metric"]): row for row in measured["rows"] if "worst" in row["case"]
    }
    head = "| CIFAR-10N worst | training images | their labels right, % | top-1 on test, % | gain by curation, points |"
    lines = [head, "|---|---|---|---|---|"]
    for case in dict.fromkeys(case for case, _ in found):
        n, right, top1 = (
            found[case, name]
            for name in ("training images", "training labels right", "top-1 on test")
        )
        won = found.get((case, "won over the labels as given"))
        cells = [
            f"{n['median']:,.0f}",
            f"{right['median']:.1f}",
            _spread(top1),
            _spread(won) if won else "",
        ]
        lines.append(f"| {case.partition(', ')[2]} | {' | '.join(cells)} |")
    note = f"Median (least to most) of {top1['n']} draws. {hardware(measured, 'scikit-learn')}"
    return "\n".join([*lines, "", note, ""])


def _spread(row: dict[str, Any]) -> str:
    return f"{row['median']:.1f} ({row['min']:.1f} to {row['max']:.1f})"
