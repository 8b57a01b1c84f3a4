"""Folder names that stand for a split: train, `images_val`, `Training-Set`, `ILSVRC2012_img_train` beside `..._val`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import reduce

SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What is taken for a split without asking, in any case of its letters."""

_BY_LANGUAGE: Mapping[str, Mapping[str, str]] = {  # words without accents
    "English": {
        "train": "trn trainval trainset trainingset",
        "val": "dev devel development devset valset validationset validate vld eval evaluation evalset",
        "test": "tst tests testset testingset holdout heldout",
    },
    "German": {
        "train": "training trainings trainieren trainingsdaten trainingsbilder trainingsmenge trainingsset lerndaten",
        "val": "validierung validierungsdaten validierungsbilder validierungsmenge validierungsset valid",
        "test": "testdaten testbilder testmenge testen pruefung prufung prufdaten pruefdaten",
    },
    "French": {
        "train": "entrainement apprentissage entrainer",
        "val": "validation valider",
        "test": "essai essais tester",
    },
    "Spanish": {
        "train": "entrenamiento entrenar entreno aprendizaje",
        "val": "validacion validar evaluacion",
        "test": "prueba pruebas",
    },
    "Italian": {
        "train": "addestramento allenamento apprendimento addestrare",
        "val": "validazione convalida validare",
        "test": "prova prove collaudo",
    },
    "Portuguese": {
        "train": "treino treinamento treinar treinos treinamentos",
        "val": "validacao validar avaliacao",
        "test": "teste testes testar",
    },
    "Dutch": {
        "train": "trainen trainingsgegevens oefenen oefenset leren",
        "val": "validatie valideren validatieset",
        "test": "testgegevens toets toetsen",
    },
    "Japanese": {
        "train": "訓練 学習 訓練用 学習用 訓練データ 学習データ トレーニング",
        "val": "検証 検証用 検証データ バリデーション 評価 評価用 評価データ",
        "test": "テスト テスト用 テストデータ 試験",
    },
    "Chinese": {
        "train": "训练 训练集 训练数据 训练样本 訓練 訓練集 訓練資料",
        "val": "验证 验证集 验证数据 校验集 驗證 驗證集",
        "test": "测试 测试集 测试数据 测试样本 測試 測試集",
    },
}  # fmt: skip
_WORDS: Mapping[str, str] = SPLIT_FOLDERS | {
    word: split
    for of_language in _BY_LANGUAGE.values()
    for split, words in of_language.items()
    for word in words.split()
}
_EVALUATION = frozenset(
    {"eval", "evaluation", "evalset", "evaluacion", "avaliacao", "評価", "評価用", "評価データ"}
)  # val, or test where another folder is val
_SAYS_NOTHING = {
    "set", "data", "dataset", "split", "folder", "dir", "images", "image", "imgs", "img", "picture", "pictures", "pics",
    "photos", "photo", "jpg", "jpeg", "png", "crops", "conjunto", "datos", "dados", "dati", "donnees", "daten", "gegevens",
    "bilder", "imagenes", "imagens", "immagini", "afbeeldingen", "fotos",
}  # fmt: skip


def splits_mentioned(folders: Iterable[str]) -> set[str]:
    """The splits that the last words of names stand for, whatever is before: bounding_box_train, bounding_box_test, query."""
    last = (words[-1] for folder in folders if len(words := words_of(folder)) > 1)
    return {_WORDS[word] for word in last if word in SPLIT_FOLDERS}


def split_names(siblings: Iterable[str]) -> dict[str, str]:
    """Return folder -> train, val or test, for the sibling folders whose name contains a split.

    Words that all siblings share (`pets_train`, `pets_test`) and words like `set` and `images` say nothing; then one
    word must be left, perhaps with a number, so that `bullet_train` beside `tram` is a class.
    """
    words = {name: words_of(name) for name in siblings}
    shared = reduce(set.intersection, map(set, words.values())) if len(words) > 1 else set()
    left = {
        name: [word for word in of_name if word not in shared | _SAYS_NOTHING]
        for name, of_name in words.items()
    }
    named = {
        name: of_name[0]
        for name, of_name in left.items()
        if len(of_name) == 1 and of_name[0] in _WORDS
    }
    taken = set(named.values())
    for name, of_name in left.items():  # test1 beside train; test1 and test2 are parts of something
        word = of_name[0] if len(of_name) == 2 and of_name[1].isdecimal() else ""
        is_alone = sum(word in other for other in left.values()) == 1
        if word in _WORDS and word not in taken and is_alone:
            named[name] = word
    has_val = any(_WORDS[word] == "val" and word not in _EVALUATION for word in named.values())
    return {
        name: "test" if word in _EVALUATION and has_val else _WORDS[word]
        for name, word in sorted(named.items())
    }


def words_of(name: str) -> tuple[str, ...]:
    """Words and numbers in lower case, without accents: `Entraînement_2` is entrainement, 2. Kana keep their marks."""
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFD", name.lower())
        if not unicodedata.combining(letter) or letter in _KANA_MARKS
    )
    return tuple(re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFC", plain)))


_KANA_MARKS = "\u3099\u309a"
