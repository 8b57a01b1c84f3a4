"""The table of docs/unlike.md."""

from __future__ import annotations

from scripts.measured import hardware, results

OTHERS = ("softmax", "energy", "class means", "10th neighbour", "ViM")


def unlike() -> str:
    """Images that are called unlike those trained on, by model and kind."""
    measured = results("unlike")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    cases = list(dict.fromkeys(row["case"] for row in measured["rows"]))
    head = (
        "| model: images shown | images | with the remark (by softmax) | AUROC | "
        + " | ".join(OTHERS)
        + " |"
    )
    lines = [head, "|---" * (4 + len(OTHERS)) + "|"]
    cost = []
    for case in cases:
        n = f"{found[case, 'images']['median']:.0f}"
        called = found[case, "remarked, ours"]
        share = f"{called['median']:.0f} %"
        if (case, "top-1") in found:
            right = f"top-1 {found[case, 'top-1']['median']:.0f} %"
            share = f"{called['median']:.1f} % ({called['min']:.1f} to {called['max']:.1f})"
            lines.append(f"| **{case}** ({right}) | {n} | {share} |" + " |" * (1 + len(OTHERS)))
            cost.append(found[case, "CPU of the remark, of the model's"]["median"])
            continue
        by_softmax = f"{found[case, 'remarked, softmax']['median']:.0f} %"
        areas = [f"{found[case, f'AUROC, {name}']['median']:.3f}" for name in ("ours", *OTHERS)]
        lines.append(
            f"| {case} | {n} | {share} ({by_softmax}) | **{areas[0]}** | {' | '.join(areas[1:])} |"
        )
    note = (
        "AUROC: the probability that such an image is farther than a test image; 0.5 is chance. First ours, then published "
        "scores on the same network, with all training images where ours has 500. Of test images the remark is a false alarm. "
        f"CPU time that it adds to the model's in onnxruntime: {min(cost):+.1f} to {max(cost):+.1f} %, medians of 7. "
        "`python -m benchmarks.robustness.unlike`. "
    )
    return "\n".join([*lines, "", note + hardware(measured, "onnxruntime", "scikit-learn"), ""])
