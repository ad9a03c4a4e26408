"""The error rates on docs/verdicts.md are those of the committed calibration study."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest

from tests.support.reported import REPORTS, Shown, page

MARGIN, NO_GAIN = "at the margin", "no gain"
SUPPORTED, REFUTED = "false_supported", "false_refuted"
THESE = "groups: these groups, sets as units"
NEW = "groups: new groups, groups as units"
UNITS, KNOWN = "units: unit estimated", "units: unit taken as known"
STOPPING = "interim analyses"


@lru_cache
def study() -> list[dict[str, Any]]:
    """Read the lines of the study."""
    lines: list[dict[str, Any]] = json.loads(
        (REPORTS / "calibration/summary.json").read_text("utf-8")
    )
    return lines


def worst(rule: str, error: str, *truths: str, of: str = "") -> Shown:
    """Give the largest error of a rule in percent, over simulations of these kinds."""
    kinds = tuple(of.split(" or ")) if of else ("",)
    found = [
        line[error]
        for line in study()
        if line["rule"] == rule
        and line["truth"] in (truths or (MARGIN,))
        and line["simulation"].startswith(kinds)
        and line["simulation"].startswith("ratio") == (of == "ratio")
        and line[error] is not None
    ]
    return Shown(100 * max(found))


def power(n_sets: int) -> Shown:
    """Give the instrument's power with 40 queries, in percent."""
    wanted = ("instrument", "normal, typical", n_sets, 40, "inside")
    keys = ("rule", "simulation", "n_sets", "n_queries", "truth")
    (found,) = (x["power"] for x in study() if tuple(x[k] for k in keys) == wanted)
    return Shown(100 * found)


def sentences() -> list[str]:
    """Write what the study says, as the page says it."""
    rivals, gate = "rivals: all rivals", "gate"
    dismissed = worst(gate, REFUTED, "a gain of a fifth of the least", "the least gain")
    groups = "8 groups or 16 groups"
    return [
        f"called *supported* | in at most {worst('instrument', SUPPORTED):1} % of runs",
        f"t-test over all pairs: up to {worst('t over all pairs', SUPPORTED):0} %",
        f"called *refuted* | in at most {worst('instrument', REFUTED):1} % of runs",
        f"at most {worst(rivals, SUPPORTED):1} %, {worst(rivals, REFUTED):1} % |",
        f"at most {worst(UNITS, SUPPORTED):1} %, {worst(UNITS, REFUTED):1} % (unit",
        f"taken as known: up to {worst(KNOWN, REFUTED):0} %)",
        f"at most {worst('instrument', SUPPORTED, of='ratio'):1} %, "
        f"{worst('instrument', REFUTED, of='ratio'):1} % |",
        f"*these groups* at the margin: *supported*, *refuted* | in at most "
        f"{worst(THESE, SUPPORTED, of=groups):1} %, "
        f"{worst(THESE, REFUTED, of=groups):1} % |",
        f"with `--new-groups`: *supported*, *refuted* | in at most "
        f"{worst(NEW, SUPPORTED, of=groups):1} %, "
        f"{worst(NEW, REFUTED, of=groups):1} % |",
        f"dismissed as *not applicable* | in at most {dismissed:1} % |",
        f"passes the gate | in at most {worst(gate, SUPPORTED, NO_GAIN):1} % |",
        f"{power(5):0} % with 5 sets, {power(10):0} % with 10 sets, {power(20):0} %",
        f"called *supported* in at most {worst(STOPPING, SUPPORTED):1} % of runs",
        f"at 5 % each would give {worst(f'{STOPPING}, each at 5 %', SUPPORTED):1} %.",
        f"*supported* | in {worst('whole instrument', SUPPORTED):1} % of 1000 runs",
    ]


@pytest.mark.parametrize("sentence", sentences())
def test_every_error_rate_on_the_page_is_the_studys(sentence: str) -> None:
    assert sentence in page("docs/verdicts.md")
