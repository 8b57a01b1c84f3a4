"""The tables of docs/backbones.md."""

from __future__ import annotations

from scripts.measured import hardware, results

COST = (
    ("open", "to check and open the weights, once a process", "ms"),
    ("view", "to resize a photograph of 400 px to the network's input", "ms"),
    ("batch of 1", "to embed an image, one at a time, as `inspect` does", "ms"),
    ("batch of 8", "… in batches of 8", "ms"),
    ("batch of 32", "… in batches of 32", "ms"),
    ("predict", "`perennial predict --model builtin photo.jpg`, in total", "s"),
)
FEATURES = ("gradients", "embedding", "by size")
FIGURES = ("nearest neighbours", "out of fold", "average precision of flips")


def cost() -> str:
    """CPU time of the built-in backbone."""
    measured = results("backbone")
    found = {row["case"]: row for row in measured["rows"]}
    lines = [f"| {words} | {found[case]['median']:.3g} {unit} |" for case, words, unit in COST]
    head = "| measured by `python -m benchmarks.speed.backbone`, one thread | CPU time |"
    return "\n".join([head, "|---|---|", *lines, "", hardware(measured, "onnxruntime"), ""])


def by_size() -> str:
    """How well images are told apart by gradients and by the backbone, at several sizes."""
    measured = results("features_by_size")
    found = {(row["case"], row["metric"]): row["median"] for row in measured["rows"]}
    head = "| | features | " + " | ".join(FIGURES) + " |"
    lines = [head, "|---" * (2 + len(FIGURES)) + "|"]
    for case in dict.fromkeys(case for case, _ in found):
        for features in FEATURES:
            if (case, f"{features}: {FIGURES[0]}") in found:
                cells = [f"{found[case, f'{features}: {figure}']:.3f}" for figure in FIGURES]
                lines.append(f"| {case} | {features} | {' | '.join(cells)} |")
    note = (
        "Shares of images whose own label is the one of most of their five nearest neighbours, and the most probable one "
        "out of fold in `curate`; average precision of the doubt in labels with 8 % of them flipped, median of 3 seeds. "
        "997 clothing photographs, 2,000 images of CIFAR-10, 1,797 digits: `python -m benchmarks.curation.features_by_size`. "
    )
    return "\n".join([*lines, "", note + hardware(measured, "onnxruntime", "scikit-learn"), ""])


PHONE = (
    ("whole", "a whole image, as `inspect` takes it"),
    ("whole, turned by EXIF", "… turned by EXIF, as of a phone held upright"),
    (
        "strict decode of every pixel",
        "strict decode of every pixel: damage, truncation, the grey end of lost data",
    ),
    ("hash of every pixel", "`pixel_hash`: copies in other formats; the split is drawn from it"),
    ("reduction to 800 x 600", "reduction by a whole number, for all that follows"),
    ("view and embedding", "view and embedding by the built-in backbone"),
    ("small view", "small view, for copies"),
    ("perceptual hashes, quality", "perceptual hashes, light, contrast, blur"),
    ("checksum of the file", "sha256 of the file"),
)


def phone() -> str:
    """What `inspect` costs for photographs of 12 megapixels."""
    measured = results("phone_photographs")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    lines = [f"| {words} | {found[case, 'cpu']['median']:.3g} ms |" for case, words in PHONE]
    size = found["file", "size"]["median"]
    (images,) = {case for case, _ in found if case.endswith(" images")}
    least, grown, most = (
        found[images, metric]["median"]
        for metric in ("resident in the end", "growth since the 50th", "peak")
    )
    note = (
        f"4000 x 3000 px, JPEG quality 90, {size:.1f} MB, one thread. Memory of the process: {least:.0f} MB after {images}, "
        f"{grown:+.0f} MB since the 50th, {most:.0f} MB at most. "
    )
    head = "| measured by `python -m benchmarks.speed.phone_photographs` | CPU time |"
    return "\n".join([head, "|---|---|", *lines, "", note + hardware(measured), ""])
