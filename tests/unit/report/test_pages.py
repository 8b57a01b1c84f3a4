"""The folder of a report: every link leads somewhere, nothing is fetched, names are text."""

import hashlib
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipeline_lib.errors import ConfigError, UsageError
from pipeline_lib.pixels.pixelate import CELLS
from pipeline_lib.registry import Verdict
from pipeline_lib.report import Before, Run, bundle, gather, write_report
from pipeline_lib.report.bundle import write_single_file, write_zip
from pipeline_lib.report.erase import erase_from_reports
from pipeline_lib.slices.columns import Wanted
from pipeline_lib.slices.names import DEFAULT
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.table import Table
from testing.tiny_line import SPLITS, TinyLine, image_ids, make_line
from tests.unit.convert import made_detectors
from tests.unit.report.test_report import COMPARISON, LINEAGE, RULE

EVIL_CELL = '<img src=x onerror=""window.pwned=1"">'
EVIL = '<img src=x onerror="window.pwned=1">'
NAMES = (EVIL, "'\"><script>window.pwned=1</script>", "green\u202e")


class Links(HTMLParser):
    """Collects what a browser would fetch or follow, and what can be led to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("src", "href", "srcset", "data", "action"):
                self.addresses.append(value or "")
            if name == "id":
                assert value not in self.ids, f"two elements are called {value}"
                self.ids.add(value or "")


def written(line: TinyLine, folder: Path, *, champion: Before | None = None) -> Path:
    run = Run("m", 2, "f" * 64, Verdict("inconclusive", "Held.", (RULE,), COMPARISON), LINEAGE, {})
    slices = Wanted(DEFAULT, line.root)
    run = Run(**{**run.__dict__, "champion": champion, "slices": slices})
    files = line.job().reads
    folder.mkdir(parents=True)
    write_report(gather(run, files), folder, files=files, reports=folder.parent, workers=1)
    return folder


def with_groups(line: TinyLine) -> None:
    """A group whose mistakes stand out, and one of a single image, with hostile names."""
    ids = [one for one, split in zip(image_ids(), SPLITS, strict=True) if split == "test"]
    worse = [ids[place] for place in (1, 2, 5, *range(30, 50))]
    lines = [
        'image_id,"<b>place</b>"',
        *(f'{one},"{EVIL_CELL}"' for one in worse),
        f"{ids[0]},green",
    ]
    (line.root / "curation" / "groups.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three classes with hostile names, with mistakes and a champion that was right on one of them."""
    line = make_line(tmp_path_factory.mktemp("line"), wrong=[1, 2, 5], git=False, names=NAMES)
    with_groups(line)
    ids = PREDICTIONS.read(line.path("predictions")).query("split == 'test'")
    said = ids.set_index("image_id")["label"].map(dict(enumerate(NAMES)))
    said[ids["image_id"].iloc[2]] = NAMES[0]
    champion = Before(1, said, frozenset(NAMES))
    return written(line, tmp_path_factory.mktemp("reports") / "one", champion=champion)


def parsed(file: Path) -> Links:
    found = Links()
    found.feed(file.read_text(encoding="utf-8"))
    return found


def test_every_link_and_image_of_every_page_is_a_file_of_the_report(report: Path) -> None:
    pages = sorted(report.rglob("*.html"))
    ids = {page: parsed(page).ids for page in pages}

    assert parsed(report / "report.html").addresses.count("../history.html") == 1
    for page in pages:
        for address in parsed(page).addresses:
            if (page.name, address) == ("report.html", "../history.html"):
                continue  # the page of all nights lies beside the reports: `register` writes it
            file, _, anchor = address.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.is_relative_to(report) and target.exists(), (page.name, address)
            assert not anchor or anchor in ids[target], (page.name, address)


