"""Networks and algorithms answer what the published codes answered.

The numbers do not ship with us: see ``tests.support.published``. They were made in
float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.cards import Construction
from probes.data.regression_tasks import RegressionTask
from probes.learners.eigenbasis import solve
from probes.measurement import Array
from probes.measures import attention_change_cosine, attention_cosine, update_cosine
from probes.measures.update_similarity import _demonstration_weights
from probes.models.regression.construction import (
    LayerWeights,
    NetworkWeights,
    construct,
)
from probes.models.regression.linear_attention import LinearAttention
from probes.observations.observation import Observation
from tests.support.activations import inside, three
from tests.support.published import vectors

CONSTRUCTIONS = ("lr1_w0zero", "lr2.5_w0rand", "lr6_gdpp")
DEPTHS = (1, 2, 5)
D = 10


@pytest.fixture
def oswald() -> dict[str, Any]:
    return vectors("oswald_constructed")


@pytest.fixture
def fu() -> dict[str, Any]:
    return vectors("fu_baselines")


@pytest.fixture
def dai() -> dict[str, Any]:
    return vectors("lmops_metrics")


def agree(found: Any, published: Any) -> None:
    """Hold numbers to the 1e-5 that float32 allows, relative to the largest."""
    size = np.abs(published).max()
    np.testing.assert_allclose(found, published, rtol=0, atol=1e-5 * size)


# ------------------------------------------------------------------- von Oswald et al.


def sequences(file: dict[str, Any], name: str) -> RegressionTask:
    """Read each sequence as a task of one query."""
    found = file[f"{name}_seq"].astype(float)
    return RegressionTask(
        x=found[:, :-1, :D],
        y=found[:, :-1, D],
        queries=found[:, -1:, :D],
        answers=np.zeros((len(found), 1)),
    )


def rate_of(file: dict[str, Any], name: str) -> float:
    return float(file[f"{name}_lr"]) / 10  # η/N


def spec_of(file: dict[str, Any], name: str, depth: int) -> Construction:
    rate, is_gdpp = rate_of(file, name), bool(file[f"{name}_lin_diag"])
    return Construction(
        algorithm="gdpp" if is_gdpp else "gd",
        n_inputs=D,
        n_layers=depth,
        rate=rate,
        shrinkage=rate / 10 if is_gdpp else 0.0,
        start=tuple(file[f"{name}_w0"].astype(float)[0]),
    )


def published_network(file: dict[str, Any], name: str, depth: int) -> LinearAttention:
    """Put the published matrices into our layers."""
    matrices = {"W_Q": "query", "W_K": "key", "W_V": "value", "P": "linear"}
    layer = LayerWeights(
        **{m: file[f"{name}_W_{word}"].astype(float) for m, word in matrices.items()},
        skip=np.zeros((D + 1, D + 1)),
    )
    start = file[f"{name}_w0"].astype(float)[0]
    return LinearAttention(
        NetworkWeights(
            layers=(layer,) * depth,
            n_inputs=D,
            d_token=D + 1,
            read=D,
            sign=-1.0,
            start=start,
        )
    )


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_published_weights_answer_as_published(
    oswald: dict[str, Any], name: str, depth: int
) -> None:
    network, task = published_network(oswald, name, depth), sequences(oswald, name)
    after = [network.answer(task, depth=k + 1)[0][:, 0] for k in range(depth)]
    agree(after, oswald[f"{name}_L{depth}_stackpred"])
    agree(after[-1], -oswald[f"{name}_L{depth}_out"][:, -1, -1])


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_our_construction_answers_as_the_published_one(
    oswald: dict[str, Any], name: str, depth: int
) -> None:
    network = LinearAttention(construct(spec_of(oswald, name, depth)))
    task = sequences(oswald, name)
    after = [network.answer(task, depth=k + 1)[0][:, 0] for k in range(depth)]
    agree(after, oswald[f"{name}_L{depth}_stackpred"])


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_our_learners_answer_as_the_published_constructions(
    oswald: dict[str, Any], name: str, depth: int
) -> None:
    spec, task = spec_of(oswald, name, depth), sequences(oswald, name)
    start = np.array(spec.start)
    rest = RegressionTask(  # GD from W_0 is GD from 0 on what W_0 leaves over
        x=task.x, y=task.y - task.x @ start, queries=task.queries, answers=task.answers
    )
    given = (spec.rate, spec.shrinkage)[: 2 if spec.algorithm == "gdpp" else 1]
    for k in range(depth):
        weights = start + solve(rest, spec.algorithm, k + 1, given)
        found = np.einsum("sqd,sd->sq", task.queries, weights)[:, 0]
        agree(found, oswald[f"{name}_L{depth}_stackpred"][k])


# ------------------------------------------------------------------- Fu et al.


def prefixes(file: dict[str, Any]) -> list[RegressionTask]:
    """Ask for every point after those before it; one task for each length."""
    x, y = (file[name].astype(float) for name in ("xs", "ys"))
    return [
        RegressionTask(
            x=x[:, :i], y=y[:, :i], queries=x[:, i : i + 1], answers=y[:, i : i + 1]
        )
        for i in range(1, x.shape[1])
    ]


def follow(file: dict[str, Any], weigh: Any) -> Array:
    """Predict at every prefix length; nothing is known at the first."""
    found = [
        np.einsum("sqd,sd->sq", task.queries, weigh(task))[:, 0]
        for task in prefixes(file)
    ]
    return np.stack([np.zeros(len(file["xs"])), *found], axis=1)


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
def test_gd_is_the_published_baseline_at_every_length(
    fu: dict[str, Any], steps: int
) -> None:
    found = follow(fu, lambda task: solve(task, "gd", steps, (0.01,)))
    agree(found, fu[f"gd_eta0.01_steps{steps}"])


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_newton_is_the_published_baseline_at_every_length(
    fu: dict[str, Any], steps: int
) -> None:
    def weigh(task: RegressionTask) -> Array:
        gram = np.einsum("snd,sne->sde", task.x, task.x)
        starts = 1 / np.linalg.norm(gram @ gram, axis=(1, 2))  # Aᵀ/‖AAᵀ‖_F
        each = [_one(task, s, steps, start) for s, start in enumerate(starts)]
        return np.concatenate(each)

    agree(follow(fu, weigh), fu[f"newton_steps{steps}"])


def _one(task: RegressionTask, index: int, steps: int, start: float) -> Array:
    one = slice(index, index + 1)
    alone = RegressionTask(
        x=task.x[one],
        y=task.y[one],
        queries=task.queries[one],
        answers=task.answers[one],
    )
    return solve(alone, "newton", steps, (float(start),))


def test_ols_is_the_published_baseline_at_every_length(fu: dict[str, Any]) -> None:
    agree(follow(fu, lambda task: solve(task, "ols", 1, ())), fu["ols"])


# ------------------------------------------------------------------- Dai and Deutch


def softmaxed(observed: Observation) -> Observation:
    """Put a softmax over the query's own tokens in the place of the maps."""
    maps, lengths = observed["maps"], observed["query_lengths"]
    width = maps.shape[-1]
    kept = np.arange(width) >= width - lengths[..., None]
    kept = np.broadcast_to(kept[:, :, None, None], maps.shape)
    weights = np.where(kept, np.exp(maps), 0.0)
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return Observation(arrays={**observed.arrays, "maps": weights})


