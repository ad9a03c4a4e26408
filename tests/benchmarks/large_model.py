"""What a large model costs here, in one call: wall time, peak memory, share of peak.

Run ``python -m tests.benchmarks.large_model`` from the root, on a machine with a GPU:
``llama_7b_untrained`` in bfloat16. ``--model llama_7b --data-dir FOLDER`` takes the
trained weights and real rows. On a CPU, ``--model untrained_llama --device cpu --dtype
float32 --queries 8 --orders 2 --sets 2 --steps 4`` shows that the way works.

Each kind of work is a line: ICL after every order, whole-model GD at every rate, W_V of
four layers, and the default text matrix. Every observation goes through the learners
that claims use, with an empty store. FLOPs are counted by torch while the work runs,
but not those of the matrix, which is a process of its own; the peak is the rate of one
large matrix product on the same device. The lines are written to
``reports/benchmarks/large_model.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import fixtures.datasets
import fixtures.models  # noqa: F401 - fills the registry
from probes.engine.observer import Observer
from probes.engine.peak import matmul_peak
from probes.engine.store import Store
from probes.grid import dataset_named, model_named
from probes.learners import GradientLearner, InContext
from probes.request import Request
from probes.tasks import Settings
from tests.benchmarks.sides import COUNTED

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "reports" / "benchmarks" / "large_model.json"
RATES = (1e-3, 3e-3, 1e-2, 3e-2)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(name: str, work: Callable[[], int], settings: Settings) -> dict[str, Any]:
    """Do some work and tell its time, FLOPs and peak memory."""
    device = torch.device(settings.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
        answers = work()
        _wait(device)
    seconds = time.perf_counter() - began
    peak = matmul_peak(settings.device, settings.dtype)
    flops = counter.get_total_flops()
    gpu = device.type == "cuda"
    return {
        "work": name,
        "answers": answers,
        "seconds": round(seconds, 2),
        "flops": flops or None,
        "matmul_peak": peak,
        "share_of_peak": round(flops / seconds / peak, 4) if flops else None,
        "peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
        if gpu
        else None,
    }


def works(
    given: argparse.Namespace, settings: Settings
) -> Iterator[tuple[str, Callable[[], int]]]:
    """List the kinds of work, each a call that tells how many queries were answered."""
    observer = Observer(Store(Path(tempfile.mkdtemp(prefix="probes-"))))
    model = model_named(given.model)
    datasets = [dataset_named(name) for name in given.datasets.split(",")]

    def ask(learner: Any, orders: int) -> int:
        answered = 0
        for dataset in datasets:
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

    def loaded() -> int:
        observer.pool.get(model, settings)
        return 0

    gd = GradientLearner(rates=RATES, passes=(given.steps,))
    yield "load", loaded
    yield f"ICL, {given.orders} orders", lambda: ask(InContext(), given.orders)
    yield f"GD, {given.steps} steps, {len(RATES)} rates", lambda: ask(gd, 1)
    for place in ("first", "middle", "deep", "last"):
        submodel = GradientLearner(
            rates=RATES, passes=(given.steps,), weights=f"W_V@{place}"
        )
        yield f"GD of W_V@{place}", lambda learner=submodel: ask(learner, 1)
    yield "the default text matrix", lambda: matrix(given, settings)


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
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULT)
    numbers = {"demos": 8, "sets": 1, "queries": 100, "orders": 10, "steps": 200}
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
    lines = []
    for name, work in works(given, settings):
        found = measure(name, work, settings)
        lines.append({"device": named, "model": given.model, **found})
        print(json.dumps(lines[-1]), flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
