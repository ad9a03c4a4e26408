"""Untrained models that keep their embeddings and norms, and the floors they give."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from probes_fixtures.activations import (
    correcting_without_learning,
    inside_gd_unrelated_text,
    without_learning,
)
from probes_fixtures.observations import arms, gd_unrelated_text
from probes_fixtures.relabelled import (
    relabelled_arms,
    untrained_but_embeddings_relabelled,
)
from probes_fixtures.untrained_but_embeddings import (
    inside_untrained_but_embeddings,
    notes_left_out_arm,
    untrained_but_embeddings,
)
from probes_fixtures.variants import gradient_learner

from probes.cards import Checkpoint, ModelCard
from probes.cell import Cell, Settings
from probes.learners import Activations
from probes.models.causal_lm.loading import embeddings_and_norms, load_causal_lm
from probes.models.untrained import embeddings_are_known, untrained_model
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.negative_controls import UNTRAINED, UNTRAINED_BUT_EMBEDDINGS
from tests.support.described_models import (
    CONTEXT,
    DESCRIBED,
    VOCABULARY,
    WITHOUT_SCALES,
    described,
)
from tests.support.tiny_models import HMM, SETTINGS

RANDOM_BUT_EMBEDDINGS = "untrained_but_embeddings:hmm_llama"


def cell(model: ModelCard = HMM, variant: str | None = None) -> Cell:
    return Cell(
        model=model,
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=Settings(),
        variant=variant,
    )


def weights(card: ModelCard) -> dict[str, torch.Tensor]:
    return dict(load_causal_lm(card, SETTINGS).model.named_parameters())


def test_embeddings_and_norms_are_the_trained_ones_and_no_other_matrix_is() -> None:
    trained = weights(HMM)
    untrained = weights(untrained_model(HMM, keeps="embeddings_and_norms"))
    assert untrained.keys() == trained.keys()
    alike = {name for name in trained if torch.equal(trained[name], untrained[name])}
    kept = ("norm.weight", "embed_tokens.weight", "lm_head.weight")
    assert alike == {name for name in trained if name.endswith(kept)}
    assert len(alike) < len(trained) / 2


def test_the_rest_is_as_random_as_in_the_untrained_network() -> None:
    untrained, bare = (
        weights(untrained_model(HMM, keeps=keeps))
        for keeps in ("embeddings_and_norms", "nothing")
    )
    name = "model.layers.1.mlp.up_proj.weight"
    assert torch.equal(untrained[name], bare[name])
    assert not torch.equal(untrained["model.norm.weight"], bare["model.norm.weight"])


@pytest.mark.parametrize("kind", DESCRIBED)
def test_shapes_agree_on_what_a_described_architecture_keeps(kind: str) -> None:
    model = described(kind)
    kept = {id(p) for p in embeddings_and_norms(model).values()}
    scales = {n.removesuffix(".weight") for n, p in named(model) if is_scale(n, p)}
    assert bool(scales) == (kind not in WITHOUT_SCALES)
    for name, parameter in named(model):
        spans = {VOCABULARY, CONTEXT, CONTEXT + 2} & set(parameter.shape)
        is_norm = name.rpartition(".")[0] in scales
        assert (id(parameter) in kept) == (bool(spans) or is_norm), name


def named(model: Any) -> list[tuple[str, torch.Tensor]]:
    """List a model's parameters without those that read images."""
    return [
        (name, p)
        for name, p in model.named_parameters()
        if "vision_tower" not in name and "multi_modal" not in name
    ]


def is_scale(name: str, parameter: torch.Tensor) -> bool:
    """Say whether a weight is a vector, as those of norms alone are."""
    return name.endswith(".weight") and parameter.dim() == 1


def test_an_unknown_architecture_has_no_such_arm_and_the_row_says_so(
    tmp_path: Any,
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "novel"}')
    novel = replace(HMM, name="novel", weights=Checkpoint(location=str(tmp_path)))
    nowhere = replace(HMM, weights=Checkpoint(location=str(tmp_path / "nowhere")))
    for model in (novel, nowhere, untrained_model(HMM)):
        assert not embeddings_are_known(model)
        for recipe in (untrained_but_embeddings, inside_untrained_but_embeddings):
            assert recipe.recipe(cell(model)) == []
        assert untrained_but_embeddings_relabelled.recipe(cell(model, "flipped")) == []
    said: list[str] = []
    inspect.unwrap(notes_left_out_arm)(cell(novel), SimpleNamespace(record=said.append))
    assert said == [
        f"{UNTRAINED_BUT_EMBEDDINGS} is left out: which weights of novel these are is "
        f"not known"
    ]


