"""Claims on updates: published numbers, hand-made cases, and what is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from probes.cell import Cell
from probes.claims import ClaimCard
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.tokenization import verbalize
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ShapeError
from probes.learners import (
    Activations,
    Base,
    GradientLearner,
    InContext,
    LayerCausal,
    RandomUpdate,
)
from probes.measurement import Measurement
from probes.measures import (
    activation_cosine,
    activation_norm_ratio,
    attention_change_cosine,
    attention_cosine,
    attention_rank_correlation,
    corrected,
    corrections_apart,
    coverage,
    coverage_elsewhere,
    normalised_update_cosine,
    update_cosine,
)
from probes.models.causal_lm.attention_hooks import AttentionRecorder
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.label_batches import encode_label_batches
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext
from probes.run.grid import dataset_named
from probes.verdicts.judge import Judge
from tests.support.activations import ARMS, three
from tests.support.gradient_receivers import collect_into
from tests.support.published import vectors
from tests.support.tiny_models import GD, HMM, SETTINGS, ask, prompts, tiny

CAUSAL = LayerCausal(rate=0.1, passes=2)


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


@pytest.fixture
def dai() -> dict[str, Any]:
    return vectors("lmops_metrics")


def answered(right: Any) -> Observation:
    """Answers among two labels, 1 where right; the right label is always the first."""
    found = np.atleast_2d(np.array(right))
    log_probs = np.log(np.where(found[..., None] == [1, 0], 0.9, 0.1))
    gold = np.zeros(found.shape, dtype=int)
    return Observation(
        arrays={"log_probs": log_probs, "gold": gold}, facts={"label_tokens": [0, 1]}
    )


def moved(outputs: Any) -> Observation:
    return Observation(arrays={"outputs": np.array(outputs, float)[None, None, None]})


# ------------------------------------------------------------ published numbers


@pytest.mark.parametrize("layer", range(3))
def test_normalised_simaou_is_that_of_both_published_codes(
    dai: dict[str, Any], layer: int
) -> None:
    found = normalised_update_cosine(*three(dai, layer)).mean
    assert found == pytest.approx(dai["lmops_SimAOU"][layer], rel=1e-5)
    assert found == pytest.approx(dai["deutch_SimAOU"][layer], rel=1e-5)


@pytest.mark.parametrize("layer", range(3))
def test_simam_is_the_published_codes(dai: dict[str, Any], layer: int) -> None:
    icl, gd, base = three(dai, layer)
    assert attention_cosine(icl, gd).mean == pytest.approx(
        dai["lmops_SimAM"][layer], rel=1e-5
    )
    assert attention_cosine(icl, base).mean == pytest.approx(
        dai["lmops_ZSL_SimAM"][layer], rel=1e-5
    )
    assert attention_change_cosine(icl, gd, base).mean == pytest.approx(
        dai["deutch_SimAM_delta"][layer], rel=1e-5
    )


def test_rec2ftp_is_the_published_codes(dai: dict[str, Any]) -> None:
    arms = [answered(dai[f"{a}_pred"] == dai[f"{a}_gold"]) for a in ARMS.values()]
    assert 100 * coverage(*arms).mean == pytest.approx(
        dai["lmops_Recall2FTP"], rel=1e-5
    )


@pytest.mark.parametrize("layer", range(3))
def test_kendall_is_the_published_codes(dai: dict[str, Any], layer: int) -> None:
    owners = np.repeat(np.arange(6), 4)[None]
    products = dai["ftzs_q"][:, layer] @ dai["train_ft_q_compact"][layer].T
    sides = [dai["train_icl_ctx_sliced"][:, layer], products]
    both = [
        Observation(
            arrays={"demonstration_scores": side[None, :, None], "owners": owners}
        )
        for side in sides
    ]
    found = attention_rank_correlation(*both).mean
    assert found == pytest.approx(dai["train_kendall_example"][layer], rel=1e-5)


# ------------------------------------------------------------ cases by hand


def test_independent_noise_scores_a_quarter_in_the_normalised_form_only() -> None:
    rng = np.random.default_rng(0)
    shape = (1, 2000, 1, 512)
    base = rng.normal(size=shape)
    icl, gd = (base + np.sqrt(3) * rng.normal(size=shape) for _ in range(2))
    arms = [Observation(arrays={"outputs": a}) for a in (icl, gd, base)]
    assert normalised_update_cosine(*arms).mean == pytest.approx(0.25, abs=0.005)
    assert update_cosine(*arms).mean == pytest.approx(0.0, abs=0.005)


def test_updates_are_compared_from_the_base_and_keep_their_sign() -> None:
    base, icl = moved([1, 1]), moved([1, 3])
    assert update_cosine(icl, moved([1, 2]), base).mean == 1
    assert update_cosine(icl, moved([1, -5]), base).mean == -1
    assert update_cosine(icl, moved([9, 1]), base).mean == 0
    assert update_cosine(icl, base, base).mean == 0  # no change has no direction


def test_activations_are_compared_with_nothing_subtracted() -> None:
    ours, theirs = moved([3, 0]), moved([1, 1])
    assert activation_cosine(ours, theirs).mean == pytest.approx(np.sqrt(0.5))
    ratio = activation_norm_ratio(ours, theirs).mean
    assert ratio == pytest.approx(np.log(np.sqrt(2) / 3))


def test_maps_are_aligned_where_the_query_ends() -> None:
    def seen(values: list[float], length: int) -> Observation:
        arrays = {
            "maps": np.array(values)[None, None, None, None],
            "query_lengths": np.array([[length]]),
        }
        return Observation(arrays=arrays)

    longer, shorter = seen([7.0, 1.0, 2.0], 3), seen([1.0, 2.0], 2)
    assert attention_cosine(longer, shorter).mean == pytest.approx(1.0)


def test_kendall_sums_a_softmax_over_each_demonstrations_tokens() -> None:
    def weighted(scores: Any, owners: Any) -> Observation:
        arrays = {
            "demonstration_scores": np.array(scores, float)[None, None, None],
            "owners": np.array([owners]),
        }
        return Observation(arrays=arrays)

    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 6))
    wanted = kendalltau(a, b).statistic
    sides = [weighted(x, range(6)) for x in (a, b)]
    assert attention_rank_correlation(*sides).mean == pytest.approx(wanted)
    # Two tokens of weight 2 outweigh one of weight 3; padding weighs nothing.
    first = weighted(np.log([2, 2, 3, 99]), [0, 0, 1, -1])
    second = weighted([1, 0], [0, 1])
    assert attention_rank_correlation(first, second).mean == 1


def test_one_demonstration_has_no_ranking() -> None:
    one = Observation(
        arrays={
            "demonstration_scores": np.ones((1, 1, 1, 3)),
            "owners": np.zeros((1, 3)),
        }
    )
    with pytest.raises(ShapeError, match="--demos 2 or more"):
        attention_rank_correlation(one, one)


def test_corrections_apart_are_a_share_of_those_that_either_makes() -> None:
    base = answered([0, 0, 0, 0, 1, 0])
    icl, gd = answered([1, 1, 0, 0, 0, 0]), answered([0, 1, 1, 1, 1, 0])
    assert corrections_apart(icl, gd, base).mean == pytest.approx(3 / 4)
    assert corrections_apart(gd, icl, base).mean == pytest.approx(3 / 4)
    assert corrections_apart(icl, icl, base).mean == 0
    assert corrections_apart(icl, base, base).mean == 1
    assert corrections_apart(base, base, base).mean == 0


def test_coverage_and_its_base_rate_are_ratios_of_counts() -> None:
    base = answered([[1, 0, 0, 0], [0, 0, 0, 0]])
    gd = answered([[1, 1, 1, 0], [0, 1, 0, 0]])
    icl = answered([[1, 1, 0, 1], [0, 1, 0, 0]])
    assert corrected(gd, base).mean == 3 / 8
    assert coverage(icl, gd, base).mean == pytest.approx(2 / 3)
    assert coverage_elsewhere(icl, gd, base).mean == pytest.approx(1 / 4)
    assert coverage(gd, icl, base).mean == pytest.approx(2 / 3)


def test_nothing_corrected_cannot_be_covered() -> None:
    with pytest.raises(ShapeError, match="0 queries among 2"):
        coverage(answered([1, 1]), answered([0, 1]), answered([0, 1]))


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.2, "supported"), (0.0, "refuted"), (0.1, "inconclusive")]
)
def test_an_advantage_must_be_above_its_margin(mean: float, verdict: str) -> None:
    rng = np.random.default_rng(3)
    values = mean + 0.05 * rng.normal(size=(10, 40))
    card = ClaimCard(name="c", sentence="S.", source="s", on="text")
    cell = Cell(
        model=HMM, dataset=dataset_named("hmm"), n_demonstrations=4, settings=SETTINGS
    )
    judge = Judge(card, cell)
    judge.exceeds(Measurement(name="gap", values=values, unit="u"), margin=0.1)
    assert judge.judgement is not None
    effect = judge.judgement.effect
    assert judge.judgement.verdict == verdict
    assert effect.value == pytest.approx(values.mean())
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < effect.value < effect.high


# ------------------------------------------------------------ what is recorded


@pytest.mark.parametrize("kind", ["grouped_queries", "tied", "sliding", "neox"])
def test_the_recorder_reads_what_eager_attention_computes(kind: str) -> None:
    model = tiny(kind).double()
    lm = CausalLM(model, None)
    asked = prompts([3, 7, 5], 6)
    with AttentionRecorder(lm) as recorder:
        found = recorder.read(asked)
    model.set_attn_implementation("eager")
    for prompt, read in zip(asked, found, strict=True):
        with torch.no_grad():
            said = model(torch.tensor([prompt]), output_attentions=True).attentions
        wanted = torch.stack([a[0, :, -1] for a in said])
        kept = wanted > 0  # what a sliding window leaves
        scores = read.scores.double().masked_fill(~kept, -torch.inf)
        torch.testing.assert_close(
            torch.softmax(scores, -1), wanted, atol=1e-5, rtol=1e-4
        )


def test_the_recorder_changes_no_answer_and_leaves_nothing_behind() -> None:
    lm = CausalLM(tiny("tied"), None)
    asked = prompts([3, 7], 5)
    before, own = lm.next_token_log_probs(asked), lm.model.config._attn_implementation
    with AttentionRecorder(lm) as recorder:
        recorder.read(asked)
        np.testing.assert_allclose(lm.next_token_log_probs(asked), before, atol=1e-5)
    assert lm.model.config._attn_implementation == own
    np.testing.assert_array_equal(lm.next_token_log_probs(asked), before)


def test_the_outputs_are_what_enters_the_residual_stream() -> None:
    lm = CausalLM(tiny("tied").double(), None)
    (prompt,) = prompts([6], 3)
    layer = lm.model.model.layers[0]
    with AttentionRecorder(lm) as recorder:
        (found,) = recorder.read([prompt])
    embedded = lm.model.model.embed_tokens(torch.tensor([prompt]))
    torch.testing.assert_close(
        found.inputs[0].double(), layer.input_layernorm(embedded)[0], atol=1e-6, rtol=0
    )
    residual: list[torch.Tensor] = []
    hook = layer.post_attention_layernorm.register_forward_pre_hook(
        lambda _, args: residual.append(args[0][0, -1])
    )
    with hook, torch.no_grad():
        lm.model(torch.tensor([prompt]))
    wanted = residual[0] - embedded[0, -1]
    torch.testing.assert_close(found.outputs[0].double(), wanted, atol=1e-6, rtol=0)


def scene_of(observer: Observer, learner: Any, **changes: Any) -> LearnerContext:
    return observer.context(ask(learner, **changes))


def test_demonstrations_are_in_the_prompt_where_they_are_said_to_be(
    observer: Observer,
) -> None:
    prompts = scene_of(observer, Activations(of=InContext())).prompts()
    prompt = prompts.in_context(1)[0]
    found = [prompt[start:end] for start, end in prompts.demonstration_spans(1)]
    alone = prompts.with_answers(prompts.task.demonstrations[1])
    assert found == [[*ask, *answer][1:] for ask, answer in alone]  # without <s>


def test_a_demonstration_keeps_its_number_in_every_order(observer: Observer) -> None:
    first, second = (
        observer.observe(ask(Activations(of=InContext()), order=order))
        for order in (0, 1)
    )
    assert not np.array_equal(first["owners"], second["owners"])
    assert attention_rank_correlation(first, first).mean == 1
    assert attention_rank_correlation(first, second).mean > 0.2


def test_a_rate_of_0_moves_nothing_inside(observer: Observer) -> None:
    still = GradientLearner(rate=0.0, passes=1)
    base, gd, icl = (
        observer.observe(ask(Activations(of=learner)))
        for learner in (Base(), still, InContext())
    )
    for name in ("outputs", "maps", "demonstration_scores"):
        np.testing.assert_allclose(gd[name], base[name], atol=1e-5)
    assert np.abs(icl["outputs"] - base["outputs"]).max() > 0.1


@pytest.mark.parametrize("learner", [GD, CAUSAL, RandomUpdate(matched_to=GD)])
def test_retraining_gives_the_weights_that_answered(
    observer: Observer, learner: Any
) -> None:
    context = scene_of(observer, Activations(of=learner))
    answered = context.observe(learner)
    task, model = context.text_task(), context.model
    first = next(iter(learner.trained_weights(context, answered.facts)))
    labels = verbalize(model.tokenizer, task)
    tokens = model.tokenizer([task.alone(q) for q in task.queries[0]])["input_ids"]
    with model.tuned(first):
        found = model.next_token_log_probs([[*t, *labels.bridge] for t in tokens])
    np.testing.assert_allclose(found, answered["log_probs"][0], atol=1e-5)


# ------------------------------------------------------------ layer-causal GD


def gradients(observer: Observer, loss: Any, scale: float = 1.0) -> Any:
    """One set's gradients, the last layer's W_O multiplied by ``scale``."""
    context = scene_of(observer, CAUSAL)
    task, model = context.text_task(), context.model
    labels = verbalize(model.tokenizer, task)
    batches = encode_label_batches(
        model, EncodedPrompts.of(model, task, labels), task.demonstrations
    )
    trainer = trainer_for(model, replace(CAUSAL.training, loss=loss), batches)
    weights = {name: p.detach().clone() for name, p in trainer.start.items()}
    weights["model.layers.3.self_attn.o_proj.weight"] *= scale
    found: dict[str, torch.Tensor] = {}
    batch = batches.take(torch.tensor([0]))
    trainer.backend.gradients(weights, batches.columns, batch, collect_into(found))
    return found


def test_the_last_layer_learns_as_in_plain_gd(observer: Observer) -> None:
    plain, causal = (gradients(observer, k) for k in ("label", "layerwise"))
    for name, found in causal.items():
        alike = torch.allclose(found, plain[name], atol=1e-6)
        assert alike == name.startswith("model.layers.3.")


def test_lower_layers_know_nothing_of_higher_ones(observer: Observer) -> None:
    found, scaled = (gradients(observer, "layerwise", scale) for scale in (1.0, 3.0))
    name = "model.layers.{}.mlp.down_proj.weight"
    torch.testing.assert_close(found[name.format(2)], scaled[name.format(2)])
    assert not torch.allclose(found[name.format(3)], scaled[name.format(3)])
    assert "model.embed_tokens.weight" not in found


def test_layer_causal_gd_trains_one_stack_as_it_trains_one_set(
    observer: Observer,
) -> None:
    context = scene_of(observer, CAUSAL)
    weights = list(CAUSAL.trained_weights(context, {"rate": 0.1, "passes": 2}))
    task, model = context.text_task(), context.model
    labels = verbalize(model.tokenizer, task)
    batches = encode_label_batches(
        model, EncodedPrompts.of(model, task, labels), task.demonstrations[2:3]
    )
    trainer = trainer_for(model, CAUSAL.training, batches)
    alone = trainer.run([TrainingRun(index=0, rate=0.1, seed=0)], 2).of(0)
    for name, found in alone.items():
        torch.testing.assert_close(found, weights[2][name], atol=1e-6, rtol=1e-4)
