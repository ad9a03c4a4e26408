"""Measure the plan of a run before anything is judged, on an engine or in shards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from probes.engine.engine_choice import EngineChoice, parse_engine, parse_shard
from probes.engine.local_pool import LocalPool
from probes.engine.observation_file import decode_observation
from probes.engine.protocol import Engine, RequestResult
from probes.engine.request_json import request_from_json, request_to_json
from probes.engine.time_limit import TimeLimitedObserver
from probes.engine.work_queue import in_plan_order, shard_of
from probes.engine.worker import WorkerSettings
from probes.engine.worker_resources import count_workers
from probes.errors import EngineError, ProbesError
from probes.observations.request import Request
from probes.run.session import Run


@dataclass(kw_only=True)
class Tally:
    """What became of the observations that were asked for.

    Attributes:
        stored: There before.
        measured: Measured now.
        failed: Why others could not be.
    """

    stored: int = 0
    measured: int = 0
    failed: list[str] = field(default_factory=list)


class InProcess:
    """The engine of a shard without ``--engine``: this process, one at a time."""

    def __init__(self, observer: TimeLimitedObserver) -> None:
        self.observer = observer

    def measure(self, requests: Sequence[Request]) -> Iterator[RequestResult]:
        """Measure every request once."""
        for request in in_plan_order(requests):
            error = None
            try:
                self.observer.observe(request)
            except ProbesError as fault:
                error = type(fault).__name__, str(fault)
            yield RequestResult(key=request.key, error=error)

    def close(self) -> None:
        """Leave what is loaded for the tests."""


class Measuring:
    """Takes a run's plan through an engine.

    Args:
        run: The run, whose observer then holds what was found.
        tell: Called with each line of warning.

    Raises:
        ProbesError: The engine cannot be started.
    """

    def __init__(self, run: Run, tell: Callable[[str], None]) -> None:
        self.run, self.tell, self.tally = run, tell, Tally()
        self._told: set[str] = set()
        self._done: set[str] = set()
        self._engine: Engine | None = None
        plan = list(run.planned.values())
        shard = run.option.shard
        self.plan = shard_of(plan, *parse_shard(shard)) if shard else plan

    def measure(self, keys: Collection[str]) -> None:
        """Measure those of the plan whose keys are asked for and that nobody has.

        Raises:
            EngineError: The engine cannot start its workers.
        """
        asked = [r for r in self.plan if r.key in keys and r.key not in self._done]
        self._done |= {request.key for request in asked}
        store = self.run.observer.store
        missing = [request for request in asked if request.key not in store]
        self.tally.stored += len(asked) - len(missing)
        sendable = [request for request in missing if self._can_send(request)]
        if sendable:
            for result in self._started().measure(sendable):
                self._take(result)

    def lines(self) -> list[str]:
        """Say what was measured, and why the rest was not."""
        tally = self.tally
        return [
            f"Part {self.run.option.shard} of the plan: {tally.measured} observations "
            f"measured, {tally.stored} there before, {len(tally.failed)} failed. "
            f"Nothing was judged.",
            *tally.failed,
        ]

    def close(self) -> None:
        """End the workers, so that what they hold is free when tests are judged."""
        if self._engine is not None:
            self._engine.close()

    def _started(self) -> Engine:
        if self._engine is None:
            self._engine = started(self.run)
        return self._engine

    def _can_send(self, request: Request) -> bool:
        """Say whether workers can be told of a request; else its test measures it."""
        if self.run.option.engine is None:
            return True
        try:
            return request_from_json(request_to_json(request)) == request
        except EngineError as error:
            self._warn(str(error))
            return False

    def _take(self, result: RequestResult) -> None:
        observer = self.run.observer
        for key, data in result.entries:
            observation = decode_observation(data, key)
            observer.keep_in_memory(observation)
            observer.store.put(observation)
        for note in result.notes:
            self._warn(note)
        if result.error is None:
            self.tally.measured += 1
        else:
            self.tally.failed.append(f"{result.key}: {result.error[1]}")
        if (fault := result.probes_error) is not None:
            observer.mark_failed(result.key, fault)
        work = {"measured": result.measured, "reused": result.reused}
        self.run.take(None, {**work, "forward": result.n_forward})

    def _warn(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.tell(text)


def started(run: Run) -> Engine:
    """Start the engine that a run asked for.

    Raises:
        ProbesError: There is no such engine, or it does not start.
    """
    if run.option.engine is None:
        return InProcess(run.observer)
    choice, device = parse_engine(run.option.engine), run.grid.settings.device
    settings = WorkerSettings.of_this_process(
        store=run.places.store,
        marker=run.status_folder,
        seconds=run.option.time_limit,
    )
    run.status_folder.mkdir(parents=True, exist_ok=True)
    if choice.name == "ray":
        return _on_ray(choice, run, settings)
    return LocalPool(
        choice.n_workers or count_workers(device),
        settings=settings,
        logs=run.status_folder,
        device=device,
        announce=run.status.announce,
    )


def _on_ray(choice: EngineChoice, run: Run, settings: WorkerSettings) -> Engine:
    from probes.engine.ray_cluster import RayCluster

    device = run.grid.settings.device
    return RayCluster(
        choice.address, settings=settings, device=device, announce=run.status.announce
    )