def test_a_known_architecture_has_the_arm_and_says_nothing() -> None:
    inspect.unwrap(notes_left_out_arm)(cell(), SimpleNamespace())
    assert embeddings_are_known(HMM)
    assert embeddings_are_known(model_named(RANDOM_BUT_EMBEDDINGS))
    for recipe in (untrained_but_embeddings, inside_untrained_but_embeddings):
        (asked,) = recipe.recipe(cell(variant="adam"))
        assert list(asked) == ["icl", "gd", "base"]
        for request in asked.values():
            assert request.model == model_named(RANDOM_BUT_EMBEDDINGS)


def test_arms_share_their_observations() -> None:
    (answers,), (inside,) = (
        recipe.recipe(cell())
        for recipe in (untrained_but_embeddings, inside_untrained_but_embeddings)
    )
    (changed,) = untrained_but_embeddings_relabelled.recipe(cell(variant="flipped"))
    assert inside["gd"].learner.of == answers["gd"].learner
    assert changed["gd"][0].key == answers["gd"].key
    assert changed["icl"][0].key == answers["icl"].key


# ------------------------------------------------------------ which floor is which


ICL_GD_BASE = ("icl", "gd", "base")


def answered(name: str) -> Observation:
    """Answer 40 queries, all wrongly if it is the model alone, else all rightly."""
    right = [0.1, 0.9] if name.endswith("base") else [0.9, 0.1]
    arrays = {
        "log_probs": np.log(np.tile(right, (1, 40, 1))),
        "gold": np.zeros((1, 40), dtype=np.int64),
    }
    return Observation(arrays=arrays, facts={"label_tokens": [0, 1], "name": name})


def given(name: str) -> Any:
    """Make an observation for a fixture's argument of a name."""
    parts = {part: answered(f"{name} {part}") for part in ICL_GD_BASE}
    if "untrained_but_embeddings" in name:
        return [parts]
    return parts if name == "inside_untrained" else answered(name)


def names_in(fixture: Any) -> dict[str, list[str]]:
    """Name the observations that a fixture makes arms of."""
    function = inspect.unwrap(fixture)
    found = function(**{n: given(n) for n in inspect.signature(function).parameters})
    return {arm: [o.facts["name"] for o in parts] for arm, parts in found.items()}


def test_the_floors_of_answers_are_pairs_of_icl_and_what_learned_nothing() -> None:
    assert names_in(arms) == {
        "the model that learned nothing": ["icl", "base"],
        "a random update of the same size": ["icl", "random_update"],
        UNTRAINED: ["untrained_icl", "untrained_gd"],
        UNTRAINED_BUT_EMBEDDINGS: [
            "untrained_but_embeddings icl",
            "untrained_but_embeddings gd",
        ],
    }


def test_the_floors_of_updates_are_icl_a_learner_and_their_own_base() -> None:
    def inside(learner: str) -> list[str]:
        return ["inside_icl", f"inside_{learner}", "inside_base"]

    assert names_in(without_learning) == {
        "a random update of the same size": inside("random_update"),
        "GD on shuffled labels": inside("gd_shuffled_labels"),
        "GD on unrelated text": inside("gd_unrelated_text"),
        UNTRAINED: [f"inside_untrained {part}" for part in ICL_GD_BASE],
        UNTRAINED_BUT_EMBEDDINGS: [
            f"inside_untrained_but_embeddings {part}" for part in ICL_GD_BASE
        ],
    }


def test_the_floors_of_corrections_are_icl_a_learner_and_their_own_base() -> None:
    assert names_in(correcting_without_learning) == {
        "a random update of the same size": ["icl", "random_update", "base"],
        "GD on shuffled labels": ["icl", "gd_shuffled_labels", "base"],
        "GD on unrelated text": ["icl", "gd_unrelated_text", "base"],
        UNTRAINED: ["untrained_icl", "untrained_gd", "untrained_base"],
        UNTRAINED_BUT_EMBEDDINGS: [
            f"untrained_but_embeddings {part}" for part in ICL_GD_BASE
        ],
    }


def test_the_floors_of_changed_labels_are_changes_of_icl_and_of_gd() -> None:
    function = inspect.unwrap(relabelled_arms)
    parameters = inspect.signature(function).parameters
    kept = [{"icl": "pair of icl", "gd": "pair of gd"}]
    found = function(
        **{n: n for n in parameters} | {"untrained_but_embeddings_relabelled": kept}
    )
    assert found == {
        "the model that learned nothing": ("icl_relabelled", ("base", "base")),
        UNTRAINED: ("untrained_icl_relabelled", "untrained_gd_relabelled"),
        UNTRAINED_BUT_EMBEDDINGS: ("pair of icl", "pair of gd"),
    }


def test_unrelated_text_is_what_its_floor_is_trained_on() -> None:
    answers, inside = (
        recipe.recipe(cell(variant="adam"))
        for recipe in (gd_unrelated_text, inside_gd_unrelated_text)
    )
    assert (answers.wording, answers.labels, answers.model) == (
        "unrelated",
        "gold",
        HMM,
    )
    assert inside == replace(answers, learner=Activations(of=answers.learner))
    assert answers.learner == gradient_learner(cell(variant="adam"))
