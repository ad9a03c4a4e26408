"""Makes the system fail, as ordered, inside every process that has this on its path.

Writing into the store is refused through an audit hook, which every way of opening,
renaming or removing a file passes; a full disk shows when what was written is flushed.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime")
JUMPS = (0.0, 86_400.0, -30 * 86_400.0)  # seconds
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_time, _fsync = time.time, os.fsync


def _orders() -> dict[str, Any]:
    try:
        text = (Path(os.environ["PROBES_FAULTS"]) / "control").read_text()
        found: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = args
        if not isinstance(flags, int) or not flags & WRITES:
            return
    elif event in CHANGES:
        path = args[0]
    else:
        return
    place = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    if "/store" in str(place):
        orders = _orders()
        if orders.get("fault") == "read_only" and orders["store"] in str(place):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(place))


def _flush(file: int) -> None:
    orders = _orders()
    if orders.get("fault") == "disk_full":
        held = len(list(Path(orders["store"]).glob("??/*.safetensors")))
        if held >= orders["most"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _fsync(file)


def _now() -> float:
    if "probes" in sys.modules and _orders().get("fault") == "clock":
        return _time() + JUMPS[int(time.monotonic() / 0.1) % len(JUMPS)]
    return _time()


if "PROBES_FAULTS" in os.environ:
    sys.addaudithook(_refuse)
    os.fsync = _flush
    time.time = _now
