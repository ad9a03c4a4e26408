"""Plans for engines, and how often each learner of them was tried."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probes.cards import LinearTasks
from probes.cell import Settings
from probes.engine.protocol import RequestResult
from probes.errors import NumericsError
from probes.observations.observation import Observation
from probes.observations.request import Request
from tests.support.cards import dataset, network


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """Answers its number; writes each attempt to a file, and follows a script.

    Attributes:
        number: What it answers.
        log: A file that gets a line for each attempt.
        deaths: How many attempts kill their process.
        fails: Whether it then raises an error of ours.
    """

    number: float
    log: str
    deaths: int = 0
    fails: bool = False
    needs_model: bool = False

    def observe(self, context: Any) -> Observation:
        with Path(self.log).open("a") as file:
            file.write(f"{self.number}\n")
        n_attempts = Path(self.log).read_text().split().count(str(self.number))
        if n_attempts <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fails:
            raise NumericsError("It is no number. Expected one. Mend it.")
        sizes = context.request.settings
        values = np.full((sizes.n_sets, sizes.n_queries), self.number)
        return Observation(arrays={"predictions": values})


def request(model: str = "a", **learner: Any) -> Request:
    return Request(
        learner=Scripted(**{"number": 1.0, "log": "nowhere", **learner}),
        model=network(model),
        dataset=dataset("linear", family="regression", rows=LinearTasks(n_inputs=4)),
        n_demonstrations=4,
        settings=Settings(n_sets=2, n_queries=3),
    )


def by_key(answers: Any) -> dict[str, RequestResult]:
    found = list(answers)
    assert len({a.key for a in found}) == len(found)
    return {a.key: a for a in found}


def scripts(tmp_path: Path, *given: dict[str, Any]) -> list[Request]:
    log = str(tmp_path / "log")
    return [request(number=float(i), log=log, **g) for i, g in enumerate(given)]


def attempts(tmp_path: Path) -> list[str]:
    return sorted((tmp_path / "log").read_text().split())
