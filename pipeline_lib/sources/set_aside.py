"""Images that accompany others and are none to learn from: masks, annotations, copies of another colour.

Each function finds patterns of `exclude` with what they leave out, from the names of all images.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from pipeline_lib.sources.name_patterns import left_out_by
from pipeline_lib.sources.names import decode_name, without_image_ending

SAME = 0.8  # share of the files of a folder of masks that have the name of an image
OF_IMAGES = frozenset(
    {
        "image", "images", "img", "imgs", "jpegimages", "rgb", "photo", "photos", "picture", "pictures", "data", "input",
        "inputs", "jpg", "jpgs", "original", "originals", "raw",
    }
)  # fmt: skip
OF_ANNOTATIONS = frozenset(
    {
        "mask", "masks", "annotation", "annotations", "label", "labels", "gt", "groundtruth", "segmentation",
        "segmentations", "segmentationclass", "segmentationobject", "trimap", "trimaps", "depth", "target", "targets",
        "xml", "xmls", "json", "matte", "mattes", "saliency", "contour", "contours",
    }
)  # fmt: skip
OF_MASKS = frozenset(
    {
        "mask", "masks", "gt", "groundtruth", "segmentation", "segmentations", "annotation", "annotations", "trimap", "trimaps",
    }
)  # fmt: skip
WITHOUT_LABEL = frozenset(
    {
        "nolabel", "nolabels", "noclass", "unlabeled", "unlabelled", "unsorted", "unsortiert", "tosort", "todo", "tolabel",
        "toreview", "tocheck", "toclassify", "unprocessed", "newfolder", "neuerordner", "nouveaudossier",
        "nuevacarpeta", "nuovacartella", "novapasta", "nieuwemap", "untitledfolder",
    }
)  # fmt: skip
DISCARDED = frozenset(
    {
        "todelete", "zzdelete", "deleteme", "tmp", "temp", "duplicates", "dupes", "backup", "backups",
        "thumbs", "thumbnails",
    }
)  # fmt: skip
_SMALLER = frozenset(
    {
        "thumb",
        "thumbs",
        "thumbnail",
        "thumbnails",
        "small",
        "preview",
        "previews",
        "resized",
        "crops",
    }
)
_COLOURS = ("color", "colour", "colored", "rgb", "original", "originals")
_RENDERINGS = frozenset(
    {
        "gray", "grey", "grayscale", "greyscale", "segmented", "binary", "edges", "edge", "thermal", "normalized",
        "augmented", "resized", "thumbnails",
    }
)  # fmt: skip
_MASK_OF = re.compile(
    r"(?P<stem>.+?)[ _-](?P<word>masks?|seg|segmentation|gt|ground[_-]?truth|trimap|label|annotation"
    r"|thumb|thumbnail|preview|depth|heatmap|overlay)(?P<number>[ _-]?\d+)?",
    re.IGNORECASE,
)


def mask_folders(names: Sequence[str]) -> dict[str, str]:
    """images/ beside masks/, in one place or in each class: the files of the second have the names of the first's."""
    stems: dict[tuple[str, str], set[str]] = defaultdict(set)  # of each folder in its parent
    for name in names:
        *folders, last = name.split("/")
        for at, folder in enumerate(folders):
            if _plain(folder) in OF_IMAGES | OF_ANNOTATIONS:
                stems["/".join(folders[:at]), folder].add(without_image_ending(last))
    siblings: dict[str, list[str]] = defaultdict(list)
    for parent, folder in stems:
        siblings[parent].append(folder)

    # Those that have an image for nearly every file.
    found: dict[tuple[str, str], str] = {}
    for parent, folders in siblings.items():
        of_images = [one for one in folders if _plain(one) in OF_IMAGES]
        for mask in (one for one in folders if _plain(one) in OF_ANNOTATIONS):
            image = next((one for one in of_images if _are_of(stems, parent, mask, one)), None)
            if image:
                found[parent, mask] = image

    # One pattern for each name, where all folders of that name are such; a path for each otherwise.
    patterns = {}
    for (parent, mask), image in sorted(found.items()):
        is_always = all((above, folder) in found for above, folder in stems if folder == mask)
        several = sum(folder == mask for _, folder in found) > 1
        pattern = mask if is_always and several else path_pattern(parent, mask)
        patterns[pattern] = f"they accompany those in {image}"
    return patterns


def mask_files(names: Sequence[str]) -> dict[str, str]:
    """`benign (1)_mask.png` beside `benign (1).png`."""
    stems = {without_image_ending(name) for name in names}
    words: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folder, slash, last = name.rpartition("/")
        fit = _MASK_OF.fullmatch(without_image_ending(last))
        if fit and f"{folder}{slash}{fit['stem']}" in stems:
            words[last[len(fit["stem"]) :][: 1 + len(fit["word"])]].add(name)
    found = {}
    for ending, masks in sorted(words.items()):
        pattern = f"*{ending}*"
        fitting = {name for name in names if left_out_by(name, (), [pattern])}
        if fitting == masks and len(masks) < len(names):
            found[pattern] = "each has the name of an image"
    return found


