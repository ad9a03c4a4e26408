"""Sparsity, noise and drift of weights: known answers, and formulas that must hold."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from probes_fixtures.weights import (
    DISTURBANCES,
    checkpoints_of,
    drawn_apart,
    untrained_icl_disturbed,
    untrained_icl_drawn_twice,
)

from claims.test_weights import test_icl_survives_training_drift as drift_claim
from claims.test_weights import test_robust_to_weight_change as robustness_claim
from probes.cards import Checkpoint, ModelCard
from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import OptionError, ShapeError
from probes.learners import Drift, InContext, NoisyWeights, WeightStatistics
from probes.measures import (
    constructed_sparsity,
    gaussian_hoyer,
    gaussian_sparsity,
    hoyer,
    participating,
    prediction_distance,
    product_sparsity,
    sparsities,
    sparsity,
    weight_drift,
)
from probes.measures.weight_sparsity import layer_sparsity
from probes.models import attention_weights as m
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.regression.softmax_attention import SoftmaxAttention, SoftmaxShape
from probes.models.untrained import untrained_model
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.results.detail_shapes import LAYER_SPARSITY
from probes.run.grid import MODELS, dataset_named
from probes.verdicts.judge import Judge
from probes.verdicts.negative_controls import UNTRAINED
from tests.support.tiny_models import HMM, SETTINGS, ask, tiny

FAMOUS = ((0, 0.343), (1, 0.035), (2, 0.0035))  # CLAIMS: Gaussian of σ = .0225


@pytest.fixture
def observer(tmp_path: Path) -> Observer:
    return Observer(Store(tmp_path / "store"))


def normal(scale: float, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


# ------------------------------------------------------------ known answers


@pytest.mark.parametrize(("place", "share"), FAMOUS)
def test_a_gaussian_has_the_shares_that_llama_has(place: int, share: float) -> None:
    found = float(m.shares_below(normal(0.0225, 1, 2000, 2000))[place])
    assert found == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize(("place", "share"), FAMOUS)
def test_the_gaussian_of_a_scale_needs_no_draw(place: int, share: float) -> None:
    facts = {"thresholds": list(m.THRESHOLDS), "d_model": 4}
    read = Observation(arrays={"sizes": np.full((2, 5), 0.0225)}, facts=facts)
    found = gaussian_sparsity(read, below=m.THRESHOLDS[place])
    assert found.mean == pytest.approx(share, rel=0.02)
    assert found.values.shape == (2, 3)


def test_a_construction_of_width_4096_is_nearly_all_zeros() -> None:
    width = 4096
    keys = torch.zeros(1, width, width)
    keys[0, range(1024), range(1024)] = 1  # tokens of 1024 inputs
    assert float(m.shares_below(keys)[-1]) == pytest.approx(0.99994, abs=5e-6)
    values = torch.zeros(1, width, width)
    values[0, 2048:, :2048] = 1  # a dense W_0, as many answers as inputs
    values[0, range(2048, 4096), range(2048, 4096)] = -1
    share = float(m.shares_below(values)[-1])
    assert share == pytest.approx(0.75, abs=2e-4)
    read = Observation(arrays={"shares": np.zeros((3, 5, 5))}, facts={"d_model": width})
    found = constructed_sparsity(read).values[0]
    assert found == pytest.approx([1 - 1 / 8192, 1 - 1 / 8192, share])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_scale_free_sparsity_of_a_gaussian_is_known_at_any_scale(scale: float) -> None:
    drawn = normal(scale, 2, 700, 700)
    wanted = 1 - np.sqrt(2 / np.pi)
    assert float(m.hoyer_sparsity(drawn)) == pytest.approx(wanted, abs=0.002)
    assert float(m.participation(drawn)) == pytest.approx(1 / 3, abs=0.003)


def test_scale_free_sparsity_knows_its_extremes() -> None:
    one = torch.zeros(1, 10, 10)
    one[0, 3, 4] = -2.0
    flat = torch.full((1, 10, 10), -0.1)
    assert float(m.hoyer_sparsity(one)) == pytest.approx(1)
    assert float(m.hoyer_sparsity(flat)) == pytest.approx(0, abs=1e-6)
    assert float(m.participation(one)) == pytest.approx(0.01)
    assert float(m.participation(flat)) == pytest.approx(1)
    assert float(m.hoyer_sparsity(0 * one)) == float(m.participation(0 * one)) == 0


def test_signs_do_not_count() -> None:
    drawn = normal(0.02, 1, 50, 50)
    for measure in (m.hoyer_sparsity, m.participation, m.typical_size):
        assert float(measure(drawn)) == pytest.approx(float(measure(drawn.abs())))
    assert torch.equal(m.shares_below(drawn), m.shares_below(-drawn))


def test_the_layers_of_a_row_hold_each_matrix_in_the_shape_of_rows() -> None:
    shares = np.arange(2 * 5 * 5).reshape(2, 5, 5) / 50
    read = Observation(
        arrays={"shares": shares, "hoyer": shares[:, :, 1]},
        facts={"matrices": list(m.MATRICES), "thresholds": list(m.THRESHOLDS)},
    )
    found = layer_sparsity(read)
    assert found["shares"] == {"W_Q": [0, 0.5], "W_K": [0.1, 0.6], "W_V": [0.2, 0.7]}
    assert found["hoyer"]["W_V"] == [0.22, 0.72]
    assert found["below"] == 0.01
    assert LAYER_SPARSITY.fits(json.loads(json.dumps(found)))


# ------------------------------------------------------------ which matrices are read


@pytest.mark.parametrize("kind", ["tied", "grouped_queries"])
def test_products_are_what_attention_computes(kind: str) -> None:
    model = tiny(kind).double()
    attention = model.model.layers[1].self_attn
    *_, layer = m.attention_matrices(CausalLM(model, None))
    x, y = normal(1.0, 2, 32).float()
    groups = 4 // model.config.num_key_value_heads
    q = attention.q_proj.float()(x).view(4, 8)
    k = attention.k_proj.float()(y).view(-1, 8).repeat_interleave(groups, 0)
    wanted = (q * k).sum(-1)  # before rotary positions
    torch.testing.assert_close(torch.einsum("a,hab,b->h", y, layer[3], x), wanted)
    v = attention.v_proj.float()(y).view(-1, 8).repeat_interleave(groups, 0)
    shares = [
        attention.o_proj.float().weight[:, 8 * h : 8 * h + 8] @ v[h] for h in range(4)
    ]
    torch.testing.assert_close(layer[4] @ y, torch.stack(shares))


def test_products_of_a_softmax_regression_network_are_its_attention() -> None:
    torch.manual_seed(0)
    shape = SoftmaxShape(
        n_inputs=3, n_layers=2, n_heads=2, d_model=8, n_demonstrations=4
    )
    network = SoftmaxAttention(shape).double()
    torch.nn.init.zeros_(network.blocks[1].queries_keys_values.bias)
    torch.nn.init.zeros_(network.blocks[1].into_stream.bias)
    *_, layer = m.attention_matrices(network)
    assert [tuple(W.shape) for W in layer] == [(1, 8, 8)] * 3 + [(2, 8, 8)] * 2
    block, x = network.blocks[1], normal(1.0, 2, 8)
    q, k, v = block.queries_keys_values(x).view(2, 3, 2, 4).unbind(1)  # (token, …)
    wanted = (q[0] * k[1]).sum(-1)
    found = torch.einsum("a,hab,b->h", x[1], layer[3], x[0])
    torch.testing.assert_close(found, wanted)
    carried = block.into_stream(v[1].flatten())
    torch.testing.assert_close((layer[4] @ x[1]).sum(0), carried)


def regression(learner: Any, name: str) -> Request:
    return Request(
        learner=learner,
        model=MODELS.get(name),
        dataset=dataset_named("linear"),
        n_demonstrations=10,
        settings=SETTINGS,
    )


def test_a_constructed_network_is_sparse_and_its_zeros_are_counted(
    observer: Observer,
) -> None:
    found = observer.observe(regression(WeightStatistics(), "constructed_gd_4"))
    zeros = sparsity(found, below=1e-6).values
    assert zeros == pytest.approx(np.tile([1 - 10 / 121] * 2 + [1 - 1 / 121], (4, 1)))
    # W_V is smaller than δ = .01 all over: shares know its scale, Hoyer's does not
    assert sparsity(found).minus(gaussian_sparsity(found)).values[0, 2] < 0.03
    excess = hoyer(found).minus(gaussian_hoyer(found)).values
    keys, values = (11 - np.sqrt(10)) / 10, 1.0
    wanted = np.array([keys, keys, values]) - 0.2021
    assert excess == pytest.approx(np.tile(wanted, (4, 1)), abs=1e-4)
    assert product_sparsity(found).values.shape == (4, 2)
    assert [s.mean for s in sparsities(found)] == pytest.approx([zeros.mean()] * 5)


def test_the_softmax_transformer_has_matrices_in_every_layer(
    observer: Observer,
) -> None:
    request = regression(WeightStatistics(), "learned_softmax")
    found = observer.observe(replace(request, dataset=dataset_named("linear_5")))
    assert hoyer(found).values.shape == gaussian_hoyer(found).values.shape == (8, 3)
    assert product_sparsity(found).values.shape == (8, 2)


def test_an_untrained_llama_is_a_gaussian(observer: Observer) -> None:
    model = MODELS.get("untrained_llama")
    request = replace(ask(WeightStatistics()), model=model)
    found = observer.observe(request)
    excess = sparsity(found).minus(gaussian_sparsity(found))
    error = np.sqrt(0.383 * 0.617 / 160**2)  # of the share in one 160 × 160 Gaussian
    assert np.abs(excess.values).max() < 4 * error
    assert abs(excess.mean) < 4 * error / np.sqrt(excess.values.size)
    assert hoyer(found).mean == pytest.approx(0.202, abs=0.005)
    assert participating(found).mean == pytest.approx(1 / 3, abs=0.005)


def test_a_threshold_that_was_not_read_is_refused(observer: Observer) -> None:
    found = observer.observe(ask(WeightStatistics()))
    with pytest.raises(ShapeError, match=r"below 0\.5 was not read"):
        sparsity(found, below=0.5)


# ------------------------------------------------------------ noise


def test_no_noise_is_icl(observer: Observer) -> None:
    still, icl = (
        observer.observe(ask(x)) for x in (NoisyWeights(noise=0.0), InContext())
    )
    np.testing.assert_allclose(still["log_probs"], icl["log_probs"], atol=1e-5)
    for name in ("constructed_gd_1", "constructed_newton_4"):
        pair = [
            observer.observe(regression(x, name))
            for x in (NoisyWeights(noise=0.0), InContext())
        ]
        assert prediction_distance(*pair).values.max() < 1e-12


def test_noise_is_relative_to_the_weights_and_new_for_every_set(
    observer: Observer,
) -> None:
    learner = NoisyWeights(noise=0.1)
    context = observer.context(ask(learner))
    model = context.model.model
    first, second = (learner._noisy(model, context, index) for index in (0, 1))
    for name, weight in model.named_parameters():
        size = weight.square().mean().sqrt()
        noise = (first[name] - weight).square().mean().sqrt() / size
        assert float(noise) == pytest.approx(0.1, rel=0.35)  # norms have 64 entries
        assert not torch.equal(first[name], second[name])


def test_constructions_break_in_proportion_to_the_noise(observer: Observer) -> None:
    icl, small, large = (
        observer.observe(regression(x, "constructed_gd_1"))
        for x in (InContext(), NoisyWeights(noise=1e-4), NoisyWeights(noise=1e-3))
    )
    ratio = prediction_distance(icl, large).mean / prediction_distance(icl, small).mean
    assert ratio == pytest.approx(10, rel=0.05)


def test_disturbed_weights_are_given_back(observer: Observer) -> None:
    before = observer.observe(ask(InContext()))["log_probs"]
    observer.observe(ask(NoisyWeights(noise=1.0)))
    again = Observer(Store(observer.store.folder.parent / "other"))
    again._models = observer.models
    np.testing.assert_array_equal(again.observe(ask(InContext()))["log_probs"], before)


@pytest.mark.parametrize("by", [-0.1, float("nan"), float("inf")])
def test_noise_must_be_a_size(by: float) -> None:
    with pytest.raises(OptionError, match="relative to their size"):
        NoisyWeights(noise=by)


# ------------------------------------------------------------ drift


def saved(folder: Path, seed: int) -> Checkpoint:
    """Save a tiny Llama that reads the shipped symbols, with random weights."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    source = Path(HMM.weights.location)  # type: ignore[union-attr]
    config = LlamaConfig(**json.loads((source / "config.json").read_text()))
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for path in source.glob("tokenizer*"):
        shutil.copy(path, folder)
    return Checkpoint(location=str(folder))


