import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0, EMBEDDING
from pipeline_lib.lineage import Fact, Lineage, Step
from pipeline_lib.pixels import PixelRules
from pipeline_lib.registry import ClassChange, Comparison, Rule, Verdict
from pipeline_lib.report import Previous, Run, gather, render_card, render_report
from pipeline_lib.report.charts import interval, line_chart, nice_ticks
from pipeline_lib.report.galleries import in_percent
from pipeline_lib.report.ledger import LedgerRow, ReasonCount, ledger_of
from pipeline_lib.report.thumbnails import data_uri, thumbnails
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.review import REVIEW
from testing.tiny_line import TinyLine, make_line

RULE = Rule("better than the floor", True, "top-1 96.7 %")
COMPARISON = Comparison(1, 60, 2, 0, 1.0, 0.967, -0.032, -0.07, 0.006, 0.055)
LINEAGE = Lineage(
    "1", "m version 2", (Step("weights", "train", (Fact("line/train/weights", "ab12", md5=True),)),)
)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> TinyLine:
    return make_line(tmp_path_factory.mktemp("line"), wrong=[1, 2], git=False)


def page(line: TinyLine, sentence: str = "Held as challenger.") -> str:
    change = ClassChange("red", 20, 2, 0, 0.25, blocks=False)
    gone = ClassChange("teal", 10, 9, 0, 0.9, blocks=False, n_champion=9, falls=True)
    notes = ("these images show little",)
    verdict = Verdict("inconclusive", sentence, (RULE,), COMPARISON, (change, gone), notes=notes)
    run = Run(
        "m", 2, "f" * 64, verdict, LINEAGE, {"torch": "2"}, judged_at="2026-11-30T02:10:00+00:00"
    )
    return render_report(gather(run, line.job().reads), {})


def test_what_comes_from_data_is_escaped(line: TinyLine) -> None:
    html = page(line, sentence="<script>alert(1)</script>")

    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_where_labels_are_not_doubted_the_page_says_why(tmp_path: Path) -> None:
    line = make_line(tmp_path, wrong=[1], git=False)
    REVIEW.write(REVIEW.empty(), line.path("review"))
    figures = {"label_issues": {"unjudged": "out-of-fold accuracy 0.66, 0.78 needed"}}
    line.path("curation").write_text(json.dumps(figures))

    assert "No label is doubted: out-of-fold accuracy 0.66, 0.78 needed." in page(line)


def test_the_verdict_comes_first_with_its_interval_and_its_rules(line: TinyLine) -> None:
    html = page(line)

    order = [
        html.index(text)
        for text in ("Held as challenger.", "95 % interval", "better than the floor", 'id="data"')
    ]
    assert order == sorted(order)


def test_every_class_is_shown_with_its_counts_and_what_it_means(line: TinyLine) -> None:
    html = page(line)

    assert (
        '<td><bdi>teal</bdi></td><td class="n">10</td><td class="n">9</td><td class="n">0</td>'
        in html
    )
    assert '<td class="no">holds</td>' in html
    assert (
        '<td><bdi><a href="pages/class-0.html">red</a></bdi></td><td class="n">20</td><td class="n">–</td>'
        in html
    )  # a verdict from before the counts
    assert "These images show little." in html


def test_a_class_without_test_images_is_last_and_not_measured(tmp_path: Path) -> None:
    line = make_line(tmp_path, git=False, names=("NA", "green", "blue"))
    table = line.path("per_class")
    head, red, *others = table.read_text().splitlines()
    unmeasured = "NA,0" + "," * (red.count(",") - 1)
    table.write_text("\n".join([head, unmeasured, *others]) + "\n")
    run = Run(
        "m",
        2,
        "f" * 64,
        Verdict("inconclusive", "Held.", (RULE,), COMPARISON),
        LINEAGE,
        {"torch": "2"},
    )

    content = gather(run, line.job().reads)

    assert [(row["class"], row["f1"]) for row in content.classes][-1] == ("NA", None)
    assert "1 of 3 classes have no test image: nothing is measured of them" in render_report(
        content, {}
    )
    card = render_card(content)
    assert "Lowest F1: green 91.0 %, blue 92.0 %." in card
    assert "1 of 3 classes have no test image" in card


