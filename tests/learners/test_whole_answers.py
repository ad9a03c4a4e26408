"""Whole answers: scored as a plain loop scores them, right where generation is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from probes.cards import DatasetCard
from probes.cell import Settings
from probes.data.text_tasks import Example
from probes.learners import Base, GradientLearner, InContext, PositionFree
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.observations.request import LearnerContext, Request
from probes.run.grid import model_named
from tests.support.open_answers import (
    ends_of_lines,
    generated,
    plain_log_probs,
    talkative,
    words,
    write_rows,
)
from tests.support.tiny_models import HMM

SIZES = Settings(n_sets=3, n_queries=40, n_calibration=4)
N_TRAIN = 20
WORDS = words(N_TRAIN + SIZES.n_queries)
KINDS = ["grouped_queries", "neox"]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> CausalLM:
    return talkative(request.param)


def context_of(
    model: CausalLM, card: DatasetCard, learner: Any, settings: Settings = SIZES
) -> LearnerContext:
    request = Request(
        learner=learner, model=HMM, dataset=card, n_demonstrations=2, settings=settings
    )

    def answer(other: Request) -> Any:
        return other.learner.observe(
            LearnerContext(request=other, load=lambda _: model, answer=answer)
        )

    return LearnerContext(request=request, load=lambda _: model, answer=answer)


Generated = dict[tuple[int, str], str]


@pytest.fixture(scope="module")
def said(model: CausalLM, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Generate an answer for every set and query; right answers change no prompt."""
    outputs = {word: word[::-1] + "s" for word in WORDS}
    card = write_rows(tmp_path_factory.mktemp("unknown"), outputs, N_TRAIN)
    prompts = context_of(model, card, InContext()).prompts()
    return {
        (index, query.ask): generated(model, prompt)
        for index, queries in enumerate(prompts.task.queries)
        for query, prompt in zip(queries, prompts.in_context(index), strict=True)
    }


@pytest.fixture(scope="module")
def card(said: Generated, tmp_path_factory: pytest.TempPathFactory) -> DatasetCard:
    """Write a task in which some of what the model says in context is right."""
    outputs: dict[str, Any] = {word: word[::-1] + "s" for word in WORDS}
    for number, word in enumerate(WORDS[N_TRAIN:]):
        texts = [said[i, f"Input: {word}\nOutput:"] for i in range(SIZES.n_sets)]
        right = [text for text in texts if text and " " not in text][: number % 3]
        outputs[word] = [outputs[word], *right]
    return write_rows(tmp_path_factory.mktemp("known"), outputs, N_TRAIN)


def right_texts(task: Any, query: Example) -> list[str]:
    return [task.answers[index] for index in query.right]


def test_exact_answers_are_those_that_the_library_generates(
    model: CausalLM, card: DatasetCard, said: Generated
) -> None:
    context = context_of(model, card, InContext())
    task, found = context.text_task(), InContext().observe(context)
    wanted = [
        [said[index, query.ask] in right_texts(task, query) for query in queries]
        for index, queries in enumerate(task.queries)
    ]
    assert 10 < np.sum(wanted) < 110  # of 120: the test is about something
    np.testing.assert_array_equal(found.is_right, wanted)


def plain_score(model: CausalLM, prompts: Any, query: Example, prompt: Any) -> float:
    """Add up all right answers' probabilities in a plain teacher-forced loop."""
    texts = right_texts(prompts.task, query)
    scores = [plain_answer(model, text, prompt) for text in texts]
    return float(np.logaddexp.reduce(scores))


def plain_answer(model: CausalLM, text: str, prompt: Any) -> float:
    """Add up the log-probabilities of an answer's tokens and of its end."""
    answer = model.tokenizer([text], add_special_tokens=False)["input_ids"][0]
    logs = plain_log_probs(model, prompt, [*answer, 0])
    own = sum(logs[i, token] for i, token in enumerate(answer))
    return float(own + np.logaddexp.reduce(logs[-1, ends_of_lines(model.tokenizer)]))


def test_right_answers_are_scored_as_in_a_plain_loop(
    model: CausalLM, card: DatasetCard
) -> None:
    for learner, encode in (
        (InContext(), lambda p, i: p.in_context(i)),
        (Base(), lambda p, i: p.alone(p.task.queries[i])),
    ):
        context = context_of(model, card, learner)
        prompts, found = context.prompts(), learner.observe(context)
        wanted = [
            [
                plain_score(model, prompts, query, prompt)
                for query, prompt in zip(
                    prompts.task.queries[index], encode(prompts, index), strict=True
                )
            ]
            for index in range(SIZES.n_sets)
        ]
        np.testing.assert_allclose(found.right_log_probs, wanted, atol=1e-4)


