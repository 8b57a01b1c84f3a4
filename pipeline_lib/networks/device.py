"""The device that torch computes on, and its settings."""

from __future__ import annotations

import ctypes
import logging
import platform
import shutil
from pathlib import Path

import torch

from pipeline_lib.errors import ConfigError

log = logging.getLogger(__name__)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def choose_device(wanted: str, *, threads: int, seed: int) -> torch.device:
    """Resolve `auto`, `cpu` or `cuda`, and make what follows repeatable: on a CPU the same seed and number of
    threads give the same bits. Raises ConfigError when a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise ConfigError(
            "no CUDA device is available",
            file="settings.toml",
            value="device = cuda",
            remedy='set device = "auto" (PERENNIAL_DEVICE=auto), or install the NVIDIA driver',
        )
    if wanted == "auto" and not has_gpu and shutil.which("nvidia-smi"):
        log.warning(
            "nvidia-smi is here, but torch sees no GPU (an old driver, most often): computing on the CPU"
        )
    device = torch.device("cuda" if has_gpu and wanted != "cpu" else "cpu")
    is_cpu = device.type == "cpu"
    if is_cpu:
        keep_freed_memory()

    # The number of threads changes the order of sums, and so last digits.
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    # As use_deterministic_algorithms, without loading torch's compiler. Some of CUDA's operations have no such form.
    torch.set_deterministic_debug_mode("error" if is_cpu else "default")
    # cuDNN tries its algorithms once for each of our few shapes.
    torch.backends.cudnn.benchmark = not is_cpu
    # Filling fresh memory takes time, and we read none before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def computed_on(device: torch.device) -> dict[str, str | int]:
    """What the last bits of a training depend on beside its inputs, for the receipt: no name of a machine.

    device: `cpu`, or the GPU's model. processor: its model; instruction_set: the vector kernels that torch takes on it.
    threads: of one step on the CPU.
    """
    device_name = device.type
    if device.type == "cuda":
        device_name = torch.cuda.get_device_name(device)
    return {
        "device": device_name,
        "processor": _processor(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """As Linux names it, else the machine's architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def keep_freed_memory() -> None:
    """Reuse freed memory, where malloc is glibc's, instead of returning it to the system and asking for it anew.

    Every step frees and allocates the same tensors; without this, one of resnet18 waits for 10,000 pages to be cleared.
    The peak of memory grows by about a hundredth (benchmarks/speed/freed_memory.py), and results do not change.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        # Never return memory, however much is free at the end of the heap.
        libc.mallopt(M_TRIM_THRESHOLD, -1)
        # Setting one threshold stops this one from growing by itself; it would have grown to here.
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