def mask_trees(names: Sequence[str]) -> dict[str, str]:
    """ground_truth/broken/000_mask.png beside test/broken/000.png, as MVTec AD has them."""
    inside: dict[tuple[str, str], set[str]] = defaultdict(set)  # of each folder in its parent
    for name in names:
        folders = name.split("/")[:-1]
        for at, folder in enumerate(folders[:-1]):
            below = _without_word(without_image_ending("/".join(name.split("/")[at + 1 :])))
            inside["/".join(folders[:at]), folder].add(below)
    found = {}
    for (parent, mask), of_masks in inside.items():
        if _plain(mask) not in OF_MASKS:
            continue
        beside = [
            of_images
            for (above, folder), of_images in inside.items()
            if above == parent and _plain(folder) not in OF_MASKS
        ]
        if len(of_masks & set().union(*beside)) >= SAME * len(of_masks):
            found[parent, mask] = path_pattern(parent, mask)
    return dict.fromkeys(found.values(), "they accompany images of the same names")


def smaller_copies(names: Sequence[str]) -> dict[str, str]:
    """cat/thumbnails/1.jpg below cat/1.jpg: a folder whose files have the names of those in the folder that holds it."""
    stems: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folder, _, last = name.rpartition("/")
        stems[folder].add(without_image_ending(last))
    found = {}
    for path, own in stems.items():
        above, _, folder = path.rpartition("/")
        if _plain(folder) not in _SMALLER | OF_MASKS or above not in stems:
            continue
        if len({_without_word(stem) for stem in own} & stems[above]) >= SAME * len(own):
            found[path_pattern(path)] = f"they accompany those in {above or 'the folder above'}"
    return found


def without_label(names: Sequence[str]) -> dict[str, str]:
    """no_label/ beside the folders of classes, as CVAT exports it; unsorted/, tmp/, `New folder (2)`, as people leave them."""
    inside: dict[str, set[str]] = defaultdict(set)
    for name in names:
        *folders, _ = name.split("/")
        for at, folder in enumerate(folders):
            inside["/".join(folders[:at])].add(folder)
    found = {}
    for parent, siblings in inside.items():
        named = {one: _plain(one).rstrip("0123456789") for one in siblings}
        of_work = {one: word for one, word in named.items() if word in WITHOUT_LABEL | DISCARDED}
        if len(siblings) - len(of_work) < 2:
            continue
        for one, word in of_work.items():
            what = "have no class" if word in WITHOUT_LABEL else "are not to be used"
            found[path_pattern(parent, one)] = f"its name says that they {what}"
    return found


def renderings(names: Sequence[str]) -> dict[str, str]:
    """color/, grayscale/ and segmented/ with the same folders in each, as PlantVillage has it: the first is kept."""
    inside: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        folders = name.split("/")[:-1]
        for at, folder in enumerate(folders[:-1]):
            if _plain(folder) in _RENDERINGS.union(_COLOURS):
                inside["/".join(folders[:at])][folder].add(folders[at + 1])
    found = {}
    for parent, siblings in sorted(inside.items()):
        plain = {_plain(folder): folder for folder in siblings}
        kept = next((plain[colour] for colour in _COLOURS if colour in plain), None)
        if kept is None:
            continue
        for one in sorted(siblings.keys() - {kept}):
            if _plain(one) in _RENDERINGS and siblings[one] <= siblings[kept]:
                found[path_pattern(parent, one)] = f"the images of {kept} once more"
    return found


def path_pattern(*parts: str) -> str:
    """The pattern of `exclude` that fits one folder of stored names, as people write it."""
    path = "/".join(part.strip("/") for part in parts if part.strip("/"))
    return "/" + decode_name(path).decode("utf-8", "replace").replace(
        "\N{REPLACEMENT CHARACTER}", "*"
    )


SET_ASIDE: tuple[Callable[[Sequence[str]], Mapping[str, str]], ...] = (
    mask_folders,
    mask_files,
    mask_trees,
    smaller_copies,
    without_label,
    renderings,
)


def _are_of(
    stems: Mapping[tuple[str, str], Collection[str]], parent: str, mask: str, image: str
) -> bool:
    of_images = set(stems[parent, image])
    of_masks = stems[parent, mask]
    fitting = sum(stem in of_images or _without_word(stem) in of_images for stem in of_masks)
    return fitting >= SAME * len(of_masks)


def _without_word(stem: str) -> str:
    fit = _MASK_OF.fullmatch(stem)
    return fit["stem"] if fit else stem


def _plain(folder: str) -> str:
    return re.sub(r"[\W_]", "", folder.lower())
