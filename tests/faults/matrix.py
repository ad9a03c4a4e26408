"""Every fault on every engine: struck, run again, and compared with the undisturbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.faults.acts import ACTS
from tests.faults.cluster import Cluster
from tests.faults.stage import Play, Stage
from tests.faults.strike import Strike


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of the table.

    Attributes:
        fault: Which.
        engine: On which engine.
        injected: How often it struck.
        survived: How many of these left the final rows as those of a run without
            faults: all or none, since strikes do not distinguish rows.
        lost: Observations that were stored and whole, and were measured again.
        recomputed: Measurements beyond one for each observation.
        allowed: Those that were being measured when it struck, which may be repeated.
        how: What was injected, in words.
        seconds: Of the experiment.
        broken: What was seen that should not have been.
    """

    fault: str
    engine: str
    injected: int
    survived: int
    lost: int = 0
    recomputed: int = 0
    allowed: int
    how: str
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, fault: str, engine: str, strike: Strike) -> Result:
        """Write down a strike."""
        return cls(
            fault=fault,
            engine=engine,
            injected=strike.n,
            survived=0 if strike.broken else strike.n,
            allowed=strike.in_flight,
            how=strike.how,
            broken=strike.broken,
        )

    def checked(self) -> Result:
        """Count nothing as survived that cost more than it may."""
        broken = list(self.broken)
        if self.lost:
            broken.append(f"{self.lost} lost")
        if self.recomputed > self.allowed:
            broken.append(f"{self.recomputed - self.allowed} too many measured again")
        return replace(self, broken=broken, survived=0 if broken else self.survived)


class Matrix:
    """Plays acts on engines.

    Args:
        home: A folder for all experiments.
        play: What most acts are played on.
        cluster: Two Ray nodes; None leaves Ray out.
    """

    def __init__(self, home: Path, play: Play, cluster: Cluster | None) -> None:
        self.home, self.play, self.cluster = home, play, cluster
        self.seeds: Path | None = None
        self._undisturbed: dict[Play, list[dict[str, Any]]] = {}

    def undisturbed(self, play: Play) -> list[dict[str, Any]]:
        """Give the rows of a run without faults and engines; measured once."""
        if play not in self._undisturbed:
            name = f"undisturbed-{len(self._undisturbed)}"
            stage = Stage(self.home, name, play, "none")
            stage.finish(stage.start())
            self._undisturbed[play] = stage.rows()
            if self.seeds is None:
                self.seeds = self._self_tests(stage)
        return self._undisturbed[play]

    def _self_tests(self, stage: Stage) -> Path:
        """Keep what the report's self-tests measured: no fault is played on them."""
        for path in stage.store.glob("??/*.safetensors"):
            if path.stem in stage.begun():
                path.unlink()
        return stage.store

    def play_all(
        self, engines: Sequence[str], faults: Sequence[str]
    ) -> Iterator[Result]:
        """Play every fault on every engine."""
        for fault in faults:
            for engine in engines:
                yield self.play_one(fault, engine)

    def play_one(self, fault: str, engine: str) -> Result:
        """Play one fault on one engine."""
        act = ACTS[fault]
        return self.play_strike(
            fault, engine, act.play or self.play, act.strike, act.rounding
        )

    def play_strike(
        self,
        fault: str,
        engine: str,
        play: Play,
        strike: Callable[[Stage], Strike],
        rounding: float = 0.0,
    ) -> Result:
        """Strike a run, run again, and compare."""
        expected = self.undisturbed(play)
        started = time.monotonic()
        stage = self._stage(fault, engine, play)
        n_before = 0
        try:
            found = strike(stage)
            n_before = len(stage.noted("begin"))
            stage.order()
            stage.finish(stage.start())
            broken = [*found.broken, *differences(stage, expected, rounding)]
        except (TimeoutError, OSError) as error:
            found = Strike(n=1, how="as said")
            broken = [f"{type(error).__name__}: {error}"]
        begun = stage.noted("begin")
        result = Result.of(fault, engine, replace(found, broken=broken))
        return replace(
            result,
            seconds=round(time.monotonic() - started, 1),
            lost=len(set(begun[n_before:]) & found.whole),
            recomputed=len(begun) - len(set(begun)),
        ).checked()

    def _stage(self, fault: str, engine: str, play: Play) -> Stage:
        cluster = self.cluster if engine == "ray" else None
        name = fault.replace(" ", "-")
        return Stage(self.home, name, play, engine, cluster=cluster, seeds=self.seeds)


def differences(
    stage: Stage, expected: list[dict[str, Any]], rounding: float = 0.0
) -> list[str]:
    """Compare the final rows with those of the undisturbed run.

    Args:
        stage: Whose last run it was.
        expected: The undisturbed rows.
        rounding: How far numbers may differ; 0 asks for the same bits.
    """
    found = stage.rows()
    broken = []
    if not stage.summary()["complete"]:
        broken.append("the run after it is not complete")
    pairs = zip(found, expected, strict=False)
    n_other = sum(not _agree(a, b, rounding) for a, b in pairs)
    if n_other or len(found) != len(expected):
        n_lacking = len(expected) - len(found)
        broken.append(
            f"{n_other} of {len(expected)} rows differ, {n_lacking} are lacking"
        )
    return broken


def _agree(one: Any, other: Any, rounding: float) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _agree(one[k], other[k], rounding) for k in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            _agree(a, b, rounding) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= rounding
    return bool(one == other)
