"""Reports in the state folder: images shared, old ones removed, one image erased from all of them."""

from pathlib import Path

from pipeline_lib.register.publish import _superclasses
from pipeline_lib.register.run import run
from pipeline_lib.registry.closure import read_closure
from pipeline_lib.report.erase import erase_from_reports
from testing.registrations import registered
from testing.tiny_line import TinyLine, make_line


def folders(line: TinyLine) -> list[Path]:
    reports = line.root / ".perennial" / "reports"
    return sorted(one for one in reports.iterdir() if one.is_dir() and not one.is_symlink())


def everything(reports: Path) -> list[Path]:
    return [one for one in reports.rglob("*") if one.is_file()]


def test_reports_of_two_versions_share_the_files_of_their_images(checkout: Path) -> None:
    registered(checkout, wrong=[1, 2])
    line = registered(checkout, wrong=[1], model="two")

    one, two = ({file.name: file for file in f.glob("images/*")} for f in folders(line))

    shared = one.keys() & two.keys()
    assert len(shared) > 10
    assert all(one[name].samefile(two[name]) for name in shared)


def test_a_report_shows_what_changed_since_the_champion(checkout: Path) -> None:
    registered(checkout, wrong=[1, 2])
    line = registered(checkout, wrong=[2, 3], model="two")

    text = (line.root / ".perennial/reports/latest/pages/flips.html").read_text()

    lost, won = text.split('<h2 id="won">')
    assert "blue/039.png" in lost.split('<h2 id="lost">')[1] or "red/039.png" in lost
    assert "green/037.png" in won


def test_old_reports_go_and_those_of_versions_in_use_stay(checkout: Path) -> None:
    registered(checkout)  # the champion
    for number in range(3):
        line = make_line(checkout, wrong=range(20 + number), model=f"bad {number}")
        run(line.job(keep_reports=2))

    latest = (line.root / ".perennial/reports/latest").resolve()

    assert len(folders(line)) == 2
    assert latest in folders(line)
    assert "Promoted to champion" in "".join(
        (one / "report.html").read_text() for one in folders(line)
    )


def test_an_image_is_erased_from_every_report(checkout: Path) -> None:
    registered(checkout, wrong=[1, 2])
    line = registered(checkout, wrong=[1, 3], model="two")
    reports = line.root / ".perennial" / "reports"
    row = next(
        text.split(",")
        for text in (reports / "latest" / "mistakes.csv").read_text().splitlines()
        if "green/037.png" in text
    )

    n = erase_from_reports(reports, row[1])

    assert n > 6
    assert not [one for one in everything(reports) if row[1][:16] in one.name]
    texts = [
        one.read_text() for one in everything(reports) if one.suffix in (".html", ".csv", ".md")
    ]
    assert not [text for text in texts if "037.png" in text or row[1][:16] in text]
    assert any("tiny/blue/038.png" in text for text in texts)
    assert erase_from_reports(reports, row[1]) == 0


def test_the_superclasses_that_people_name_are_read_from_the_file_that_curate_took(
    checkout: Path,
) -> None:
    (checkout / "curation").mkdir(parents=True)
    (checkout / "curation" / "classes.csv").write_text(
        "class_id,name,definition,parents\nwarm,warm colour,,\nred,,,warm\n"
    )
    line = registered(checkout)

    assert _superclasses(checkout, read_closure(line.root)) == {
        "warm": (),
        "red": ("warm colour",),
    }
