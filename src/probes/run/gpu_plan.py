"""How long a plan takes on one GPU and on eight, and the memory that it needs.

The speed is that of one H200, on which LLaMA-7B's architecture was timed
(reports/benchmarks/README.md). Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import cache

from probes.cell import Settings
from probes.engine.cost_model import cost_of, width_of
from probes.engine.machine_speed import MachineSpeed
from probes.engine.progress import duration
from probes.engine.request_sizes import ModelSize, model_size_of
from probes.learners import GradientLearner
from probes.models.runtime.bytes_per_weight import GIB, bytes_per_weight
from probes.observations.learner_cost import NeedsOthers
from probes.observations.request import Request
from probes.observations.shared_work import work_of
from probes.run.plan import Estimator, missing_by_model

N_GPUS = (1, 8)
LEAST_PARAMETERS = 10**9
"""Parameters from which a model is planned for GPUs, whatever the run's device."""
PEAKS = {"bfloat16": 7.2e14, "float16": 7.2e14, "float32": 6.7e13, "float64": 6.7e13}
"""FLOP/s of an H200: bfloat16 as measured there; others from the data sheet, where
float16 is like bfloat16."""
BANDWIDTH = 4.8e12
"""Bytes/s of an H200's memory, from the data sheet."""
SHARE = 0.2
"""The share of the peak that GD of all weights reached there, which takes most of the
time. ICL and sub-models reached .33 to .38."""


def h200(dtype: str) -> MachineSpeed:
    """Give the speed of one H200 in a precision."""
    return MachineSpeed(peak=PEAKS[dtype], bandwidth=BANDWIDTH, share=SHARE)


def gpu_lines(
    requests: Iterable[Request], estimator: Estimator, settings: Settings
) -> list[str]:
    """Say how long the large models take on GPUs, and what memory a GPU needs.

    Args:
        requests: What cells ask for.
        estimator: Knows what is stored and what is needed besides.
        settings: Of the run. If its device is a GPU, every text model counts as large.
    """
    on_gpu = settings.device != "cpu"
    large: dict[str, Request] = {}
    sizes: dict[str, ModelSize] = {}
    for name, missing in missing_by_model(requests, estimator).items():
        model = next(iter(missing.values())).model
        size = model_size_of(model) if model.answers_text else None
        if size is not None and (on_gpu or size.total >= LEAST_PARAMETERS):
            large |= missing
            sizes[name] = size
    if not large:
        return []
    largest = max(sizes.values(), key=lambda size: size.total)
    names = ", ".join(sorted(sizes))
    return [
        f"On H200 GPUs in {settings.dtype}, a worker on each: {names} together take "
        f"{_times(large, estimator, h200(settings.dtype))}.",
        f"Each GPU needs {_memory(large, largest, settings)}.",
    ]


def _times(
    missing: Mapping[str, Request], estimator: Estimator, speed: MachineSpeed
) -> str:
    """Estimate the time on each number of GPUs.

    GPUs share a plan by its pieces: an observation, or several of one training. So the
    time is never less than that of the longest chain of pieces, each of which needs the
    one before, as training needs the choice of its rate.
    """
    pieces: dict[Hashable, list[Request]] = {}
    for request in missing.values():
        pieces.setdefault(_piece_of(request), []).append(request)
    seconds = {p: speed.seconds(cost_of(own).foreseen) for p, own in pieces.items()}
    total, longest = sum(seconds.values()), 0.0

    @cache
    def chain(piece: Hashable) -> float:
        before = {
            _piece_of(missing[key])
            for request in pieces[piece]
            if isinstance(request.learner, NeedsOthers)
            for other in request.learner.needed(request)
            if (key := estimator.key_of(other) or "") in missing
        }
        return seconds[piece] + max(map(chain, before - {piece}), default=0.0)

    longest = max(map(chain, pieces))
    times = [f"{duration(max(total / n, longest))} on {n}" for n in N_GPUS]
    return f"about {', '.join(times)} (the longest chain takes {duration(longest)})"


def _piece_of(request: Request) -> Hashable:
    return work_of(request) or request


def _memory(missing: Mapping[str, Request], size: ModelSize, settings: Settings) -> str:
    """Say what memory a GPU needs, without activations."""
    width = width_of(settings)
    needs = [f"{size.total * width / GIB:.0f} GiB for the model"]
    for optimizer in ("gd", "adam"):
        if any(_trains_all(request, optimizer) for request in missing.values()):
            each = bytes_per_weight(width, optimizer)
            held = size.total * each + 2 * size.head * width
            needs.append(f"{held / GIB:.0f} to train all weights by {optimizer}")
    return f"{', '.join(needs)}, and memory for activations"


def _trains_all(request: Request, optimizer: str) -> bool:
    learner = request.learner
    return (
        isinstance(learner, GradientLearner)
        and learner.weights == "all"
        and learner.optimizer == optimizer
    )
