"""GD on text is chosen on calibration queries; it sees nothing of the verdict's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probes.cell import Settings
from probes.data.text_tasks import TextTask
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import GradientLearner
from probes.learners.search_effort import SearchEffort
from probes.observations.request import Request
from probes.run.grid import MODELS, dataset_named

GD = GradientLearner(effort=SearchEffort(n_sets=2, passes=2, total=8))


def choices(store: Path) -> list[Any]:
    """Choose rate and passes in two cells that differ in their queries alone."""
    observer = Observer(Store(store))
    return [
        observer.observe(
            Request(
                learner=GD,
                model=MODELS.get("hmm_llama"),
                dataset=dataset_named("hmm"),
                n_demonstrations=4,
                settings=Settings(n_sets=2, n_queries=n, n_calibration=6),
            )
        ).facts["curves"]
        for n in (3, 5)
    ]


def test_what_gd_is_chosen_by_does_not_depend_on_the_verdicts_queries(
    tmp_path: Path,
) -> None:
    one, other = choices(tmp_path)
    assert one == other


def test_choosing_gd_on_the_verdicts_queries_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Request.text_task

    def leaking(request: Request, keep: Callable[[Any], Any]) -> TextTask:
        return honest(replace(request, queries="verdict"), keep)

    monkeypatch.setattr(Request, "text_task", leaking)
    one, other = choices(tmp_path)
    assert one != other