@pytest.mark.parametrize("layer", range(3))
def test_simam_after_softmax_is_the_published_codes(
    dai: dict[str, Any], layer: int
) -> None:
    icl, gd, base = map(softmaxed, three(dai, layer))
    agree(attention_cosine(icl, gd).mean, dai["lmops_SimAM_softmax"][layer])
    agree(attention_cosine(icl, base).mean, dai["lmops_ZSL_SimAM_softmax"][layer])
    found = attention_change_cosine(icl, gd, base).mean
    agree(found, dai["deutch_SimAM_delta_softmax"][layer])


def unit(observed: Observation) -> Array:
    outputs = observed["outputs"]
    return np.asarray(outputs / np.linalg.norm(outputs, axis=-1, keepdims=True))


@pytest.mark.parametrize("layer", range(3))
def test_simaou_of_random_vectors_is_the_published_codes(
    dai: dict[str, Any], layer: int
) -> None:
    # Their random "update" is uniform on [0, 1): it has a mean, and is no change of 0.
    drawn = np.random.RandomState(0).random_sample((40, 3, 16))
    drawn = drawn[None, :, layer : layer + 1]
    icl, base = inside(dai, "icl", layer), inside(dai, "base", layer)
    arms = (unit(icl) - unit(base), drawn, np.zeros_like(drawn))
    found = update_cosine(*(Observation(arrays={"outputs": a}) for a in arms)).mean
    agree(found, dai["lmops_RandomSimAOU_npseed0"][layer])


@pytest.mark.parametrize("layer", range(3))
def test_simaou_where_both_correct_is_the_published_codes(
    dai: dict[str, Any], layer: int
) -> None:
    right = {a: dai[f"{a}_pred"] == dai[f"{a}_gold"] for a in ("zs", "icl", "ftzs")}
    chosen = ~right["zs"] & right["icl"] & right["ftzs"]
    icl, gd, base = (unit(o)[:, chosen] for o in three(dai, layer))
    arms = (Observation(arrays={"outputs": a}) for a in (icl, gd, base))
    agree(update_cosine(*arms).mean, dai["lmops_SimAOU_f2t"][layer])


@pytest.mark.parametrize("layer", range(3))
def test_the_five_demonstrations_weighed_most_are_the_published_codes(
    dai: dict[str, Any], layer: int
) -> None:
    # No claim asks for it: five of six demonstrations are .83 alike by chance.
    owners = np.repeat(np.arange(6), 4)[None]
    products = dai["ftzs_q"][:, layer] @ dai["train_ft_q_compact"][layer].T
    first = []
    for scores in (dai["train_icl_ctx_sliced"][:, layer], products):
        arrays = {"demonstration_scores": scores[None, :, None], "owners": owners}
        weights = _demonstration_weights(Observation(arrays=arrays))[0, :, 0]
        first.append(np.argsort(-weights, axis=-1)[:, :5])
    shared = (first[0][..., :, None] == first[1][..., None, :]).any(axis=-1)
    agree(shared.mean(), dai["train_recall5_example"][layer])
