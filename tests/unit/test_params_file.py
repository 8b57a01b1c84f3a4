from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import pytest
from pydantic import Field, model_validator

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.params_file import Params, load_section, parse


class Toy(Params):
    """A section."""

    epochs: int = Field(10, ge=1, le=99, description="epochs")
    rate: float = Field(0.1, gt=0, description="learning rate")


def test_an_empty_section_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("toy: {}\n")

    assert load_section(tmp_path / "params.yaml", "toy", Toy) == Toy()


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("toy: {rate: 1e-3, epochs: 1_0}\n")

    assert load_section(tmp_path / "params.yaml", "toy", Toy) == Toy(rate=0.001, epochs=10)


def test_all_mistakes_are_reported_at_once_with_key_value_and_nearest_name() -> None:
    content: dict[str, Any] = {"toy": {"epoch": 3, "rate": -1}, "tain": {}}

    with pytest.raises(ConfigError) as caught:
        parse(Path("params.yaml"), content, {"toy": Toy, "train": Toy})

    message = str(caught.value)
    assert message.startswith("params.yaml: 4 wrong parameters (found: ") and "\n" not in message
    for part in ("tain: no such section, nearest is train", "train: the section is missing", "toy.epoch: no such key, nearest is toy.epochs", "toy.rate = -1: Input should be greater than 0"):  # fmt: skip  # noqa: E501
        assert part in message


def test_a_word_that_is_none_of_the_choices_and_keys_that_do_not_go_together_are_told_without_the_whole_section() -> (
    None
):
    class Two(Params):
        kind: Literal["small", "large"] = "small"

        @model_validator(mode="after")
        def _goes_together(self) -> Self:
            raise ValueError("this and that go together")

    with pytest.raises(
        ConfigError, match="toy.kind = 'smal': Input should be 'small' or 'large'; nearest is small"
    ):
        parse(Path("params.yaml"), {"toy": {"kind": "smal"}}, {"toy": Two})
    with pytest.raises(ConfigError, match=r"\(found: toy: this and that go together\)"):
        parse(Path("params.yaml"), {"toy": {"kind": "large"}}, {"toy": Two})


def test_a_section_that_is_absent_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("other: {}\n")

    with pytest.raises(ConfigError, match="1 wrong parameter .*toy: the section is missing"):
        load_section(tmp_path / "params.yaml", "toy", Toy)


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\nb: [1\n")

    with pytest.raises(
        ConfigError, match=r"params.yaml:3:1: not valid YAML .*Remedy: fix that line"
    ):
        read_yaml(tmp_path / "params.yaml")


def test_an_absent_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file. Remedy: run from the project's folder"):
        read_yaml(tmp_path / "params.yaml")


def test_a_list_at_the_top_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("- a\n")

    with pytest.raises(ConfigError, match=r"the top level must be a mapping \(found: list\)"):
        read_yaml(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", [b"a: \xff\n", b"a: \x00\n"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)

    with pytest.raises(
        ConfigError, match=r"params.yaml: not a text file .*Remedy: save it as UTF-8"
    ):
        read_yaml(tmp_path / "params.yaml")


def test_what_one_reader_changes_another_does_not_see(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: {b: 1}\n")
    read_yaml(tmp_path / "params.yaml")["a"]["b"] = 2

    assert read_yaml(tmp_path / "params.yaml") == {"a": {"b": 1}}
