"""LoRA takes the steps of a plain loop over its factors, and moves nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.text_tasks import draw_text
from probes.data.tokenization import verbalize
from probes.errors import OptionError
from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.training.label_batches import LabelBatches, encode_label_batches
from probes.models.training.lora import RANK, LoRA
from probes.models.training.parametrization import FullWeights
from probes.models.training.trainer import Trainer, trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.parameter_groups import parameters_of
from probes.run.grid import MODELS, dataset_named

SETTINGS = Settings(n_sets=2, n_queries=2, n_calibration=2, dtype="float64")
PLACE = "model.layers.2.self_attn"
RUNS = [TrainingRun(index=index, rate=0.5, seed=0) for index in range(2)]


def learner(**given: Any) -> GradientLearner:
    return GradientLearner(
        **{"rate": 0.5, "passes": 3, "weights": "lora@middle", **given}
    )


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(MODELS.get("hmm_llama"), SETTINGS)


def encoded(model: CausalLM) -> LabelBatches:
    rows = read_rows(dataset_named("hmm"), None)
    task = draw_text(rows, SETTINGS, n_demonstrations=2)
    labels = verbalize(model.tokenizer, task)
    return encode_label_batches(
        model, EncodedPrompts.of(model, task, labels), task.demonstrations
    )


@pytest.fixture(scope="module")
def batches(llama: CausalLM) -> LabelBatches:
    return encoded(llama)


def merged(start: Any, factors: Any) -> Any:
    return {n: p + factors[f"{n}:B"] @ factors[f"{n}:A"] for n, p in start.items()}


def plainly(
    model: CausalLM, batches: LabelBatches, trainer: Trainer, index: int
) -> Any:
    """Train A and B by autograd, through W + BA, with torch's own optimiser."""
    start = trainer.start
    factors = {
        name: value[0].clone().requires_grad_(True)
        for name, value in trainer.loop.parametrization.initial().items()
    }
    optimizer = torch.optim.SGD(factors.values(), lr=0.5)
    ids, targets = batches.ids[index], batches.targets[index][:, 0]
    for _ in range(3):
        with model.tuned(merged(start, factors)):
            logits = model.logits(ids, batches.columns)[:, -1]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, targets).backward()
        optimizer.step()
    return {name: p.detach() for name, p in merged(start, factors).items()}


def test_lora_takes_the_steps_of_a_plain_loop_over_its_factors(
    llama: CausalLM, batches: LabelBatches
) -> None:
    trainer = trainer_for(llama, learner().training, batches)
    trained = trainer.run(RUNS, 3)
    trained.require_usable()
    for index in range(2):
        wanted = plainly(llama, batches, trainer, index)
        for name, tensor in trained.of(index).items():
            np.testing.assert_allclose(tensor, wanted[name], atol=1e-10)
            assert not torch.equal(tensor, trainer.start[name])


def test_every_change_has_the_rank_of_its_factors(
    llama: CausalLM, batches: LabelBatches
) -> None:
    trainer = trainer_for(llama, learner().training, batches)
    for name, tensor in trainer.run(RUNS, 3).of(0).items():
        singular = torch.linalg.svdvals(tensor - trainer.start[name])
        assert singular[RANK] < 1e-12 < singular[0]


def test_lora_moves_the_projections_of_self_attention_and_nothing_else(
    llama: CausalLM, batches: LabelBatches
) -> None:
    trainer = trainer_for(llama, learner().training, batches)
    projections = {f"{PLACE}.{letter}_proj.weight" for letter in "qkvo"}
    assert set(trainer.run(RUNS, 1).weights) == projections
    everywhere = parameters_of(llama.model, "lora@all")
    assert len(everywhere) == 4 * llama.model.config.num_hidden_layers


def test_a_random_update_is_as_large_as_that_of_lora(
    llama: CausalLM, batches: LabelBatches
) -> None:
    trainer = trainer_for(llama, learner().training, batches)
    norms = trainer.update_norms(trainer.run(RUNS, 3).of(1))
    moved = trainer.moved_randomly(norms, seed=1)
    assert trainer.update_norms(moved) == pytest.approx(norms, rel=1e-5)


def test_a_rate_of_zero_leaves_every_projection_as_it_was(
    llama: CausalLM, batches: LabelBatches
) -> None:
    still = TrainingRun(index=0, rate=0.0, seed=0)
    trained = trainer_for(llama, learner().training, batches).run([still], 2)
    trained.require_usable()
    start = parameters_of(llama.model, "lora@middle")
    assert all(torch.equal(t, start[name]) for name, t in trained.of(0).items())


def test_changes_that_rounding_swallows_are_reported() -> None:
    narrow = replace(SETTINGS, dtype="bfloat16")
    model = load_causal_lm(MODELS.get("hmm_llama"), narrow)
    tiny, large = (TrainingRun(index=0, rate=rate, seed=0) for rate in (1e-6, 3.0))
    trainer = trainer_for(model, learner().training, encoded(model))
    assert "vanishes" in trainer.run([tiny], 2).failures[0]
    assert trainer.run([large], 2).failures == [""]


def test_only_a_sub_model_of_that_name_is_lora(
    llama: CausalLM, batches: LabelBatches
) -> None:
    lora = trainer_for(llama, learner().training, batches)
    assert isinstance(lora.loop.parametrization, LoRA)
    plain = trainer_for(llama, learner(weights="W_V@middle").training, batches)
    assert isinstance(plain.loop.parametrization, FullWeights)
    with pytest.raises(OptionError, match="lora"):
        trainer_for(llama, learner(weights="lora@nowhere").training, batches)
