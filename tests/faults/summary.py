"""The record of what was injected and seen: ``summary.json`` and a table."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

from tests.faults.matrix import Result
from tests.faults.scale import Figure

HEAD = """# Faults

Written by `make faults`. Each fault strikes a real run; then the same run is started
again with nothing in its way, and its rows are compared with those of a run that
nothing ever disturbed: to the last bit, times and provenance aside (after a GPU out of
memory: to 1e-5, because batches of another size sum in another order).

- *injected*: how often the fault struck; *survived*: after how many of these the final
  rows were right, nothing hung, and nothing was done that should not have been;
- *lost*: observations that were stored and whole when it struck, and were measured
  again;
- *recomputed*: measurements beyond one for each observation; *in flight*: the most that
  the strikes may cost, namely what was being measured or could not be stored.

The observations are of a learner that computes for a known time (`tests/faults`); after
a GPU out of memory, of `hmm_llama`. Ray runs on two nodes of this machine.
"""

COLUMNS = (
    *("fault", "engine", "injected", "survived", "lost", "recomputed", "in flight"),
    *("seconds", "what was injected", "what was wrong"),
)


class Summary:
    """Gathers results and writes them.

    Args:
        folder: Where to.
        is_quick: Whether everything was played in small.
    """

    def __init__(self, folder: Path, *, is_quick: bool) -> None:
        self.folder, self.is_quick = folder, is_quick
        self.results: list[Result] = []
        self.figures: list[Figure] = []
        self.left_out: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether every fault was survived and every bound kept."""
        survived = all(not r.broken and r.lost == 0 for r in self.results)
        return survived and all(figure.holds for figure in self.figures)

    def take(self, found: Result | Figure) -> None:
        """Take in what an experiment came to, and print it."""
        if isinstance(found, Result):
            self.results.append(found)
        else:
            self.figures.append(found)
        print(_line(found), flush=True)
        self.write()

    def leave_out(self, name: str, reason: str) -> None:
        """Note what cannot be played here."""
        self.left_out.append(f"{name}: {reason}")
        print(f"left out: {name}: {reason}", flush=True)

    def write(self) -> None:
        """Write the record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        said = {
            "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} "
            f"cores, Python {platform.python_version()}",
            "quick": self.is_quick,
            "left_out": self.left_out,
            "faults": [asdict(result) for result in self.results],
            "scale": [asdict(figure) for figure in self.figures],
        }
        text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
        (self.folder / "summary.json").write_text(text, "utf-8")
        (self.folder / "README.md").write_text("\n".join(self._page()), "utf-8")

    def _page(self) -> list[str]:
        seconds = sum(r.seconds for r in self.results)
        lines = [HEAD]
        if self.is_quick:
            lines.append("This is a quick run, in small.\n")
        lines += [f"Not played here: {text}\n" for text in self.left_out]
        lines.append(f"{len(self.results)} experiments, {seconds / 60:.1f} minutes.\n")
        lines += [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
        lines += map(_row, self.results)
        lines += ["\n## Sizes and speeds\n", "| measured | value | bound | kept |"]
        lines += ["|---|---|---|---|", *map(_figure, self.figures), ""]
        return lines


def _row(r: Result) -> str:
    counts = (r.injected, r.survived, r.lost, r.recomputed, r.allowed, r.seconds)
    cells = (r.fault, r.engine, *counts, r.how, "; ".join(r.broken))
    return "| " + " | ".join(map(str, cells)) + " |"


def _figure(f: Figure) -> str:
    kept = "yes" if f.holds else "**no**"
    return f"| {f.name} | {f.value:g} {f.unit} | {f.bound} | {kept} |"


def _line(found: Result | Figure) -> str:
    if isinstance(found, Figure):
        kept = "" if found.holds else "  MISSED"
        return f"{found.name}: {found.value:g} {found.unit} ({found.bound}){kept}"
    r = found
    said = f"  WRONG: {'; '.join(r.broken)}" if r.broken else ""
    return (
        f"{r.fault}, {r.engine}: {r.injected} injected, {r.survived} survived, "
        f"{r.lost} lost, {r.recomputed} recomputed of {r.allowed} in flight, "
        f"{r.seconds} s{said}"
    )
