from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader.open import Kind
from pipeline_lib.settings import Settings, load_settings


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text('workers = 3\ndevice = "cpu"\n')
    monkeypatch.setenv("PERENNIAL_WORKERS", "5")

    settings = load_settings(tmp_path)

    assert (settings.workers, settings.device) == (5, "cpu")


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)

    assert (
        settings.worker_count() >= 1
        and settings.state_folder(tmp_path) == tmp_path.resolve() / ".perennial"
    )


def test_a_workspace_uses_the_state_folder_of_the_original_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_ROOT", str(tmp_path / "original"))

    assert (
        load_settings(tmp_path / "clone").state_folder(tmp_path / "clone")
        == tmp_path / "original/.perennial"
    )


def test_dvc_experiments_in_a_temporary_folder_use_the_real_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "real"))

    assert load_settings(tmp_path / "temp").origin(tmp_path / "temp") == tmp_path / "real"


def test_every_wrong_setting_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text('worker = 3\ndevice = "tpu"\n')
    monkeypatch.setenv("PERENNIAL_WORKRES", "5")

    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path)

    message = str(caught.value)
    assert "3 wrong settings" in message and "\n" not in message
    assert "worker: no such setting, nearest is workers" in message
    assert "PERENNIAL_WORKRES: no such setting, nearest is PERENNIAL_WORKERS" in message
    assert "device = 'tpu'" in message


def test_an_endpoint_without_scheme_and_a_bucket_without_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        's3_endpoint_url = "127.0.0.1:9000"\npublic_buckets = "open-images"\n'
    )

    with pytest.raises(
        ConfigError, match=r"2 wrong settings .*s3_endpoint_url = .*write https://host.*public_buck"
    ):
        load_settings(tmp_path)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("workers = = 3\n")

    with pytest.raises(
        ConfigError, match=r"settings.toml: not valid TOML .*line 1.*Remedy: fix that line"
    ):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("gone", "instead"),
    [
        (
            "ffcv",
            r"set native, which shows the same pixels; FFCV's own Loader is `train\.views: ffcv` in params\.yaml",
        ),
        (
            "stock",
            r"FFCV's own Loader changes what training sees, so it is `train\.views: ffcv` .*; set auto here",
        ),
        ("torchvision", "set python, which shows the same pixels"),
    ],
)
@pytest.mark.parametrize("where", ["file", "environment"])
def test_a_loader_of_an_earlier_version_is_refused_with_what_to_set_instead(
    gone: str, instead: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old `ffcv` was our decoder: it must not become FFCV's own Loader, which shows other pixels."""
    if where == "file":
        (tmp_path / "settings.toml").write_text(f'loader = "{gone}"\n')
    else:
        monkeypatch.setenv("PERENNIAL_LOADER", gone)

    with pytest.raises(ConfigError, match=rf"loader = '{gone}': is no more: {instead}"):
        load_settings(tmp_path)


def test_no_setting_chooses_the_loader_that_shows_other_pixels() -> None:
    """Every loader but FFCV's own gives the same bytes (tests/unit/loader); FFCV's own is a parameter."""
    assert {*get_args(Settings.model_fields["loader"].annotation)} == {*get_args(Kind)} - {"ffcv"}
