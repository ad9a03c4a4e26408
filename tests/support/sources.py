"""Sources that change while a test runs, as they never do in a run."""

from __future__ import annotations

from probes import source_code
from probes.observations import learner_code


def forget_sources() -> None:
    """Let every source be read again."""
    for cached in (
        source_code._read,
        source_code._file_of,
        source_code._is_installed,
        source_code.code_digest,
        source_code.libraries_reached,
        learner_code._versions_reached,
    ):
        cached.cache_clear()
