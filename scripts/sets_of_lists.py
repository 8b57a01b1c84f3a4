"""Public data sets whose labels or splits are lists and tables of their authors: each function gives the files of one."""

from __future__ import annotations

import json

from scripts.small_files import Files, N, below, images, lines, of_test, pet


def online_products_set() -> Files:
    """Products with a class above each, and a list of all beside those of the splits."""
    head = "image_id class_id super_class_id path"
    names = [f"{('bicycle', 'chair')[n % 2]}_final/{n % 4 + 1}_{n // 4}.JPG" for n in range(N)]
    rows = [f"{n + 1} {n % 4 + 1} {n % 2 + 1} {name}" for n, name in enumerate(names)]
    train = [row for n, row in enumerate(rows) if not of_test(n)]
    test = [row for n, row in enumerate(rows) if of_test(n)]
    lists = {
        "Ebay_train.txt": lines([head, *train]),
        "Ebay_test.txt": lines([head, *test]),
        "Ebay_info.txt": lines([head, *rows]),
    }
    return below("pics", images(names) | lists)


def folders_and_splits_set() -> Files:
    names = [f"{pet(n)}/{n}.png" for n in range(N)]
    rows = [f"{name},{'test' if of_test(n) else 'train'}" for n, name in enumerate(names)]
    return below("pics", images(names) | {"split.csv": lines(["file,subset", *rows])})


def json_lists_set() -> Files:
    by_split: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for n in range(N):
        by_split["test" if of_test(n) else "train"].setdefault(pet(n), []).append(f"{pet(n)}/{n}")
    files = images([f"images/{pet(n)}/{n}.jpg" for n in range(N)])
    lists = {f"meta/{split}.json": json.dumps(of).encode() for split, of in by_split.items()}
    return below("pics", files | lists)


def nested_scenes_set() -> Files:
    """Classes of one and of two folders below their first letters, and lists of splits without classes."""
    names = [f"a/{('abbey', 'apartment/outdoor')[n % 2]}/{n}.jpg" for n in range(N)]
    names = [
        name.replace("a/abbey", "b/bar") if n % 4 == 0 else name for n, name in enumerate(names)
    ]
    train = [f"/{name}" for n, name in enumerate(names) if not of_test(n)]
    test = [f"/{name}" for n, name in enumerate(names) if of_test(n)]
    return below("pics", images(names) | {"Training.txt": lines(train), "Testing.txt": lines(test)})
