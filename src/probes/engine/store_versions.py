"""Say that an upgrade of a library sets aside what a store holds.

The versions of libraries are in every key (see ``library_versions``), so after an
upgrade nothing that depends on the library is read. A small file in the store keeps
the versions of the last run.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from probes.engine.store import Store, warn_of_store
from probes.library_versions import COMMON, versions_of

FILE = "libraries.json"


def note_upgrades(store: Store) -> None:
    """Warn in one sentence if a library has another version than in the last run."""
    path, here = store.folder / FILE, versions_of(COMMON)
    before = _read(path)
    if before == here:
        return
    changed = [
        f"{name} {before[name]} is now {release}"
        for name, release in here.items()
        if name in before and before[name] != release
    ]
    if changed:
        warn_of_store(
            f"{', '.join(changed)}. What the store {store.folder} holds of other "
            f"versions is set aside, and is measured again where it is needed. "
            f"`probes store prune` removes it first."
        )
    with contextlib.suppress(OSError):  # a read-only store says so itself
        path.write_text(json.dumps(here), "utf-8")


def _read(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: str(v) for k, v in held.items()} if isinstance(held, dict) else {}
