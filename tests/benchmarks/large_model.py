"""What a large model costs here, in one call: wall time, peak memory, share of peak.

Run ``python -m tests.benchmarks.large_model`` from the root, on a machine with a GPU:
``llama_7b_untrained`` in bfloat16. ``--model llama_7b`` takes the trained weights, and
``--datasets sst2,agnews,rte,mr --data-dir FOLDER --sets 1 --queries 200`` real rows.
On a CPU, ``--model untrained_llama --device cpu --dtype float32 --queries 8 --orders 2
--steps 4`` shows that the way works.

Each kind of work is a line: a pass over long prompts, ICL after every order on every
dataset, GD of the whole model and of W_V of four layers on the first dataset, and the
default text matrix. GD has one rate; its search would not be the same work twice. Every
observation goes through the learners that claims use, with an empty store. FLOPs are
counted by torch in two short runs before, of one and of two orders or steps, because
counting slows a GPU down; what is timed is as many times their difference more. Those
of the matrix, which is a process of its own, are not counted. The peak is the rate of
one large matrix product on the same device. A work that fails is a line that says why.
The lines are written to ``reports/benchmarks/large_model.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from probes.cell import Settings
from probes.engine.matmul_peak import matmul_peak
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import GradientLearner, InContext
from probes.models.model_cache import ModelCache
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from tests.benchmarks.sides import COUNTED

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "reports" / "benchmarks" / "large_model.json"
RATE = 3e-3
KINDS = ("prefill", "icl", "gd", "submodels", "matrix")
LONG = 512
"""Tokens of a prompt in a pass over long prompts, of which there are 64."""


@dataclass(frozen=True)
class Work:
    """A kind of work.

    Attributes:
        name: In words.
        times: How many orders, steps or passes it has.
        do: Does so many of them; tells how many queries were answered.
        is_counted: Whether torch sees its operations.
    """

    name: str
    times: int
    do: Callable[[int], int]
    is_counted: bool = True


def measure(work: Work, settings: Settings) -> dict[str, Any]:
    """Do some work and tell its time, FLOPs and peak memory, or why it failed."""
    device = torch.device(settings.device)
    gpu = device.type == "cuda"
    try:
        flops = _operations(work) if work.is_counted else None
        peak = matmul_peak(settings.device, settings.dtype)
        if gpu:
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        began = time.perf_counter()
        answers = work.do(work.times)
        if gpu:
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - began
    except Exception:  # the works after it are worth their time
        return {"work": work.name, "error": traceback.format_exc()[-2000:]}
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if gpu else None
    return {
        "work": work.name,
        "answers": answers,
        "seconds": round(seconds, 2),
        "flops": flops,
        "matmul_peak": peak,
        "share_of_peak": None if flops is None else round(flops / seconds / peak, 4),
        "peak_gib": None if memory is None else round(memory, 2),
    }


def _operations(work: Work) -> int:
    """Count the operations of one and of two, and thereby those of all."""
    counts = []
    for times in (1, 2):
        with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
            work.do(times)
        counts.append(int(counter.get_total_flops()))
    return counts[0] + (work.times - 1) * (counts[1] - counts[0])


def works(given: argparse.Namespace, settings: Settings) -> Iterator[Work]:
    """List the kinds of work."""
    models, model = ModelCache(), model_named(given.model)
    datasets = [dataset_named(name) for name in given.datasets.split(",")]

    def ask(learner: Any, *, orders: int, first: int = len(datasets)) -> int:
        observer = Observer(
            Store(Path(tempfile.mkdtemp(prefix="probes-"))), models=models
        )
        answered = 0
        for dataset in datasets[:first]:
            for order in range(orders):
                request = Request(
                    learner=learner,
                    model=model,
                    dataset=dataset,
                    n_demonstrations=given.demos,
                    settings=settings,
                    order=order,
                )
                answered += observer.observe(request)["gold"].size
        return answered

    def load(_: int) -> int:
        models.get(model, settings)
        return 0

    def prefill(times: int) -> int:
        loaded = models.get(model, settings)
        n = min(LONG, loaded.context)
        drawn = np.random.default_rng(0).integers(0, 256, (64 * times, n))
        return len(loaded.next_token_log_probs(drawn.tolist()))

    def train(weights: str) -> Callable[[int], int]:
        def do(steps: int) -> int:
            learner = GradientLearner(rate=RATE, passes=steps, weights=weights)
            return ask(learner, orders=1, first=1)

        return do

    kinds = given.kinds.split(",")
    yield Work("load", 1, load, is_counted=False)
    if "prefill" in kinds:
        yield Work(f"a pass over prompts of {LONG} tokens", 4, prefill)
    if "icl" in kinds:
        yield Work(
            f"ICL on {len(datasets)} datasets, {given.orders} orders",
            given.orders,
            lambda orders: ask(InContext(), orders=orders),
        )
    trained = f"{given.steps} steps"
    if "gd" in kinds:
        yield Work(f"GD, {trained}", given.steps, train("all"))
    if "submodels" in kinds:
        for place in ("last", "deep", "middle", "first"):
            name = f"GD of W_V@{place}, {trained}"
            yield Work(name, given.steps, train(f"W_V@{place}"))
    if "matrix" in kinds:
        yield Work(
            "the default text matrix",
            1,
            lambda _: matrix(given, settings),
            is_counted=False,
        )


def matrix(given: argparse.Namespace, settings: Settings) -> int:
    """Run every text claim on the model as a user does, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "--models": given.model,
            "--datasets": given.datasets,
            "--demos": str(given.demos),
            "--device": settings.device,
            "--dtype": settings.dtype,
            "--store": f"{folder}/store",
            "--reports": f"{folder}/reports",
            **({"--data-dir": given.data_dir} if given.data_dir else {}),
        }
        flat = [part for pair in options.items() for part in pair]
        command = [sys.executable, "-m", "pytest", "claims/", "-q", "--raw", *flat]
        subprocess.run(command, cwd=ROOT, check=False)  # 1 where a claim is refuted
        run = json.loads(Path(folder, "reports", "run.json").read_text("utf-8"))
    return int(run["cells"])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model", default="llama_7b_untrained")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--datasets", default="opinions,headlines,inferences")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULT)
    numbers = {"demos": 8, "sets": 2, "queries": 100, "orders": 10, "steps": 200}
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def main() -> None:
    """Do every kind of work and write what it took."""
    given = parse()
    settings = Settings(
        n_sets=given.sets,
        n_queries=given.queries,
        device=given.device,
        dtype=given.dtype,
        data_dir=given.data_dir,
    )
    device = torch.device(given.device)
    gpu = device.type == "cuda"
    named = torch.cuda.get_device_name(device) if gpu else platform.machine()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    lines = []
    for work in works(given, settings):
        found = measure(work, settings)
        lines.append(
            {"versions": versions, "device": named, "model": given.model, **found}
        )
        print(json.dumps(lines[-1]), flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
