"""A report to send: the folder as one zip, or all its pages in one HTML file that shows them one at a time.

The one file has no script either: a page is shown when the address names it or something on it (CSS `:target`).
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path

from pipeline_lib.errors import UsageError
from pipeline_lib.files.atomic import atomic_file, write_text
from pipeline_lib.registry.report_places import REPORT
from pipeline_lib.report.write import PAGES, SLICES, TABLE, THUMBNAILS

LARGEST_BYTES = 25_000_000  # that mail takes
FIRST = Path(REPORT).stem
SHOW = f"""
.page {{ display: none; }} .page:target, .page:has(:target) {{ display: block; }}
body:not(:has(.page:target, .page :target)) #{FIRST} {{ display: block; }}
"""
# Our own markup: a quote in a text from outside is escaped, so that none of these can begin in one.
HISTORY = re.compile(
    r'<a href="\.\./history\.html">[^<]*</a>'
)  # beside the folder: it does not go along
MAIN = re.compile(r'<main id="main">(.*)</main>', re.DOTALL)
NAV = re.compile(r"<nav.*?</nav>", re.DOTALL)
SKIP = re.compile(r'<a class="skip".*?</a>')
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
POLICY = re.compile(r'(Content-Security-Policy" content=")[^"]*')
ID = re.compile(r' id="([^"]*)"')
HREF = re.compile(r' href="([^"]*)"')
SRC = re.compile(r' src="([^"]*)"')


def write_zip(folder: Path, target: Path) -> None:
    """Pack a report's folder."""
    name = folder.resolve().name
    with atomic_file(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(folder.rglob("*")):
            place = f"report-{name}/{one.relative_to(folder)}"
            if one == folder / REPORT:
                archive.writestr(place, HISTORY.sub("", one.read_text(encoding="utf-8")))
            elif one.is_file():
                archive.write(one, place)


def write_single_file(folder: Path, target: Path) -> None:
    """Write all pages of a report into one file. Raises UsageError when it would be too large to send."""
    first = (folder / REPORT).read_text(encoding="utf-8")
    if not (folder / PAGES).is_dir():  # of a release before the folder: it is one file already
        write_text(target, first)
        return
    pages = [folder / REPORT, *sorted((folder / PAGES).glob("*.html"))]
    images = {one.name: one.stat().st_size for one in (folder / THUMBNAILS).glob("*")}
    sections = []
    size = 0
    for page in pages:
        sections.append(_section(page, folder))
        size += len(sections[-1])
        if size > LARGEST_BYTES:
            weight = sum(images.values()) // 1_000_000
            raise UsageError(
                f"the report is larger than {LARGEST_BYTES // 1_000_000} MB as one file",
                file=folder,
                value=f"{len(pages)} pages, {len(images)} images of {weight} MB",
                remedy="use --zip FILE, which holds each image once",
            )
    style = _match(STYLE, first)[1] + SHOW
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = first[: _match(MAIN, first).start()]
    head = POLICY.sub(lambda found: found[1] + policy, head)
    head = STYLE.sub(lambda _: f"<style>{style}</style>", head)
    head = SKIP.sub("", NAV.sub("", head))
    write_text(target, head + "".join(sections) + "</body>\n</html>\n")


def _section(page: Path, folder: Path) -> str:
    """A page's navigation and content, its anchors and addresses under the page's own name."""
    name = page.stem
    text = HISTORY.sub("", page.read_text(encoding="utf-8"))
    body = _match(NAV, text)[0] + f"<main>{_match(MAIN, text)[1]}</main>"
    body = ID.sub(lambda found: f' id="{name}--{found[1]}"', body)
    body = HREF.sub(lambda found: f' href="{_address(found[1], name, folder)}"', body)
    body = SRC.sub(lambda found: f' src="{_image(folder, found[1])}"', body)
    return f'<div class="page" id="{name}">{body}</div>\n'


def _address(href: str, here: str, folder: Path) -> str:
    """`class-3.html#as-4` becomes `#class-3--as-4`; the tables go along, each once."""
    file, _, anchor = href.partition("#")
    if (table := Path(file).name) in (TABLE, SLICES):
        if here != FIRST and table == TABLE:
            return f"#{FIRST}"
        data = base64.b64encode((folder / table).read_bytes()).decode()
        return f'data:text/csv;base64,{data}" download="{table}'
    page = Path(file).stem if file else here
    return f"#{page}--{anchor}" if anchor else f"#{page}"


def _image(folder: Path, src: str) -> str:
    data = (folder / THUMBNAILS / Path(src).name).read_bytes()
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.search(text)
    assert found, f"a page of the report has no {pattern.pattern}"
    return found