def test_the_verdict_is_told_with_its_day_and_the_network_with_what_it_makes_of_its_own_images(
    line: TinyLine,
) -> None:
    html = page(line)

    assert (
        "decided on 2026-11-30; <code>perennial versions</code> says what is champion now" in html
    )
    assert "of their own training images they get 96.0 % right, 97.0 % with" in html


def test_the_same_line_gives_the_same_page(line: TinyLine) -> None:
    assert page(line) == page(line)


def test_the_card_says_what_was_measured_on_how_many_images(line: TinyLine) -> None:
    run = Run("m", None, "f" * 64, Verdict("reject", "Refused.", (RULE,)), LINEAGE, {})

    card = render_card(gather(run, line.job().reads))

    assert "On 60 test images that were never trained on" in card
    assert (
        "97 images discovered: 96 kept (24 train, 12 validation, 60 test), 0 quarantined, 1 removed"
        in card
    )


def test_the_card_says_by_whose_features_images_were_compared(line: TinyLine) -> None:
    built_in = f"{EMBEDDING}{EFFICIENTNET_LITE0.sha256[:12]}"
    counted = {"hog": 1, built_in: 1200, "embedding:0123456789ab": 3}
    line.path("curation").write_text(json.dumps({"features": counted}))
    run = Run("m", None, "f" * 64, Verdict("reject", "Refused.", (RULE,)), LINEAGE, {})

    card = render_card(gather(run, line.job().reads))

    (said,) = [one for one in card.splitlines() if "images were compared by" in one]
    assert "1 by gradients, which nobody trained; 1,200 by builtin:efficientnet" in said.replace(
        "\\", ""
    )
    assert "Apache-2.0; TensorFlow's TPU models, trained on ImageNet-1k" in said.replace("\\", "")
    assert "3 by other weights" in said


HOSTILE = "<b>[x](javascript:alert(1))\u202e"


def test_names_of_others_are_text_on_the_page_and_in_the_card(line: TinyLine) -> None:
    verdict = Verdict(
        "reject", f"Refused for {HOSTILE}.", (Rule(HOSTILE, True, HOSTILE),), notes=(HOSTILE,)
    )
    step = Step("listing and source", "discover", (Fact("source a", f"`{HOSTILE}"),))
    run = Run("m", None, "f" * 64, verdict, Lineage("", "m", (step,)), {})
    content = gather(run, line.job().reads)

    html, card = render_report(content, {}), render_card(content)

    assert '<bdi class="' in html  # a class name of another script turns nothing around it
    assert "<b>[x]" not in html and "\u202e" not in html + card
    assert card.count("&lt;b>\\[x\\](javascript") == card.count("javascript") - 1 == 4
    assert "source a `'<b>[x](javascript:alert(1))\\u202e`" in card  # in a span of code


def test_the_ledger_accounts_for_every_image(line: TinyLine) -> None:
    ledger = ledger_of(MANIFEST.read(line.path("manifest")), pd.read_csv(line.path("balance")))

    assert ledger.total == LedgerRow("all", 97, 96, 0, 1)
    assert sum(row.discovered for row in ledger.by_class) == 97
    assert ledger.reasons == (
        ReasonCount("duplicate", "remove", 1, {"train": 1, "val": 0, "test": 0}),
    )


def test_the_data_are_compared_with_those_of_the_version_before(
    line: TinyLine, tmp_path: Path
) -> None:
    before = tmp_path / "profile.json"
    counts = {"edges": [0, 4, 8], "counts": [20, 80]}
    before.write_text(
        json.dumps(
            {"n": 100, "columns": {"entropy_bit": counts}, "classes": {"red": 50, "teal": 50}}
        )
    )
    verdict = Verdict("promote", "Promoted.", (RULE,))
    run = Run("m", 2, "f" * 64, verdict, LINEAGE, {}, Previous(1, before))

    html = render_report(gather(run, line.job().reads), {})

    assert "The kept images beside those of version 1" in html
    assert re.search(
        r'<td>entropy bit</td><td class="n">[2-9]\.\d+</td><td class="no">large</td>', html
    )
    assert '<td><bdi>teal</bdi></td><td class="n">50 → 0</td>' in html


