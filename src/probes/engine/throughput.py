"""How fast observations were made, and what share of the device's peak that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from probes.engine.store import Store


def measured_throughput(store: Store, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Sum up the speed of observations, by kind of observation and model.

    Args:
        store: Where the observations are.
        keys: Their keys. Observations whose FLOPs are not counted are left out.

    Returns:
        For each kind its ``work``, ``model``, number of ``observations``, ``seconds``,
        ``flop_per_s`` and ``share_of_peak``; the kind that took longest comes first.
    """
    by_kind: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for key in keys:
        facts = store.facts(key)
        if {"flops", "peak", "own_seconds", "kind"} <= facts.keys():
            work, model, *_ = str(facts["kind"]).split("|")
            by_kind[work, model].append(facts)
    lines = [_summed(*kind, of) for kind, of in by_kind.items()]
    return sorted(lines, key=lambda line: -line["seconds"])


def _summed(work: str, model: str, of: list[Mapping[str, Any]]) -> dict[str, Any]:
    flops, seconds = (
        sum(facts[name] for facts in of) for name in ("flops", "own_seconds")
    )
    most = sum(facts["peak"] * facts["own_seconds"] for facts in of)
    return {
        "work": work,
        "model": model,
        "observations": len(of),
        "seconds": round(seconds, 3),
        "flop_per_s": float(f"{flops / seconds:.3g}"),
        "share_of_peak": round(flops / most, 4),
    }
