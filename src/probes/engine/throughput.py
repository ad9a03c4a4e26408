"""How fast observations were made, beside the most that the device can do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from probes.engine.store import Store


def achieved(store: Store, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Sum up, by kind of observation and model, how fast observations were made.

    Args:
        store: Where they are.
        keys: Which; those whose operations nobody counts are left out.

    Returns:
        For each kind its ``work``, ``model``, number of ``observations``, ``seconds``,
        ``flop_per_s`` and ``share_of_peak``, the slowest first.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for key in keys:
        facts = store.facts(key)
        if {"flops", "peak", "own_seconds", "kind"} <= facts.keys():
            work, model, *_ = str(facts["kind"]).split("|")
            found[work, model].append(facts)
    told = [_summed(*kind, of) for kind, of in found.items()]
    return sorted(told, key=lambda line: -line["seconds"])


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
