"""Rows of runs for tests, also with hostile texts, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from probes.results.rows import Row

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "closing": "</script></table></details><!--",
    "quotes": "\" onclick='x' `a` \\ $HOME",
    "pipes": "a | b || c \\| d",
    "jinja": "{{ 7 * 7 }} {% raw %}",
    "surrogate": "lone \ud800 half",
    "control": "red \x1b[31m bell \x07 null \x00 line\nbreak\r\n",
    "direction": "right \u202e to left",
    "wide": "漢字" * 60,
    "long": "x" * 100_000,
}


PROVENANCE = {
    "commit": "0123456789abcdef",
    "versions": {"python": "3.11.2"},
    "device": "cpu",
    "machine": "x86_64 Linux, 2 cores",
    "dtype": "float64",
    "seed": 0,
    "n_sets": 10,
    "n_queries": 40,
    "n_orders": 3,
    "n_calibration": 20,
    "options": {},
}


def effect(**given: object) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "distance", "value": 0.2, "unit": "nats"}
    found |= {"low": 0.1, "high": 0.3}
    found |= {"level": 0.9, "margin": 0.5, "floor": None, "ceiling": None}
    found |= {"n_sets": 10, "n_queries": 40, "p": 0.01, "p_adjusted": 0.02}
    return found | given


def row(**given: object) -> Row:
    verdict = given.get("verdict", "supported")
    found: Row = {"claim": "same_answer", "sentence": "Both agree.", "source": "§4"}
    found |= {"file": "claims/test_a.py", "test": "claims/test_a.py::test_b[c-d-4]"}
    found |= {"model": "llama", "kind": "pretrained", "dataset": "sst2"}
    found |= {"n_demonstrations": 4, "verdict": verdict, "alone": verdict}
    found |= {"expected": None, "outcome": "passed", "effects": [effect()]}
    found |= {"p_supported": 0.01, "p_refuted": 0.99, "reason": None, "note": None}
    found |= {"identity": False}
    found |= {"observations": ["ab"], "seconds": 0.1, "provenance": PROVENANCE}
    return found | given


def run_of(rows: list[Row], **given: object) -> dict[str, Any]:
    found: dict[str, Any] = {"cells": len(rows), "verdicts": {}, "unexpected": 0}
    found |= {"observations_measured": 3, "observations_stored": 0}
    found |= {"forward_passes": 9, "self_tests": {"identity": True}, "seconds": 1.5}
    return found | {"complete": True, "provenance": PROVENANCE} | given


class Reader(HTMLParser):
    """Collects what a browser would see: tags, their nesting, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "wbr", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))


def hostile_row(text: str) -> Row:
    names = "claim sentence source model dataset reason note test"
    return row(
        **dict.fromkeys(names.split(), text),
        effects=[effect(name=text, unit=text)],
        observations=[text],
        verdict="error",
        provenance=PROVENANCE | {"device": text},
    )


def hostile_run(text: str, rows: list[Row]) -> dict[str, Any]:
    provenance = PROVENANCE | {"commit": text, "versions": {text: text}}
    return run_of(rows, self_tests={text: False}, provenance=provenance)
