"""What a person should know of a source before starting, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.pixels.other_formats import READ_HEIC, reads_heic
from pipeline_lib.sources.class_remarks import class_remarks
from pipeline_lib.sources.layout import READS_SPLITS
from pipeline_lib.sources.names import is_archive, respelled
from pipeline_lib.sources.reading import NameReading
from pipeline_lib.sources.recognise import NEVER_CLASSES
from pipeline_lib.survey.contents import Contents, Seen
from pipeline_lib.survey.unread import unread_archives

PERHAPS_NONE = NEVER_CLASSES | {"trash", "rejected", "misc"}
FEW = 20
EACH_ITS_OWN = 0.5  # classes for each image, from which they are probably none
LEAST = 10  # images of which this can be said
HEIC_ENDINGS = (".heic", ".heif", ".hif")


def unreadable_formats(taken: Sequence[Seen], formats: Counter[str]) -> list[str]:
    """What most of a phone's images are, and what reads them; named before anything is written."""
    n_heic = max(sum(one.name.lower().endswith(HEIC_ENDINGS) for one in taken), formats["HEIC"])
    if reads_heic() or not n_heic:
        return []
    return [
        f"{n_heic} of {len(taken)} images are HEIC and will be set aside: {READ_HEIC}, or save them as JPEG."
    ]


def respelled_classes(reading: NameReading, names: Sequence[str]) -> list[str]:
    """Classes whose folders are spelled in several ways."""
    folders = {text for name in names if (text := reading.class_text(name)) is not None}
    return [f"{sentence}." for sentence in respelled(folders)]


def unused_tables(names: Sequence[str]) -> list[str]:
    """Tables that name the images, and from which nothing is taken."""
    return [
        f"The folders are the classes; {name} names the images too and is not used. If one of its columns holds the classes: "
        f"`--labels {name} --label-column NAME`."
        for name in names
    ]


def untrained_classes(
    class_of: Mapping[str, str | None], split_of: Mapping[str, str | None]
) -> list[str]:
    """Classes of val and test that train lacks, as few-shot sets have them: they can never be predicted."""
    pairs = {(split_of[name], label) for name, label in class_of.items() if label is not None}
    trained = {label for split, label in pairs if split in ("train", None)}
    lacking = sorted({label for _, label in pairs} - trained)
    if not trained or not lacking:
        return []
    some = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
    return [f"{len(lacking)} classes have no training image and can never be predicted: {some}."]


def problems_of(
    reading: NameReading,
    labels: Counter[str | None],
    splits: Counter[str | None],
    contents: Contents,
    unreadable: Sequence[str],
    received: ReceivedLabels | None,
) -> list[str]:
    """What a person should know before starting, one sentence each."""
    classes = {name: count for name, count in labels.items() if name is not None}
    problems = []
    if not classes:
        problems.append(
            "No class can be told from the folders: name a table of labels (`--labels FILE`, one line per image) or "
            "a votes file, or sort the images into class folders."
        )
    elif len(classes) == 1:
        problems.append("There is one class only; a classifier needs two.")
    problems += [f"{remark}." for remark in class_remarks(classes)]
    n_labelled = sum(classes.values())
    if n_labelled >= LEAST and len(classes) > EACH_ITS_OWN * n_labelled:
        remedy = "name another column by --label-column" if received else "say how by --layout"
        problems.append(
            f"Many images have a class of their own ({len(classes)} classes of {n_labelled} images): {remedy} if these "
            "are no classes."
        )
    if received is None and (
        strays := sorted(one for one in classes if one.lower() in NEVER_CLASSES)
    ):
        problems.append(f"{strays[0]} is read as a class: `--exclude {strays[0]}` leaves it out.")
    if received and labels[None]:
        more = ", ..." if labels[None] > 5 else ""
        said = ", ".join(received.without[:5]) + more
        problems.append(
            f"{labels[None]} images have no class in the table; they will be quarantined: {said}."
        )
    elif classes and labels[None]:
        problems.append(f"{labels[None]} images lie outside the class folders and have no class.")
    if received and received.unknown.n:
        problems.append(
            f"{received.unknown.n} lines of the table are about images that are not there."
        )
    nested = sum(is_archive(one.name) for one in contents.files)
    if nested:
        problems.append(
            f"{nested} archives lie inside an archive and are not opened: unpack the outer one first."
        )
    if unread := unread_archives(contents.files):
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        problems.append(f"{unread[0]}{more} cannot be opened and may hold images: unpack it first.")
    few = sorted(name for name, count in classes.items() if count < FEW)
    if few:
        problems.append(
            f"{len(few)} classes have fewer than {FEW} images: {', '.join(few[:5])}{' ...' if len(few) > 5 else ''}."
        )
    if unreadable:
        some = unreadable[0] + (", ..." if len(unreadable) > 1 else "")
        problems.append(
            f"{len(unreadable)} of the sampled files are no images that can be read ({some}); they will be quarantined."
        )
    if not contents.is_complete:
        problems.append(
            "Only the beginning was looked at, since the rest would have to be fetched: counts are lower bounds."
        )
    if reading.split_of is not None or reading.layout.kind in READS_SPLITS:
        problems.append(_about_splits(splits, received))
    if received and (differing := _differing_splits(reading, received)):
        problems.append(
            f"{len(differing)} images lie in a folder of another split than the table names ({differing[0]}): the table counts."
        )
    return problems


def _about_splits(splits: Counter[str | None], received: ReceivedLabels | None) -> str:
    """What curate will make of published splits, see curate/splits.py."""
    where = "the table" if received and received.split_of else "the folders"
    absent = [name for name in ("val", "test") if not splits[name]]
    if not absent:
        return f"The splits are taken from {where}."
    missing = " and ".join(absent)
    return f"The splits are taken from {where}; what no source brings is drawn out of train: {missing} so far."


def _differing_splits(reading: NameReading, received: ReceivedLabels) -> list[str]:
    return [
        name
        for name, split in received.split_of.items()
        if (by_folder := reading.split(name)) is not None and by_folder != split
    ]
