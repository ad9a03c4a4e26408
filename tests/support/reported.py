"""The rows of the committed reports, and how pages write the numbers of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from tests.support.running import ROOT

REPORTS = ROOT / "reports"
NUMBER = r"[−+]?\d*\.?\d+"
TRIPLE = re.compile(rf"({NUMBER})\s\[({NUMBER}),\s({NUMBER})\]")
"""An effect with its interval, as pages write it: ``.58 [.50, .63]``."""


@lru_cache
def rows(report: str) -> list[dict[str, Any]]:
    """Read the rows of a committed report: ``sample`` or ``natural``."""
    text = (REPORTS / report / "results.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def page(name: str) -> str:
    """Read a page of the project, every run of white space as one space."""
    return " ".join((ROOT / name).read_text("utf-8").split())


def number(text: str) -> float:
    """Read a number as pages write it."""
    return float(text.replace("−", "-"))


def fits(value: float | None, text: str) -> bool:
    """Say whether a number of a page is a value rounded to the page's digits."""
    digits = len(text.partition(".")[2])
    return value is not None and abs(value - number(text)) < 0.50001 * 10**-digits


@dataclass(frozen=True)
class Shown:
    """A value that ``f"{shown:2}"`` writes as pages do, with two digits: −.19."""

    value: float

    def __format__(self, digits: str) -> str:
        """Round half up, as readers do, and leave out the 0 before the point."""
        exact = Decimal(repr(round(self.value, 9)))
        text = str(exact.quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP))
        return re.sub(r"^(-?)0\.", r"\1.", text).replace("-", "−")


def row(claim: str, model: str, dataset: str, n: int, report: str) -> dict[str, Any]:
    """Give the only row of a cell."""
    wanted = (claim, model, dataset, n)
    keys = ("claim", "model", "dataset", "n_demonstrations")
    (found,) = (r for r in rows(report) if tuple(r[key] for key in keys) == wanted)
    return found


def value(found: dict[str, Any], effect: str) -> float:
    """Give the only effect of a row with this name, or with this end of its name."""
    values = {e["name"]: e["value"] for e in found["effects"]}
    named = [name for name in values if name == effect]
    (name,) = named or [name for name in values if name.endswith(f": {effect}")]
    return float(values[name])


def intervals(models: set[str]) -> Iterator[tuple[float, float, float]]:
    """Give each effect with its interval of the rows of some models, in both signs."""
    for found in (*rows("sample"), *rows("natural")):
        if found["model"] in models:
            for effect in found["effects"]:
                if effect["low"] is not None:
                    yield effect["value"], effect["low"], effect["high"]
                    yield -effect["value"], -effect["high"], -effect["low"]