def test_no_page_can_fetch_run_or_send_anything(report: Path) -> None:
    for page in report.rglob("*.html"):
        found = parsed(page)
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.read_text())

        assert policy and re.fullmatch(
            r"default-src 'none'; img-src 'self'; style-src ('self'|'sha256-[\w+/=]+'); "
            r"base-uri 'none'; form-action 'none'",
            policy[1],
        )
        assert not found.tags & {"script", "iframe", "object", "base", "form"}
        assert not {one for one in found.attributes if one.startswith("on")} | (
            found.attributes & {"style"}
        )


def test_names_of_others_are_text_in_an_element_of_their_own_direction(report: Path) -> None:
    for page in report.rglob("*.html"):
        text = page.read_text()
        assert EVIL not in text and "<script" not in text and "\u202e" not in text
    assert "<bdi>green\\u202e</bdi>" in (report / "pages" / "class-2.html").read_text()


def test_each_class_shows_what_it_was_taken_for_with_names_to_copy(report: Path) -> None:
    text = (report / "pages" / "class-1.html").read_text()

    assert 'id="as-2"' in text and 'id="right"' in text
    assert '<bdi class="name">green/037.png</bdi>' in text
    assert "label 10 %\nanswer 70 %" in text


def test_a_doubted_label_brings_its_line_for_the_overrides(report: Path) -> None:
    text = (report / "pages" / "labels.html").read_text()

    assert re.search(r'<code class="line">sha256,[0-9a-f]{64},relabel,blue,red,,,</code>', text)


def test_what_changed_since_the_champion_shows_right_to_wrong_first(report: Path) -> None:
    text = (report / "pages" / "flips.html").read_text()

    assert text.index("Right before, wrong now") < text.index("Wrong before, right now")
    assert "the champion said" in text
    assert "<code>perennial compare 1 2 --page</code>" in text
    assert "3 images" in text or "2 images" in text


def test_the_table_beside_the_report_lists_every_mistake(report: Path) -> None:
    head, *lines = (report / "mistakes.csv").read_text().splitlines()

    assert head.startswith("image_id,sha256,source,path,true_class")
    assert len(lines) == 3


def test_one_file_holds_every_page_and_every_link_leads_to_one(
    report: Path, tmp_path: Path
) -> None:
    write_single_file(report, tmp_path / "one.html")

    found = parsed(tmp_path / "one.html")

    assert {one.stem for one in report.rglob("*.html")} <= found.ids
    for address in found.addresses:
        assert address.startswith("data:") or address[1:] in found.ids, address
    assert not found.tags & {"script", "link", "iframe", "object", "base", "form"}


def test_a_report_too_large_for_one_file_is_refused_with_the_way_out(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "LARGEST_BYTES", 20_000)

    with pytest.raises(UsageError, match=r"larger than 0 MB as one file.*Remedy: use --zip FILE"):
        write_single_file(report, tmp_path / "one.html")
    assert not (tmp_path / "one.html").exists()


def test_the_zip_holds_the_folder(report: Path, tmp_path: Path) -> None:
    write_zip(report, tmp_path / "r.zip")

    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        names = {one.partition("/")[2] for one in archive.namelist()}
        (first,) = (archive.read(one) for one in archive.namelist() if one.endswith("report.html"))
    assert b"history.html" not in first  # which stays behind
    assert names == {str(one.relative_to(report)) for one in report.rglob("*") if one.is_file()}


NAMES_OF_FILES = (  # what a source may call an image: markup, attributes, addresses, formulas, directions
    '"><img src=x onerror=alert(1)>.png',
    "' onmouseover='alert(1).png",
    "javascript:alert(1).png",
    "</figcaption></figure><script>alert(1)</script>.png",
    "=HYPERLINK(1)\u202e.png",
    "${7*7}{{7*7}}.png",
)


