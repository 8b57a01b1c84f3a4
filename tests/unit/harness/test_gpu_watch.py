"""What operations.jsonl says of GPUs. The tool is a script that prints what `nvidia-smi` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.harness.gpu_watch import Gpu, count, watched_gpus
from testing.served import wait_until


def test_the_mean_use_and_the_peak_of_each_gpu_are_kept_and_other_lines_left_out() -> None:
    lines = ["0, NVIDIA H200, 80, 1000\n", "1, NVIDIA H200, 0, 5\n", "No devices were found\n"]
    seen: dict[str, Gpu] = {}

    count([*lines, "0, NVIDIA H200, 90, 3000\n", "0, NVIDIA H200, [N/A], 10\n"], seen)

    assert seen == {"0": Gpu("NVIDIA H200", 85, 3000, 2), "1": Gpu("NVIDIA H200", 0, 5, 1)}


def test_the_tool_is_asked_for_the_visible_gpus_and_ends_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, pipe = tmp_path / "nvidia-smi", tmp_path / "asked"
    tool.write_text(
        f"#!/bin/sh\necho \"$@\" > {pipe}.new; echo '2, T4, 40, 700'; mv {pipe}.new {pipe}; exec sleep 60\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")

    with watched_gpus() as gpus:
        wait_until(pipe.exists, timeout_s=60)

    assert gpus == [{"name": "T4", "used_percent": 40, "peak_mb": 700, "samples": 1}]
    assert pipe.read_text().split()[-1] == "--id=2"


def test_without_the_tool_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with watched_gpus() as gpus:
        pass

    assert gpus == []
