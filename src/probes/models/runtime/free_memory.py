"""How much of the computer's memory is free. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path


def free_ram() -> int | None:
    """Measure the bytes that new work may use; None if the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # this system has no such number
        return None
