"""Count cores and GPUs, and divide them among workers. Imports no torch."""

from __future__ import annotations

import math
import os
from pathlib import Path


def count_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_gpus() -> list[str]:
    """List the visible NVIDIA GPUs by index."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu.strip()]
    known = Path("/proc/driver/nvidia/gpus")
    return [str(i) for i in range(len(list(known.iterdir())))] if known.is_dir() else []


def count_workers(device: str, most: float = math.inf) -> int:
    """Decide what ``-n auto`` means: one worker for each GPU in use, or for each core.

    On the CPU there are no more than ``most``, but one at least.
    ``PYTEST_XDIST_AUTO_NUM_WORKERS`` overrides it, as always with xdist.
    """
    asked = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", "")
    if asked.isdecimal():
        return int(asked)
    if device == "auto":
        return 1  # this worker has all GPUs
    if device.startswith("cuda"):
        return max(1, len(list_gpus()) if device == "cuda" else 1)
    return int(max(1, min(count_cores(), most)))


def worker_environment(index: int, n_workers: int, device: str) -> dict[str, str]:
    """Return a worker's environment, which must be set before it imports torch."""
    threads = str(max(1, count_cores() // max(1, n_workers)))
    environment = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
    }
    gpus = list_gpus()
    if device == "cuda" and gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
    return environment
