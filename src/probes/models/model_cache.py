"""Loaded models, kept while they are used: one load for each model and process."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import Protocol, cast

import torch

from probes.cards import ModelCard
from probes.cell import Settings
from probes.models.loaders import loader_of

ROOM = 2 << 30  # bytes that models may share; a larger one is kept alone
SMALL = 16 << 20
"""Bytes of weights: a smaller model computes with one thread, whatever is asked, so
that its answers are the same to the last bit. Two threads answer on 1 to 6 MiB of
weights 1.2 to 1.8 times as fast, on 26 MiB 1.6 to 1.9 times (see
``run_in_threads``)."""


class Loaded(Protocol):
    """A network in memory, as far as the cache needs to know it."""

    n_forward: int


class ModelPool:
    """Keeps the models used last, as many as fit.

    Attributes:
        n_loads: Models loaded so far.
    """

    def __init__(self) -> None:
        self.n_loads = 0
        self._threads = torch.get_num_threads()
        self._gone = 0
        self._models: OrderedDict[tuple[ModelCard, str, str], Loaded] = OrderedDict()

    @property
    def n_forward(self) -> int:
        """Forward passes of all models so far, also of those given back."""
        return self._gone + sum(model.n_forward for model in self._models.values())

    def get(self, card: ModelCard, settings: Settings) -> Loaded:
        """Return the loaded model, loading it if it is not at hand.

        Raises:
            ModelError: It cannot be loaded.
        """
        key = (card, settings.device, settings.dtype)
        if key not in self._models:
            self.n_loads += 1
            self._make_room(card)
            self._models[key] = self._load(card, settings)
        self._models.move_to_end(key)
        model = self._models[key]
        small = getattr(model, "n_weight_bytes", 0) < SMALL
        torch.set_num_threads(1 if small else self._threads)
        return model

    def _load(self, card: ModelCard, settings: Settings) -> Loaded:
        module, function = loader_of(card)
        load = getattr(importlib.import_module(module), function)
        return cast(Loaded, load(card, settings))

    def _make_room(self, card: ModelCard) -> None:
        held = {key: getattr(m, "n_bytes", 0) for key, m in self._models.items()}
        largest = max(held.values(), default=0)
        while self._models and (
            len(self._models) >= 8 or sum(held.values()) + largest > ROOM
        ):
            key, model = self._models.popitem(last=False)
            self._gone += model.n_forward
            del held[key]
            largest = max(held.values(), default=0)
