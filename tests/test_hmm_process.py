"""Test the hidden-Markov process behind the small trained checkpoint."""

import itertools

import numpy as np
import pytest

from fixtures.training import hmm_process as hmm


@pytest.fixture(name="tiny")
def make_tiny() -> hmm.Process:
    """Make a process small enough to enumerate."""
    return hmm.make_process(
        seed=3, concepts=2, entities=2, properties=5, symbols=6, stay=0.8
    )


def enumerate_next(process: hmm.Process, document: list[int]) -> hmm.Floats:
    """Sum the next symbol's probability over every path of hidden states."""
    entities, properties = process.emission.shape
    pairs = list(itertools.product(range(entities), range(properties)))
    totals = np.zeros(process.symbols)
    for concept in range(process.concepts):
        for path in itertools.product(pairs, repeat=len(document) + 1):
            emitted = [int(process.emission[pair]) for pair in path]
            if emitted[:-1] != document:
                continue
            weight = 1.0
            for (entity, prop), (next_entity, next_prop) in itertools.pairwise(path):
                weight *= process.entity_transitions[entity, next_entity]
                weight *= process.transitions[concept, prop, next_prop]
            totals[emitted[-1]] += weight
    result: hmm.Floats = totals / totals.sum()
    return result


def test_rows_of_transitions_sum_to_one() -> None:
    """Check that every row of transitions is a distribution."""
    process = hmm.make_process()
    assert process.transitions.min() >= 0.0
    np.testing.assert_allclose(process.transitions.sum(axis=-1), 1.0)
    np.testing.assert_allclose(process.entity_transitions.sum(axis=-1), 1.0)


def test_only_property_zero_emits_the_delimiter() -> None:
    """Check the emission table, and that it uses every symbol."""
    process = hmm.make_process()
    assert (process.emission[:, 0] == hmm.DELIMITER).all()
    assert (process.emission[:, 1:] != hmm.DELIMITER).all()
    assert set(process.emission.ravel().tolist()) == set(range(50))


def test_concepts_agree_on_what_follows_an_opening() -> None:
    """Check that a query's first two symbols say nothing about the concept."""
    process = hmm.make_process()
    rows = process.transitions[:, process.openings]
    np.testing.assert_allclose(rows, np.broadcast_to(rows[:1], rows.shape))
    assert not np.allclose(process.transitions[0], process.transitions[1])


def test_document_predictor_matches_enumeration(tiny: hmm.Process) -> None:
    """Compare the forward algorithm with a sum over all hidden paths."""
    rng = np.random.default_rng(0)
    for document in hmm.sample_documents(tiny, rng, count=4, length=3):
        predicted = np.exp(hmm.bayes_log_probs(tiny, document))
        expected = enumerate_next(tiny, document.tolist())
        np.testing.assert_allclose(predicted, expected, atol=1e-12)


def test_predictors_are_normalised() -> None:
    """Check that both predictors give distributions, without the delimiter for one."""
    process = hmm.make_process()
    concepts = np.full(5, 2)
    examples = hmm.sample_examples(process, np.random.default_rng(1), concepts)
    demonstrations, query = examples[:-1], examples[-1, :-1]
    prompt = hmm.build_prompt(demonstrations, query)
    document = np.exp(hmm.bayes_log_probs(process, prompt))
    informed = np.exp(hmm.format_log_probs(process, demonstrations, query))
    assert document.sum() == pytest.approx(1.0)
    assert informed.sum() == pytest.approx(1.0)
    assert informed[hmm.DELIMITER] == 0.0


def test_format_predictor_matches_sampled_frequencies(tiny: hmm.Process) -> None:
    """Compare the zero-shot prediction with examples drawn from every concept."""
    concepts = np.arange(40_000) % tiny.concepts
    examples = hmm.sample_examples(tiny, np.random.default_rng(2), concepts)
    query = examples[0, :-1]
    labels = examples[(examples[:, :-1] == query).all(axis=1), -1]
    frequencies = np.bincount(labels, minlength=tiny.symbols) / len(labels)
    predicted = np.exp(hmm.format_log_probs(tiny, examples[:0], query))
    np.testing.assert_allclose(predicted, frequencies, atol=0.03)


def test_sampling_repeats_with_its_seed() -> None:
    """Check that equal seeds give equal tables and documents."""
    first, again, other = (hmm.make_process(seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.transitions, again.transitions)
    np.testing.assert_array_equal(first.emission, again.emission)
    assert not np.array_equal(first.transitions, other.transitions)
    documents = [
        hmm.sample_documents(process, np.random.default_rng(7), count=2, length=20)
        for process in (first, again)
    ]
    np.testing.assert_array_equal(documents[0], documents[1])


def test_build_prompt_joins_by_delimiters() -> None:
    """Check the order of the symbols in a prompt."""
    prompt = hmm.build_prompt(np.array([[1, 2, 3], [4, 5, 6]]), np.array([7, 8]))
    assert prompt.tolist() == [1, 2, 3, 0, 4, 5, 6, 0, 7, 8]


def test_examples_have_no_delimiter() -> None:
    """Check that delimiters are drawn again."""
    process = hmm.make_process()
    concepts = np.arange(400) % 8
    examples = hmm.sample_examples(process, np.random.default_rng(4), concepts)
    assert (examples != hmm.DELIMITER).all()
