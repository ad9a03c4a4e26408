"""Loaded models, kept while they are used: one load per model and process."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import Protocol, cast

import torch

from probes.cards import ModelCard
from probes.cell import Settings
from probes.models.loaders import loader_path

MOST_MODELS = 8
SHARED_BYTES = 2 << 30
"""Several models are kept if they fit into this; a larger model is kept alone."""
ONE_THREAD_BYTES = 16 << 20
"""A model with fewer bytes of weights computes with one thread, however many are
allowed, so that its answers are the same to the last bit. Two threads are 1.2 to 1.8
times as fast on 1 to 6 MiB of weights, and 1.6 to 1.9 times on 26 MiB (see
``models.runtime.thread_pool``)."""


class LoadedModel(Protocol):
    """A model in memory, as far as the cache needs to know it."""

    n_forward: int


class ModelCache:
    """Keeps the models that were used last, as many as fit.

    Attributes:
        n_loads: Models loaded so far.
    """

    def __init__(self) -> None:
        self.n_loads = 0
        self._threads = torch.get_num_threads()
        self._n_forward_of_dropped = 0
        self._models: OrderedDict[tuple[ModelCard, str, str], LoadedModel]
        self._models = OrderedDict()

    @property
    def n_forward(self) -> int:
        """Forward passes of all models so far, dropped ones included."""
        kept = sum(model.n_forward for model in self._models.values())
        return self._n_forward_of_dropped + kept

    def get(self, card: ModelCard, settings: Settings) -> LoadedModel:
        """Return the loaded model; load it if the cache does not hold it.

        Raises:
            ModelError: The model cannot be loaded.
        """
        key = (card, settings.device, settings.dtype)
        if key not in self._models:
            self.n_loads += 1
            self._make_room()
            self._models[key] = self._load(card, settings)
        self._models.move_to_end(key)
        model = self._models[key]
        is_small = getattr(model, "n_weight_bytes", 0) < ONE_THREAD_BYTES
        torch.set_num_threads(1 if is_small else self._threads)
        return model

    def _load(self, card: ModelCard, settings: Settings) -> LoadedModel:
        module, function = loader_path(card)
        load = getattr(importlib.import_module(module), function)
        return cast(LoadedModel, load(card, settings))

    def _make_room(self) -> None:
        """Drop the models used longest ago, until one as large as any would fit."""
        sizes = {key: getattr(m, "n_bytes", 0) for key, m in self._models.items()}
        while self._models and (
            len(self._models) >= MOST_MODELS
            or sum(sizes.values()) + max(sizes.values()) > SHARED_BYTES
        ):
            key, model = self._models.popitem(last=False)
            self._n_forward_of_dropped += model.n_forward
            del sizes[key]