@pytest.fixture
def series(tmp_path: Path) -> ModelCard:
    first, last = (saved(tmp_path / f"step_{i}", i) for i in (1, 2))
    return replace(HMM, name="series", weights=last, checkpoints=(first,))


def test_drift_is_the_distance_over_the_size_of_the_earlier(
    observer: Observer, series: ModelCard
) -> None:
    first, last = checkpoints_of(series)
    assert (first.weights, last) == (series.checkpoints[0], series)
    forth = observer.observe(ask(Drift(since=first), model=last))
    still = observer.observe(ask(Drift(since=first), model=first))
    weights = [
        torch.cat(
            [
                p.detach().flatten().double()
                for p in observer.models.get(card, SETTINGS).model.parameters()
            ]
        )
        for card in (first, last)
    ]
    wanted = float((weights[1] - weights[0]).norm() / weights[0].norm())
    assert weight_drift(forth).mean == pytest.approx(wanted)
    assert weight_drift(still).mean == 0


def test_other_architectures_have_no_distance(
    observer: Observer, series: ModelCard
) -> None:
    other = MODELS.get("untrained_llama")
    with pytest.raises(OptionError, match="checkpoints of one training"):
        observer.observe(ask(Drift(since=other)))


@pytest.mark.parametrize(("first", "verdict"), [(0.5, "refuted"), (1.0, "supported")])
def test_a_series_is_judged_from_its_first_state_to_its_last(
    observer: Observer, series: ModelCard, first: float, verdict: str
) -> None:
    cards = checkpoints_of(series)
    drifts = {c.name: ask(Drift(since=cards[0]), model=c) for c in cards}
    drifted = {name: observer.observe(request) for name, request in drifts.items()}
    sizes = [weight_drift(o).mean for o in drifted.values()]
    assert sizes[0] == 0 < sizes[1]
    answered = {c.name: right(p) for c, p in zip(cards, (first, 1.0), strict=True)}
    judge = Judge(drift_claim.claim, cell(series))
    apart = drifted[series.name]
    drift_claim(answered, drifted, [right(0.0), right(0.5)], apart, judge)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict


