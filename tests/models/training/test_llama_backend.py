"""Trajectories of training by the written-out family are those by autograd."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.autograd_backend import AutogradBackend
from probes.models.training.llama_backend import LlamaBackend
from probes.models.training.settings import TrainingSettings
from probes.models.training.trainer import Trainer, trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.stacks import Weights
from tests.support.llamas import RELATIVES, batches, built

RUNS = [TrainingRun(index=i, rate=rate, seed=0) for i in (0, 2) for rate in (0.3, 0.03)]


def trajectory_of(training: Trainer, run: TrainingRun) -> list[Weights]:
    """Give one run's weights after every pass."""
    return [
        {name: w.clone() for name, w in done.weights.items()}
        for done in islice(training.loop.walk([run]), 3)
    ]


@pytest.mark.parametrize("weights", ["all", "W_Q@middle", "W_V@deep", "norm@first"])
@pytest.mark.parametrize("kind", RELATIVES)
def test_three_passes_move_weights_as_autograd_does(
    kind: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, settings = CausalLM(built(kind), None), TrainingSettings(weights=weights)
    ours = trainer_for(model, settings, batches())
    assert isinstance(ours.backend, LlamaBackend)
    monkeypatch.setitem(model.__dict__, "fast_path", None)
    theirs = trainer_for(model, settings, batches())
    assert isinstance(theirs.backend, AutogradBackend)
    plain = [step for run in RUNS for step in trajectory_of(theirs, run)]
    fast = [step for run in RUNS for step in trajectory_of(ours, run)]
    for found, wanted in zip(fast, plain, strict=True):
        for name, weight in wanted.items():
            torch.testing.assert_close(found[name], weight, atol=1e-7, rtol=1e-7)