def test_gd_is_scored_with_the_weights_of_each_set(
    model: CausalLM, card: DatasetCard
) -> None:
    learner = GradientLearner(rate=0.05, passes=2)
    few = Settings(n_sets=2, n_queries=5, n_calibration=4)
    context = context_of(model, card, learner, few)
    prompts, found = context.prompts(), learner.observe(context)
    moved = learner.trained_weights(context, {"rate": 0.05, "passes": 2})
    for index, weights in enumerate(moved):
        own = {n: p.detach().clone() for n, p in model.model.named_parameters()}
        model.model.load_state_dict(weights, strict=False)
        queries = prompts.task.queries[index]
        wanted = [
            plain_score(model, prompts, query, prompt)
            for query, prompt in zip(queries, prompts.alone(queries), strict=True)
        ]
        model.model.load_state_dict(own, strict=False)
        np.testing.assert_allclose(found.right_log_probs[index], wanted, atol=1e-4)
    assert found.right_log_probs.std() > 0.1


def test_gd_learns_the_sum_over_an_answers_tokens_and_its_end(
    model: CausalLM, card: DatasetCard
) -> None:
    context = context_of(model, card, InContext())
    prompts = context.prompts()
    sets = prompts.task.demonstrations
    learner = GradientLearner(rate=0.1, passes=1)
    training = learner.prepare(context, prompts, sets)
    unmoved = {name: p.detach().clone() for name, p in training.start.items()}
    batches = training.loop.batches
    batch = batches.take(torch.tensor([0]))
    (loss,) = training.backend.gradients(
        unmoved, batches.columns, batch, lambda *_: None
    )
    scores = []
    for example, prompt in zip(sets[0], prompts.alone(sets[0]), strict=True):
        text = prompts.task.answers[example.label]
        answer = [*model.tokenizer([text])["input_ids"][0], 0]
        logs = plain_log_probs(model, prompt, answer)
        scores.append(-sum(logs[i, token] for i, token in enumerate(answer)))
    assert float(loss) == pytest.approx(np.mean(scores), abs=1e-4)


def test_demonstrations_side_by_side_are_scored_as_any_prompt(
    model: CausalLM, card: DatasetCard
) -> None:
    few = Settings(n_sets=2, n_queries=6, n_calibration=4)
    context = context_of(model, card, PositionFree(), few)
    one = replace(context, request=replace(context.request, n_demonstrations=1))
    side, line = PositionFree().observe(one), InContext().observe(one)
    np.testing.assert_allclose(side.right_log_probs, line.right_log_probs, atol=1e-4)
    np.testing.assert_array_equal(side.is_right, line.is_right)


def test_labels_that_begin_alike_are_scored_by_their_whole_words(
    model: CausalLM, tmp_path: Path
) -> None:
    outputs = {word: ("sad", "sat", "s")[i % 3] for i, word in enumerate(WORDS)}
    card = write_rows(tmp_path / "labels", outputs, N_TRAIN, answers="labels")
    few = Settings(n_sets=2, n_queries=6, n_calibration=4)
    context = context_of(model, card, InContext(), few)
    prompts, found = context.prompts(), InContext().observe(context)
    for index in range(few.n_sets):
        for number, prompt in enumerate(prompts.in_context(index)):
            wanted = [
                plain_answer(model, text, prompt) for text in prompts.task.answers
            ]
            ours = found.answer_log_probs[index, number]
            np.testing.assert_allclose(ours, wanted, atol=1e-4)
    assert found.label_log_probs.shape == (2, 6, 3)
    assert np.exp(found.answer_log_probs).sum(axis=-1).max() <= 1  # they exclude others
    assert "is_right" not in found.arrays


PLURALS = (
    "apple arm bag ball band bank barn beach:beaches bell bench:benches berry:berries "
    "bird boat book boot bottle box:boxes branch:branches brick bridge bush:bushes "
    "cake camel candle card chair church:churches cloud coat cow dish:dishes dog door "
    "dress:dresses duck egg eye farm fence field finger flag flower forest fork fox:"
    "foxes garden gate glass:glasses goat hand hat hill horse house island jar key "
    "king kitchen lake lamp letter lion match:matches monkey mountain nail nose "
    "ocean onion"
)
"""Nouns, those with another plural than -s with it."""


@pytest.mark.parametrize("name", ["smollm2_135m", "gemma3_270m"])
def test_a_pretrained_models_answers_are_scored_and_right_as_the_librarys(
    name: str, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("PROBES_NATURAL_MODELS", "")) / name
    if not (folder / "config.json").exists():
        pytest.skip(f"PROBES_NATURAL_MODELS names no folder with {name}")
    pairs = [word.split(":") for word in PLURALS.split()]
    outputs = {pair[0]: pair[1:] or [pair[0] + "s"] for pair in pairs}
    sizes = Settings(n_sets=4, n_queries=50, n_calibration=4)
    card = write_rows(tmp_path / "plurals", outputs, 20, answer=" {label}")
    model = load_causal_lm(model_named(str(folder)), sizes)
    context = context_of(model, card, InContext(), sizes)
    prompts, found = context.prompts(), InContext().observe(context)
    scores, right = [], []
    for index, queries in enumerate(prompts.task.queries):
        for query, prompt in zip(queries, prompts.in_context(index), strict=True):
            scores.append(plain_score(model, prompts, query, prompt))
            said = generated(model, prompt)
            right.append(said in [a.strip() for a in right_texts(prompts.task, query)])
    np.testing.assert_allclose(found.right_log_probs.ravel(), scores, atol=1e-4)
    assert 40 < np.sum(right) < 200
    np.testing.assert_array_equal(found.is_right.ravel(), right)
