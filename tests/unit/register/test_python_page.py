"""The code of docs/python.md runs, block after block, in a checkout whose line has run."""

import re
from pathlib import Path

import pytest
from PIL import Image

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run as convert
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.register.run import run as register
from pipeline_lib.settings import Settings
from testing.tiny_line import make_line, receive

PAGE = Path(__file__).parents[3] / "docs/python.md"


def test_the_page_runs_from_top_to_bottom_and_its_model_answers(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(checkout)
    files = line.files.stage_files("convert")
    convert(StageRun(line.root, files.reads, files.writes, ConvertParams(), Settings(workers=1)))
    receive(line)
    register(line.job())
    Image.new("RGB", (40, 30), "green").save(line.root / "new.png")
    monkeypatch.chdir(line.root)
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )

    capsys.readouterr()
    variables: dict[str, object] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), variables)  # noqa: S102 - our own page

    said = capsys.readouterr().out
    assert len(blocks) == 7
    assert said.count("torch.Size([8, 32, 32, 3])") == 3  # 24 training images in batches of 8
    assert "8 images of" in said
    assert "'cleo': 0." in said and "most doubtful first: [4," in said
    assert re.search(r"^keep\s", said, re.MULTILINE)
    assert re.search(r"^new.png green [01]\.\d\d$", said, re.MULTILINE)
    assert "1 Promoted to champion: it is the first model" in said
