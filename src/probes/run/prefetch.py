"""Measure the plan of a run before anything is judged: ``--engine`` and ``--shard``."""

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
from probes.errors import EngineError, ProbesError
from probes.observations.request import Request
from probes.run.session import Run


@dataclass(kw_only=True)
class PrefetchCounts:
    """How many observations of the plan were measured.

    Attributes:
        stored: Number that were in the store before.
        measured: Number that were measured now.
        failed: For each of the others, its key and why it could not be measured.
    """

    stored: int = 0
    measured: int = 0
    failed: list[str] = field(default_factory=list)


class InProcessEngine:
    """The engine of ``--shard`` without ``--engine``: this process."""

    def __init__(self, observer: TimeLimitedObserver) -> None:
        self.observer = observer

    def measure(self, requests: Sequence[Request]) -> Iterator[RequestResult]:
        """Measure every request once, one after the other."""
        for request in in_plan_order(requests):
            error = None
            try:
                self.observer.observe(request)
            except ProbesError as fault:
                error = type(fault).__name__, str(fault)
            yield RequestResult(key=request.key, error=error)

    def close(self) -> None:
        """Keep the loaded models for the tests."""


class Prefetch:
    """Measures the plan of a run, or a shard of it, on an engine.

    Args:
        run: The run; its observer receives the observations.
        warn: Called with each line of warning.

    Attributes:
        plan: The requests of the plan, or of the shard.
        counts: How many of them were measured.

    Raises:
        ProbesError: The shard cannot be read.
    """

    def __init__(self, run: Run, warn: Callable[[str], None]) -> None:
        self.run, self.warn, self.counts = run, warn, PrefetchCounts()
        self._warned: set[str] = set()
        self._done: set[str] = set()
        self._engine: Engine | None = None
        plan = list(run.planned.values())
        shard = run.option.shard
        self.plan = shard_of(plan, *parse_shard(shard)) if shard else plan

    def measure(self, keys: Collection[str]) -> None:
        """Measure the requests of the plan with certain keys, unless they are stored.

        Args:
            keys: The keys; keys that the plan does not have are ignored.

        Raises:
            ProbesError: The engine cannot be started.
        """
        asked = [r for r in self.plan if r.key in keys and r.key not in self._done]
        self._done |= {request.key for request in asked}
        store = self.run.observer.store
        missing = [request for request in asked if request.key not in store]
        self.counts.stored += len(asked) - len(missing)
        sendable = [request for request in missing if self._can_send(request)]
        if sendable:
            for result in self._started_engine().measure(sendable):
                self._receive(result)

    def lines(self) -> list[str]:
        """Say how many observations were measured, and why others were not."""
        counts = self.counts
        return [
            f"Part {self.run.option.shard} of the plan: {counts.measured} observations "
            f"measured, {counts.stored} stored before, {len(counts.failed)} failed. "
            f"Nothing was judged.",
            *counts.failed,
        ]

    def close(self) -> None:
        """End the workers, which frees their memory before the tests are judged."""
        if self._engine is not None:
            self._engine.close()

    def _started_engine(self) -> Engine:
        if self._engine is None:
            self._engine = start_engine(self.run)
        return self._engine

    def _can_send(self, request: Request) -> bool:
        """Say whether workers can get a request; if not, its test measures it."""
        if self.run.option.engine is None:
            return True
        try:
            return request_from_json(request_to_json(request)) == request
        except EngineError as error:
            self._warn_once(str(error))
            return False

    def _receive(self, result: RequestResult) -> None:
        observer = self.run.observer
        for key, data in result.entries:
            observation = decode_observation(data, key)
            observer.keep_in_memory(observation)
            observer.store.put(observation)
        for note in result.notes:
            self._warn_once(note)
        if result.error is None:
            self.counts.measured += 1
        else:
            self.counts.failed.append(f"{result.key}: {result.error[1]}")
        if (fault := result.probes_error) is not None:
            observer.mark_failed(result.key, fault)
        work = {"measured": result.measured, "reused": result.reused}
        self.run.add(None, {**work, "forward": result.n_forward})

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.warn(text)


def start_engine(run: Run) -> Engine:
    """Start the engine that ``--engine`` names, or use this process.

    Raises:
        ProbesError: There is no such engine, or it does not start.
    """
    if run.option.engine is None:
        return InProcessEngine(run.observer)
    choice, device = parse_engine(run.option.engine), run.grid.settings.device
    settings = WorkerSettings.of_this_process(
        store=run.paths.store,
        marker=run.status_folder,
        seconds=run.option.time_limit,
    )
    run.status_folder.mkdir(parents=True, exist_ok=True)
    if choice.name == "ray":
        return _on_ray(choice, run, settings)
    return LocalPool(
        choice.n_workers or run.auto_workers,
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