def cell(model: ModelCard = HMM) -> Cell:
    return Cell(
        model=model,
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SETTINGS,
    )


# ------------------------------------------------------------ the untrained arms


@pytest.mark.parametrize(("drawn_anew", "is_alike"), [(0.0, True), (1.0, False)])
def test_accuracy_that_never_learned_stays_the_same_too_and_is_reported(
    drawn_anew: float, is_alike: bool
) -> None:
    judge = Judge(drift_claim.claim, cell())
    apart = Observation(arrays={"drift": np.array([[1.4]])})
    icl = {"first": right(0.5), "last": right(0.75)}
    drift_claim(icl, {"last": apart}, [right(0.0), right(drawn_anew)], apart, judge)
    assert (f"{UNTRAINED} scores" in judge.note) == is_alike
    shown = {e.name: e.value for e in judge.secondary_effects}
    assert shown[f"label accuracy: {UNTRAINED}, drawn anew"] == drawn_anew
    assert shown[f"label accuracy difference: {UNTRAINED}"] == drawn_anew
    assert shown[f"relative distance of parameters: {UNTRAINED}, drawn anew"] == 1.4


@pytest.mark.parametrize(("left", "is_alike"), [(0.75, True), (0.25, False)])
def test_robustness_of_what_never_learned_is_reported(
    left: float, is_alike: bool
) -> None:
    judge = Judge(robustness_claim.claim, cell())
    trained, untrained = ({"noise 0.1": right(x)} for x in (0.5, left))
    robustness_claim(right(0.75), trained, right(0.75), untrained, judge)
    assert (f"{UNTRAINED} scores" in judge.note) == is_alike
    shown = {e.name: e.value for e in judge.secondary_effects}
    assert shown[f"label accuracy difference: {UNTRAINED}"] == 0.75 - left


