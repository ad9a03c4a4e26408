"""Where a run reads and writes, read off its options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a run reads and writes."""

    store: Path
    reports: Path
    expected: Path
    update_expected: bool
    raw: bool


def places_of(option: Any, root: Path) -> Places:
    """Read where a run reads and writes.

    Raises:
        OptionError: ``--expect`` names no file.
    """
    if option.expect is not None and not os.path.isfile(option.expect):
        raise OptionError(
            f"--expect is {option.expect!r}, which is no file. Expected a record or "
            f"the results.jsonl of a run. Check the path."
        )
    return Places(
        store=Path(option.store or root / ".store").absolute(),
        reports=Path(option.reports or root / "reports" / "latest").absolute(),
        expected=Path(option.expect or root / "claims" / "expected.json").absolute(),
        update_expected=option.update_expected,
        raw=option.raw,
    )