def test_names_of_files_are_text_on_every_page_and_in_the_one_file(tmp_path: Path) -> None:
    """Of the images that are mistakes, doubted and copies, so that every kind of page shows them."""
    line = make_line(tmp_path / "line", wrong=[1, 2, 5], git=False)
    wrong = PREDICTIONS.read(line.path("predictions")).query("~correct")["image_id"].tolist()
    shown = [*wrong, "tiny/red/000.png", "tiny/red/003.png", "tiny/red/copy.png"]
    became = {old: f"tiny/red/{new}" for old, new in zip(shown, NAMES_OF_FILES, strict=True)}
    tables: dict[str, Table] = {
        "predictions": PREDICTIONS,
        "explanations": EXPLANATIONS,
        "manifest": MANIFEST,
        "review": REVIEW,
        "members": MEMBERS,
        "images": IMAGES,
    }
    for role, table in tables.items():
        rows = table.read(line.path(role))
        table.write(rows.assign(image_id=rows["image_id"].replace(became)), line.path(role))

    explained = EXPLANATIONS.read(line.path("explanations"))
    explained["nearest"] = [[became.get(one, one) for one in near] for near in explained["nearest"]]
    EXPLANATIONS.write(explained, line.path("explanations"))

    report = written(line, tmp_path / "reports" / "one")
    write_single_file(report, tmp_path / "one.html")

    pages = [*report.rglob("*.html"), tmp_path / "one.html"]
    for page in pages:
        found = parsed(page)
        assert not found.tags & {"script", "iframe", "object", "base", "form"}
        assert not {one for one in found.attributes if one.startswith("on")}
        assert not [one for one in found.addresses if "alert" in one or "javascript" in one]
        assert "\u202e" not in page.read_text()
    text = "".join(page.read_text() for page in report.rglob("*.html"))
    assert "red/javascript:alert(1).png</bdi>" in text and "red/${7*7}{{7*7}}.png</bdi>" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.png</bdi>" in text


def thumbnails_of(report: Path) -> dict[str, npt.NDArray[np.uint8]]:
    """File -> pixels of every thumbnail, as its image is."""
    return {
        file.name: np.asarray(Image.open(file).convert("RGB")) for file in _plain_images(report)
    }


def _plain_images(report: Path) -> list[Path]:
    """Without the corrupted examples, which are made of one of them."""
    return [file for file in (report / "images").iterdir() if file.name.count("-") == 1]


