"""The code, machine and settings that made the rows of a run."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from probes.cell import Settings

PACKAGES = ("torch", "transformers", "pytest", "pytest-xdist", "numpy", "scipy")


def provenance(
    settings: Settings,
    options: Mapping[str, str],
    *,
    tests_root: str = ".",
    setup: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Describe the code, machine and settings of a run.

    Args:
        settings: Sizes, seed, device and precision.
        options: The options of the command line that decide a cell.
        tests_root: The folder that names of tests are relative to, from where the run
            was started.
        setup: The published set-up of the run and what was changed; empty or None if
            it has none.
    """
    given = {"rates": list(settings.rates), "passes": list(settings.passes)}
    given |= {"setup": dict(setup)} if setup else {}
    elsewhere = {} if tests_root == "." else {"tests_root": tests_root}
    return {
        "commit": _commit(),
        "versions": _versions(),
        "device": settings.device,
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "dtype": settings.dtype,
        "seed": settings.seed,
        "n_sets": settings.n_sets,
        "n_queries": settings.n_queries,
        "n_orders": settings.n_orders,
        "n_calibration": settings.n_calibration,
        "effort": settings.effort,
        "options": dict(options),
        **{name: value for name, value in given.items() if value},
        **elsewhere,
    }


@lru_cache(maxsize=1)
def _commit() -> str | None:
    """Name the commit, with ``+changes`` if a tracked file differs from it.

    Reports do not count: a run writes them itself.
    """

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        elsewhere = ("--", ":(top)", ":(top,exclude)reports")
        changed = git("status", "--porcelain", "--untracked-files=no", *elsewhere)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
