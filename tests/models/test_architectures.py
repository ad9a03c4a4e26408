"""One description of an architecture is all that sub-models, hooks and floors need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from probes.cards import Checkpoint, ModelCard
from probes.cell import Settings
from probes.errors import ModelError, OptionError
from probes.models import architectures
from probes.models.architecture_description import (
    ATTENTION_MATRICES,
    PARAMETER_ROLES,
)
from probes.models.architectures import ARCHITECTURES, described_architecture
from probes.models.causal_lm.activation_patching import (
    log_probs_with,
    states_at_the_end,
)
from probes.models.causal_lm.attention_hooks import AttentionRecorder
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import FrozenLayers
from probes.models.causal_lm.hooks import Visit, hooked
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.untrained import embeddings_are_known, untrained_model
from probes.models.weights.parameter_groups import parameters_of
from probes.run.grid import model_named
from tests.support import described_models
from tests.support.described_models import DESCRIBED

KEPT = {"table.weight", "end.weight", "out.weight"}
"""Outside the layers; a layer's two norms come on top."""


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    """Save a trained model of the made-up architecture."""
    from tests.support.made_up_architecture import (
        MadeUpConfig,
        MadeUpForCausalLM,
        register,
    )

    register()
    torch.manual_seed(1)  # not the untrained model's
    weights: Any = model_named("hmm_llama").weights
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(weights.location) / name, tmp_path)
    MadeUpForCausalLM(MadeUpConfig()).save_pretrained(tmp_path)
    return ModelCard(
        name="made_up",
        kind="pretrained",
        family="text",
        summary="",
        weights=Checkpoint(location=str(tmp_path)),
    )


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Describe the made-up architecture in the table."""
    from tests.support.made_up_architecture import MADE_UP

    monkeypatch.setattr(architectures, "ARCHITECTURES", (*ARCHITECTURES, MADE_UP))


def loaded(card: ModelCard) -> CausalLM:
    return load_causal_lm(card, Settings())


def test_without_a_description_nothing_is_known(card: ModelCard) -> None:
    lm = loaded(card)
    assert not embeddings_are_known(card)
    for role in PARAMETER_ROLES:
        with pytest.raises(ModelError, match="'made_up' is not described"):
            parameters_of(lm.model, f"{role}@all")
    with pytest.raises(ModelError, match="'made_up' is not described"):
        AttentionRecorder(lm)
    with pytest.raises(ModelError, match="'made_up' is not described"):
        FrozenLayers(lm.model, 1)


@pytest.mark.usefixtures("described")
def test_a_description_makes_submodels(card: ModelCard) -> None:
    model = loaded(card).model
    at = "tower.1."
    names = {role: set(parameters_of(model, f"{role}@1")) for role in PARAMETER_ROLES}
    matrices = dict(
        zip(ATTENTION_MATRICES, ("ask", "offer", "carry", "tell"), strict=True)
    )
    for role, module in matrices.items():
        assert names[role] == {f"{at}look.{module}.weight"}
    assert names["lora"] == {
        f"{at}look.{module}.weight" for module in matrices.values()
    }
    assert names["norm"] == {f"{at}before.weight", f"{at}between.weight"}
    assert names["mlp"] == {
        f"{at}think.{module}.{part}"
        for module in ("wide", "narrow")
        for part in ("weight", "bias")
    }


@pytest.mark.usefixtures("described")
def test_a_description_makes_an_untrained_model_that_keeps_its_embeddings(
    card: ModelCard,
) -> None:
    assert embeddings_are_known(card)
    trained, bare = loaded(card), untrained_model(card, keeps="embeddings_and_norms")
    weights = dict(loaded(bare).model.named_parameters())
    alike = {n for n, p in trained.model.named_parameters() if p.equal(weights[n])}
    norms = {f"tower.{i}.{n}.weight" for i in range(3) for n in ("before", "between")}
    assert alike == KEPT | norms


@pytest.mark.usefixtures("described")
def test_a_description_makes_hooks(card: ModelCard) -> None:
    lm, prompt = loaded(card), [1, 5, 9, 2]
    block = lm.model.tower[0]
    with AttentionRecorder(lm) as recorder:
        (read,) = recorder.read([prompt])
    with torch.no_grad():
        entering = block.before(lm.model.table(torch.tensor([prompt])))
        torch.testing.assert_close(read.inputs[0], entering[0])
        torch.testing.assert_close(read.outputs[0], block.look(entering)[0][0, -1])
    states = states_at_the_end(lm, [prompt])
    patched = log_probs_with(lm, [prompt], 2, states[0, 2], form="replaced")
    np.testing.assert_allclose(patched, lm.next_token_log_probs([prompt]), atol=1e-6)
    ids = torch.tensor([prompt])
    frozen, whole = FrozenLayers(lm.model, 2), lm.model(ids).logits
    with frozen.beginning_with(frozen.record(ids)):
        assert torch.equal(lm.model(torch.zeros_like(ids)).logits, whole)
    entered: list[Visit] = []
    with hooked(lm.model, "mlp_input", entered.append, layers=[1]):
        lm.model(ids)
    assert [(visit.index, visit.tensor.shape) for visit in entered] == [(1, (1, 4, 16))]


@pytest.mark.parametrize("kind", DESCRIBED)
def test_a_description_agrees_with_the_model_that_the_library_builds(kind: str) -> None:
    model, architecture = described_models.described(kind), described_architecture(kind)
    assert architecture is not None
    names = {name for name, _ in model.named_parameters()}
    layers = architecture.layers_of(model)
    assert len(layers) == model.config.get_text_config().num_hidden_layers
    for role in PARAMETER_ROLES:
        found = [name for name in names if architecture.selects(role, name)]
        assert bool(found) == (not architecture.lacks(role)), role
    for matrix in ATTENTION_MATRICES:
        n_found = sum(architecture.selects(matrix, name) for name in names)
        assert n_found == (0 if architecture.lacks(matrix) else len(layers))
    for path in (architecture.attention, *architecture.mlp):
        if path is not None:
            assert len(architecture.modules_of(model, path)) == len(layers)


def test_no_two_descriptions_are_of_one_model_type() -> None:
    assert len(set(DESCRIBED)) == len(DESCRIBED)


def test_a_matrix_that_does_not_exist_is_named_where_a_submodel_is_refused() -> None:
    with pytest.raises(OptionError, match="its layers have no matrix W_Q"):
        parameters_of(described_models.described("deepseek_v3"), "W_Q@first")


def test_descriptions_need_no_torch() -> None:
    code = "import sys, probes.models.architectures; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