def test_the_untrained_network_is_disturbed_as_the_trained_one_is() -> None:
    asked = untrained_icl_disturbed.recipe(cell())
    assert [r.learner.noise for r in asked.values()] == list(DISTURBANCES)
    assert {r.model for r in asked.values()} == {untrained_model(HMM)}


def test_random_weights_drawn_twice_are_further_apart_than_checkpoints(
    observer: Observer,
) -> None:
    first, second = untrained_icl_drawn_twice.recipe(cell())
    apart = drawn_apart.recipe(cell())
    assert (apart.model, apart.learner.since) == (second.model, first.model)
    assert first.model == untrained_model(HMM)
    last = checkpoints_of(HMM)
    drifted = observer.observe(ask(Drift(since=last[0]), model=last[-1]))
    found = weight_drift(observer.observe(apart)).mean
    assert found > weight_drift(drifted).mean
    answers = [observer.observe(request)["log_probs"] for request in (first, second)]
    assert not np.array_equal(*answers)


def right(share: float) -> Observation:
    """Answers that are right for a share of the queries of each of five sets."""
    wrong = np.arange(40) >= 40 * share
    log_probs = np.log(np.where(wrong[:, None] == [0, 1], 0.9, 0.1))
    return Observation(
        arrays={
            "log_probs": np.tile(log_probs, (5, 1, 1)),
            "gold": np.zeros((5, 40), dtype=int),
        },
        facts={"label_tokens": [0, 1]},
    )


def test_weights_do_not_depend_on_queries(observer: Observer) -> None:
    few = Settings(n_sets=3, n_queries=2, n_calibration=6)
    a, b = (observer.observe(ask(WeightStatistics(), s)) for s in (SETTINGS, few))
    np.testing.assert_array_equal(a["shares"], b["shares"])