def test_what_training_must_not_see_is_hidden_in_the_report_and_made_once(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", wrong=[1, 2], git=False)
    plain = thumbnails_of(written(line, tmp_path / "reports" / "plain"))
    about = line.path("betons") / "pixels.json"
    described = json.loads(about.read_text())
    module = Path(made_detectors.__file__)
    described |= {
        "pixelate": "tests.unit.convert.made_detectors:corner",
        "pixelate_sha256": hashlib.sha256(module.read_bytes()).hexdigest(),
    }
    about.write_text(json.dumps(described))

    hidden = thumbnails_of(written(line, tmp_path / "reports" / "hidden"))
    again = written(line, tmp_path / "reports" / "again")
    of_plain, of_hidden = (
        {file.name for file in (tmp_path / "reports" / name).rglob("*-why.webp")}
        for name in ("plain", "hidden")
    )

    assert of_plain and len(of_plain) == len(of_hidden) and not of_plain & of_hidden
    assert len(hidden) == len(plain) and not hidden.keys() & plain.keys()
    for pixels_HWC in hidden.values():
        assert len(np.unique(pixels_HWC[:12].reshape(-1, 3), axis=0)) <= CELLS * CELLS
    assert max(len(np.unique(one[:12].reshape(-1, 3), axis=0)) for one in plain.values()) > 100
    for file in _plain_images(again):
        assert file.stat().st_nlink > 1

    about.write_text(json.dumps({**described, "pixelate_sha256": "0" * 64}))
    with pytest.raises(ConfigError, match="the detector is not the one that .* names"):
        written(line, tmp_path / "reports" / "other")


def test_pages_without_images_say_that_there_is_none(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", git=False)
    manifest = MANIFEST.read(line.path("manifest"))
    MANIFEST.write(
        manifest[manifest["decision"] == "keep"].assign(dup_group=None), line.path("manifest")
    )
    line.path("balance").write_text("class_id,split,decision,reason,n\nred,train,keep,,96\n")

    pages = written(line, tmp_path / "reports" / "one") / "pages"

    assert "Every image that was found is kept." in (pages / "left-out.html").read_text()
    assert "No image was found twice." in (pages / "duplicates.html").read_text()


def test_a_reason_is_explained_where_its_images_are(report: Path) -> None:
    text = (report / "pages" / "left-out.html").read_text()

    assert "Another image of its group is kept. Removed: a choice" in text


def test_the_page_of_shift_shows_an_example_of_each_corruption_beside_its_figures(
    report: Path,
) -> None:
    text = (report / "pages" / "shift.html").read_text()
    examples = [one for one in (report / "images").iterdir() if one.name.count("-") == 3]

    assert len(examples) == 6  # blur and fog
    assert all(f"../images/{one.name}" in text for one in examples)
    assert "60 test images, corrupted on purpose in 2 kinds and three strengths" in text
    assert "<b>95.0</b> <small>86.3 – 98.3</small>" in text
    assert "Extra test sets" not in text
    assert "On 60 of these images, corrupted in 2 kinds" in (report / "model-card.md").read_text()


def test_each_mistake_is_shown_beside_the_evidence_for_its_answer_and_for_its_label(
    report: Path,
) -> None:
    text = (report / "pages" / "explanations.html").read_text()
    maps = re.findall(r'src="../images/([^"]*-why.webp)" alt="evidence for ([^"]*)"', text)

    assert len(maps) == 2 * 3
    # above for the answer, below for the label: tiny_line says so
    assert text.count("33 % of it lies in the upper left") == text.count("in the lower left") == 3
    above, below = (
        np.asarray(Image.open(report / "images" / file).convert("HSV"), float)[..., 2]
        for file, _ in maps[:2]
    )
    top, bottom = slice(0, 40), slice(120, 160)
    assert above[top].mean() > above[bottom].mean() + 40
    assert below[bottom].mean() > below[top].mean() + 40
    assert "the maps show what was learnt" in text and "rank correlation</a> 0.10" in text
    assert text.count("<small>likeness") == 3 * 5
    assert 'href="pages/explanations.html"' in (report / "report.html").read_text()


def test_an_erased_image_leaves_the_page_of_explanations_with_its_maps(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", wrong=[1, 2], git=False)
    report = written(line, tmp_path / "reports" / "one")
    members = MEMBERS.read(line.path("members")).set_index("image_id")
    gone = EXPLANATIONS.read(line.path("explanations"))["image_id"][0]
    sha256 = members.loc[gone, "sha256"]

    erase_from_reports(report.parent, sha256)

    text = (report / "pages" / "explanations.html").read_text()
    assert not list((report / "images").glob(f"{sha256[:16]}-*"))
    assert sha256[:16] not in text and Path(gone).name not in text
    assert text.count("-why.webp") == 2


def test_maps_that_depend_little_on_what_was_learnt_are_not_to_be_trusted(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", wrong=[1], git=False)
    table = EXPLANATIONS.read(line.path("explanations")).assign(rank_correlation=np.float32(0.5))
    EXPLANATIONS.write(table, line.path("explanations"))

    report = written(line, tmp_path / "reports" / "one")

    assert "do not trust these maps" in (report / "pages" / "explanations.html").read_text()


def test_where_nothing_is_explained_there_is_no_page_and_no_way_to_it(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", wrong=[1], git=False)
    EXPLANATIONS.write(EXPLANATIONS.empty(), line.path("explanations"))

    report = written(line, tmp_path / "reports" / "one")

    assert not (report / "pages" / "explanations.html").exists()
    assert "explanations.html" not in "".join(page.read_text() for page in report.rglob("*.html"))
