"""The table of a run: gathered, printed and written to reports/benchmarks."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Generator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import torch

from probes.cell import Settings
from probes.results.provenance import provenance
from tests.benchmarks.sides import Table

TABLE = pytest.StashKey[Table]()
COMMIT = pytest.StashKey[str | None]()
PACKAGES = ("torch", "transformers", "numpy", "scipy", "lm-eval")
ROOT = Path(__file__).parents[2]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()
    config.stash[COMMIT] = provenance(Settings(), {})["commit"]  # before files change


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Table:
    """Give what the rows of this run are put into."""
    found: Table = request.config.stash[TABLE]
    return found


@pytest.fixture(autouse=True)
def threads_as_before() -> Generator[None, None, None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    table = config.stash[TABLE]
    if not table.rows:
        return
    terminalreporter.section("side by side")
    for line in table.lines():
        terminalreporter.write_line(line)
    # A part of the rows must not overwrite the whole: it is printed and kept apart.
    whole = not (config.option.keyword or _is_quick())
    name = "summary.json" if whole else "part.json"
    path = Path(os.environ.get("PROBES_BENCHMARKS", ROOT / "reports/benchmarks")) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"commit": config.stash[COMMIT], **machine(table)}
    said = {"machine": made, "rows": table.plain()}
    text = json.dumps(said, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    terminalreporter.write_line(f"Written: {path}")


def _is_quick() -> bool:
    return bool(os.environ.get("PROBES_QUICK"))


def machine(table: Table) -> dict[str, Any]:
    """Tell by what the rows were measured."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "matmul_peak_flop_per_s": {str(k): v for k, v in sorted(table.peaks.items())},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return named[0] if named else platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
