"""One cell of the natural setting: a pretrained model that learns in context."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from probes.errors import ProbesError
from probes.models.files.fingerprint import fingerprint
from probes.run.grid import model_named
from tests.support.running import ROOT, run

CELL = (
    *("claims/test_output.py::test_same_accuracy", "-n", "0", "--raw"),
    *("--models", "smollm2_135m", "--datasets", "singular_plural", "--demos", "4"),
    *("--effort", "quick", "--sets", "5", "--queries", "8", "--calibration", "6"),
    *("-k", "gd_deep_W_V"),
)


def test_a_pretrained_model_that_learns_in_context_is_judged(tmp_path: Path) -> None:
    try:
        fingerprint(model_named("smollm2_135m"))
    except ProbesError as error:
        pytest.skip(str(error))
    (row,) = run(tmp_path, *CELL).rows
    schema = json.loads((ROOT / "src/probes/results/row.schema.json").read_text())
    assert not list(Draft202012Validator(schema).iter_errors(row))
    assert row["verdict"] in ("supported", "refuted", "inconclusive")
    assert row["verdict"] != "refuted" or row["details"]["searches"]
    again = run(tmp_path, *CELL)
    assert again.run["forward_passes"] == 0
    assert [r["verdict"] for r in again.rows] == [row["verdict"]]
