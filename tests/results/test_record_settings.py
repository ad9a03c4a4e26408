"""A record applies only to runs with its rates and passes; older ones were searched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes.cell import Settings
from probes.results.record import Record, differences, recorded_settings

GIVEN = Settings(rates=(0.1, 1.0), passes=(1, 2))


def recorded(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    settings = recorded_settings(Settings())
    for name in without:
        del settings[name]
    path = folder / "expected.json"
    path.write_text(json.dumps({"settings": settings, "cells": {}}), "utf-8")
    return path


@pytest.mark.parametrize("without", [(), ("rates", "passes")])
def test_a_record_of_searches_does_not_apply_to_given_rates(
    tmp_path: Path, without: tuple[str, ...]
) -> None:
    path = recorded(tmp_path, without=without)
    assert Record(path, Settings()).applies
    assert not Record(path, GIVEN).applies


def test_a_record_of_given_rates_applies_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    text = json.dumps({"settings": recorded_settings(GIVEN), "cells": {}})
    path.write_text(text, "utf-8")
    assert Record(path, GIVEN).applies
    assert not Record(path, Settings()).applies


def test_runs_are_told_apart_by_their_rates_and_set_up() -> None:
    plain = {"provenance": {"options": {}, "versions": {}}}
    made = {"rates": [0.1, 1], "passes": [1, 2], "setup": {"name": "shen2024"}}
    other = {"provenance": {**plain["provenance"], **made}}
    assert differences([plain], [other]) == {
        "rates": ("searched", "0.1, 1"),
        "passes": ("searched", "1, 2"),
        "setup": ("none", "shen2024"),
    }
