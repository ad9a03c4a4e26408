"""The peak is measured on large matrices, unless these would take long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from probes.engine import matmul_peak as module

measure = module.matmul_peak.__wrapped__


@pytest.mark.parametrize(
    ("seconds", "sides"), [(0.0, [256, 1024]), (2 * module.SLOW, [256])]
)
def test_large_products_are_made_only_if_small_ones_are_fast(
    seconds: float, sides: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def products(side: int, device: str, dtype: str) -> list[Callable[[], Any]]:
        made.append(side)
        return [lambda: _work(seconds)]

    monkeypatch.setattr(module, "products", products)
    monkeypatch.setattr(module, "ROUNDS", 2)
    peak = measure("cpu", "bfloat16")
    assert made == sides
    if seconds:
        assert peak <= torch.get_num_threads() * 2 * sides[-1] ** 3 / seconds


def _work(seconds: float) -> None:
    """Keep this thread's processor busy."""
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def test_time_in_which_other_work_runs_does_not_lower_the_peak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def products(side: int, *_: Any) -> list[Callable[[], Any]]:
        return [lambda: time.sleep(3 * module.SLOW)]  # as if it were not its turn

    monkeypatch.setattr(module, "products", products)
    monkeypatch.setattr(module, "ROUNDS", 2)
    assert measure("cpu", "float32") > 2 * module.SIDES["cpu"] ** 3 / module.SLOW


def test_pytorch_has_its_threads_back_afterwards() -> None:
    before = torch.get_num_threads()
    measure("cpu", "float32")
    assert torch.get_num_threads() == before


def test_a_large_product_is_tried_only_if_it_takes_less_than_half_a_second() -> None:
    assert module.SLOW * module.SMALL**3 < 0.5  # a bfloat16 product may take 2.5 s


def test_no_product_is_repeated_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(module, "products", lambda *_: [lambda: made.append(1)] * 2)
    measure("cpu", "bfloat16")
    assert len(made) == 2 * 2 * module.ROUNDS  # small and large, two ways
    monkeypatch.setattr(module, "LONG", 0.0)
    measure("cpu", "bfloat16")
    assert len(made) == 2 * 2 * module.ROUNDS + 2