def test_a_ledger_that_loses_images_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="images were lost"):
        LedgerRow("all", 10, 8, 1, 0)


def test_a_thumbnail_shows_the_pixels_and_none_of_the_metadata(tmp_path: Path) -> None:
    pixels_HWC = np.full((300, 200, 3), 90, np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "SecretMaker"
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", exif=exif)
    (tmp_path / "a.bin").write_bytes(buffer.getvalue())
    columns = {
        "image_id": ["s/a.jpg"],
        "container": ["a.bin"],
        "offset_bytes": [0],
        "size_bytes": [len(buffer.getvalue())],
    }

    uri = thumbnails(
        ["s/a.jpg"], members=pd.DataFrame(columns), shards=tmp_path, rules=PixelRules()
    )["s/a.jpg"]

    shown = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert (shown.size, shown.format) == ((112, 168), "JPEG")
    assert not shown.getexif()
    assert abs(int(np.asarray(shown)[50, 50, 0]) - 90) <= 2


def test_a_file_that_is_no_image_has_no_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"<html>")
    members = pd.DataFrame(
        {"image_id": ["x"], "container": ["a.bin"], "offset_bytes": [0], "size_bytes": [6]}
    )

    assert thumbnails(["x"], members=members, shards=tmp_path, rules=PixelRules()) == {"x": ""}


def test_tiny_images_are_kept_exactly() -> None:
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)

    shown = Image.open(io.BytesIO(base64.b64decode(data_uri(pixels_HWC).partition(",")[2])))

    assert (np.asarray(shown) == pixels_HWC).all()


def test_only_the_images_asked_for_are_read(line: TinyLine) -> None:
    members = MEMBERS.read(line.path("members"))

    found = thumbnails(
        ["tiny/red/000.png"], members=members, shards=line.path("shards"), rules=PixelRules()
    )

    assert list(found) == ["tiny/red/000.png"]


def test_ticks_are_round_and_enclose_the_values() -> None:
    assert nice_ticks(0.13, 2.31) == [0.0, 1.0, 2.0, 3.0]
    assert nice_ticks(5.0, 5.0)[0] <= 5.0 <= nice_ticks(5.0, 5.0)[-1]


def test_a_curve_begins_at_the_left_and_ends_at_the_right_of_the_chart() -> None:
    chart = line_chart([1, 2, 3], {"loss": [2.0, 1.0, float("nan")], "other": [0.0, 1.0, 2.0]})

    assert chart.lines[1].points.startswith(f"{chart.left:.1f},{chart.bottom:.1f}")
    assert chart.lines[1].end_x == chart.right
    assert len(chart.lines[0].points.split()) == 2


def test_a_range_stays_on_its_scale() -> None:
    found = interval(0.9, 0.95, 1.2, scale=(0.8, 1.0), marks={0.8: "80%"})

    assert (found.low, found.value, found.high) == pytest.approx((50, 75, 100))


def test_labels_of_near_marks_go_apart_and_stay_on_the_scale() -> None:
    near = interval(-0.1, 0, 0.1, scale=(-0.1, 0.1), marks={-0.02: "allowed loss", 0.0: "equal"})
    ends = interval(0.9, 0.95, 1.0, scale=(0.9, 1.0), marks={0.9: "90 %", 1.0: "100 %"})

    assert [mark.anchor for mark in near.marks] == ["end", "start"]
    assert [mark.anchor for mark in ends.marks] == ["start", "end"]


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.996, "> 99 %"), (1.0, "100 %")],
)
def test_what_is_nearly_certain_is_not_called_certain(p: float, shown: str) -> None:
    assert in_percent(p) == shown
