"""What a model's architecture cannot answer is known before the model is loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probes.cards import Checkpoint
from probes.learners import (
    Activations,
    Base,
    GradientLearner,
    InContext,
    LayerCausal,
    PositionFree,
    RandomUpdate,
    RankOnePatch,
    RepresentationNeighbours,
    TaskVector,
    WeightStatistics,
)
from probes.models.untrained import untrained_model
from probes.observations.model_needs import why_unanswerable
from tests.support.tiny_models import HMM, ask
from tests.support.zoo import ZOO, loaded

W_V = GradientLearner(rate=0.1, passes=1, weights="W_V@middle")
ALL = GradientLearner(rate=0.1, passes=1)
LEARNERS: dict[str, Any] = {
    "icl": InContext(),
    "base": Base(),
    "gd": ALL,
    "W_V": W_V,
    "W_V moved randomly": RandomUpdate(matched_to=W_V),
    "lora": replace(W_V, weights="lora@all"),
    "activations": Activations(of=ALL),
    "activations of W_V": Activations(of=W_V),
    "neighbours": RepresentationNeighbours(),
    "weights": WeightStatistics(),
    "position-free": PositionFree(),
    "patch": RankOnePatch(),
    "task vector": TaskVector(),
    "layer-causal": LayerCausal(rate=0.1, passes=1),
}
ATTENTION = {"activations", "activations of W_V", "neighbours"}
MATRICES = {"W_V", "W_V moved randomly", "lora", "activations of W_V", "weights"}
UNDESCRIBED = {*ATTENTION, *MATRICES, "patch", "task vector", "layer-causal"}
REFUSED = {
    "llama": set[str](),
    "gpt2": set[str](),
    "gptj": {"patch"},
    "gpt_neox_sequential": set[str](),
    "bloom": {"position-free"},
    "falcon_alibi": {"position-free"},
    "mixtral": {"patch"},
    "deepseek_v3": {*MATRICES, "patch"},
    "mamba": {*ATTENTION, *MATRICES, "patch", "position-free"},
    "xglm": UNDESCRIBED,
}


def card(name: str, folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    config = loaded(name).model.config.to_dict()
    (folder / "config.json").write_text(json.dumps(config))
    return replace(HMM, name=name, weights=Checkpoint(location=str(folder)))


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_architecture_has_not_is_not_asked(name: str, tmp_path: Path) -> None:
    model = card(name, tmp_path / name)
    for original in (model, untrained_model(model)):
        reasons = {
            learner: why_unanswerable(ask(asked, model=original))
            for learner, asked in LEARNERS.items()
        }
        assert {learner for learner, why in reasons.items() if why} == REFUSED[name]


def test_a_wrapper_is_judged_by_its_part_about_text(tmp_path: Path) -> None:
    assert ZOO["gemma3"][1]["text_config"]
    model = card("gemma3", tmp_path / "gemma3")
    assert not any(why_unanswerable(ask(a, model=model)) for a in LEARNERS.values())


def test_a_folder_that_cannot_be_read_is_left_to_its_own_cells(tmp_path: Path) -> None:
    nowhere = replace(HMM, weights=Checkpoint(location=str(tmp_path / "nowhere")))
    assert why_unanswerable(ask(RankOnePatch(), model=nowhere)) == ""
