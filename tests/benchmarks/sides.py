"""Two ways to the same answers, timed side by side, and the row that tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from probes.engine.matmul_peak import products

Work = Callable[[], Any]
SHORT = 0.05
"""Seconds that a work is repeated for: either side's first call after the other's finds
nothing of its own in the cache, and a millisecond is then half waiting."""
SIDE = 2048  # of the matrices whose product is the machine's peak
ROUNDING = {"float32": 1e-5, "float64": 1e-10, "float32, pretrained": 1e-3}
"""How far log-probabilities and predictions of two right ways may differ. Pretrained
models have large activations, and training adds up the rounding of its steps."""


def _operations_of_packed(
    x: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any
) -> int:
    return 2 * int(x[-1]) * prod(out_shape)


def _operations_of_attention(
    query: Sequence[int],
    key: Sequence[int],
    _value: Sequence[int],
    _dropout: float = 0.0,
    is_causal: bool = False,
    **_: Any,
) -> int:
    """Count two products; of a causal one only the pairs that see each other."""
    n_asking, n_tokens = query[-2], key[-2]
    pairs = n_asking * (n_asking + 1) // 2 if is_causal else n_asking * n_tokens
    return 4 * prod(query[:-2]) * pairs * query[-1]


def _operations_of_attention_back(
    _gradient: Sequence[int],
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    _found: Sequence[int],
    _mass: Sequence[int],
    dropout: float,
    is_causal: bool,
    **_: Any,
) -> int:
    """Count five: scores once more, and a gradient for each factor of both products."""
    return 5 * _operations_of_attention(query, key, value, dropout, is_causal) // 2


def _operations_of_sum(
    _moved: Sequence[int], left: Sequence[int], right: Sequence[int], **_: Any
) -> int:
    return 2 * prod(left) * right[-1]


COUNTED = {
    torch.ops.aten.addmm_: _operations_of_sum,
    torch.ops.aten.baddbmm_: _operations_of_sum,
    torch.ops.mkldnn._linear_pointwise: _operations_of_packed,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        _operations_of_attention
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        _operations_of_attention_back
    ),
}
"""What torch's counter does not know of."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        work: What was done.
        peer: By whom else; empty where nobody else does it.
        ratio: The peer's median seconds over ours; None without a peer.
        share_of_peak: Our floating-point operations a second over this machine's best
            in a large matrix product with as many threads, measured right before and
            after; None if not counted.
        wanted: What was asked for, in words.
        met: Whether it was reached.
        threads: Threads of both.
        agreement: The largest difference between the two answers.
        seconds: Our median.
        peer_seconds: The peer's median.
        rounds: Repetitions, interleaved; ours comes once more at their end.
    """

    work: str
    peer: str = ""
    ratio: float | None = None
    share_of_peak: float | None = None
    wanted: str = ""
    met: bool | None = None
    threads: int = 1
    agreement: float | None = None
    seconds: float
    peer_seconds: float | None = None
    rounds: int = 1


@dataclass
class Table:
    """The rows of this run."""

    rows: list[Row] = field(default_factory=list)
    peaks: dict[int, float] = field(default_factory=dict)
    flops: dict[str, int] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take in a row."""
        self.rows.append(row)

    def plain(self) -> list[dict[str, Any]]:
        """Write the rows as JSON values."""
        return [asdict(row) for row in self.rows]

    def lines(self) -> list[str]:
        """Write the rows for a terminal."""
        head = f"{'work':<58}{'peer':<24}{'thr':>4}{'ours s':>9}{'ratio':>8}"
        lines = [f"{head}{'peak':>6}  {'wanted':<22}agreement"]
        for r in self.rows:
            ratio = "" if r.ratio is None else f"{r.ratio:.1f}×"
            share = "" if r.share_of_peak is None else f"{r.share_of_peak:.0%}"
            met = {True: "met", False: "NOT MET", None: ""}[r.met]
            agreed = "" if r.agreement is None else f"{r.agreement:.1e}"
            lines.append(
                f"{r.work:<58}{r.peer:<24}{r.threads:>4}{r.seconds:>9.3f}{ratio:>8}"
                f"{share:>6}  {(r.wanted + ' ' + met).strip():<22}{agreed}"
            )
        return lines

    def compare(
        self,
        work: str,
        ours: Work,
        *,
        threads: int,
        peer: tuple[str, Work] | None = None,
        wanted: float | None = None,
        share_wanted: float | None = None,
        rounds: int = 3,
        dtype: str = "float32",
        counted: bool = True,
        part: tuple[int, int] = (1, 1),
    ) -> Row:
        """Time both in turn, check that they answer alike, and take the row in.

        Args:
            work: What is done.
            ours: Our way; gives its answers as an array.
            threads: Threads of both.
            peer: The other's name and way; gives the same answers.
            wanted: The ratio to reach.
            share_wanted: The share of the peak to reach.
            rounds: Repetitions.
            dtype: In which numbers; decides how closely answers must agree.
            counted: Whether torch does the work and its operations can be counted.
            part: So many of so many equal parts of the work, the first ones, are done
                by the peer, and its time is multiplied; the row's peer says so.
        """
        torch.set_num_threads(1)  # the counter sees the thread that it is in
        flops = self._flops(work, ours) if counted else None
        torch.set_num_threads(threads)
        peak = self._peak(threads)
        both = [_timed(w) for _ in range(rounds) for w in _sides(ours, peer)]
        mine, theirs = both[:: 1 + bool(peer)], both[1::2] if peer else []
        if peer:
            mine.append(_timed(ours))
        seconds = median(taken for taken, _ in mine)
        peak = max(peak, self._peak(threads))
        share = None if flops is None else flops / seconds / peak
        gap, ratio, peer_seconds = None, None, None
        if peer:
            said = np.asarray(theirs[0][1])
            ours_said = np.asarray(mine[0][1])
            assert len(said) * part[1] == len(ours_said) * part[0]
            gap = float(np.abs(ours_said[: len(said)] - said).max())
            assert gap <= ROUNDING[dtype], f"{work}: the answers differ by {gap:.2g}"
            peer_seconds = median(taken for taken, _ in theirs) * part[1] / part[0]
            ratio = peer_seconds / seconds
        asked = [
            (f"≥ {wanted or 0:g}×", ratio, wanted),
            (f"≥ {share_wanted or 0:.0%} of peak", share, share_wanted),
        ]
        asked = [(text, got, least) for text, got, least in asked if least is not None]
        row = Row(
            work=work, peer=_named(peer[0] if peer else "", part), ratio=ratio,
            share_of_peak=share, wanted=", ".join(text for text, _, _ in asked),
            met=all(got is not None and got >= least for _, got, least in asked)
            if asked else None,
            threads=threads, agreement=gap, seconds=seconds,
            peer_seconds=peer_seconds, rounds=rounds,
        )  # fmt: skip
        self.add(row)
        return row

    def _flops(self, work: str, ours: Work) -> int:
        """Count operations once for a work, whatever the threads."""
        if work not in self.flops:
            with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
                ours()
            self.flops[work] = int(counter.get_total_flops())
        return self.flops[work]

    def _peak(self, threads: int) -> float:
        """Measure a large matrix product, in FLOP/s; the run's best is kept as well."""
        ways = products(SIDE, "cpu", "float32") * 3
        found = 2 * SIDE**3 / min(_timed(way)[0] for way in ways)
        self.peaks[threads] = max(found, self.peaks.get(threads, 0.0))
        return found


def _sides(ours: Work, peer: tuple[str, Work] | None) -> list[Work]:
    return [ours] if peer is None else [ours, peer[1]]


def _timed(work: Work) -> tuple[float, Any]:
    """Time a work; a short one is repeated, and its mean is given, as timeit does."""
    began, n = time.perf_counter(), 0
    while n == 0 or time.perf_counter() - began < SHORT:
        answers = work()
        n += 1
    return (time.perf_counter() - began) / n, answers


def _named(peer: str, part: tuple[int, int]) -> str:
    return peer if part == (1, 1) else f"{peer}, {part[0]}/{part[1]}"
