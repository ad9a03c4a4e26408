"""Memory is planned before it is taken; sizes are known without loading."""

from __future__ import annotations

import platform
from dataclasses import replace

import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
import torch

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.text_tasks import draw_text
from probes.data.tokenization import verbalize
from probes.errors import ModelError
from probes.learners import GradientLearner
from probes.models.causal_lm import loading
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.parameter_count import describe_size, n_parameters
from probes.models.runtime import memory
from probes.models.runtime.memory import (
    bytes_to_train,
    free_bytes,
    require_free_memory,
    retain_freed_memory,
)
from probes.models.training.label_batches import encode_label_batches
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.untrained import untrained_model
from probes.run.grid import MODELS, dataset_named

CPU = torch.device("cpu")
SETTINGS = Settings(n_sets=3, n_queries=4, n_calibration=6)


@pytest.fixture
def nothing_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)


def test_what_is_free_is_a_share_of_the_machine() -> None:
    free = free_bytes(CPU)
    assert free is not None
    assert 1 << 20 < free < 1 << 44


def test_need_and_room_are_named(nothing_free: None) -> None:
    with pytest.raises(ModelError, match=r"needs about 2\.0 GiB on cpu, and 0\.0 GiB"):
        require_free_memory(2 << 30, CPU, what="Loading it", fix="Take less.")


def test_work_that_fits_is_let_through(nothing_free: None) -> None:
    require_free_memory(950, CPU, what="Loading it", fix="Take less.")
    with pytest.raises(ModelError):
        require_free_memory(951, CPU, what="Loading it", fix="Take less.")


@pytest.mark.parametrize(
    ("dtype", "optimizer", "bytes_each"),
    [
        (torch.float32, "gd", 4 + 4),  # masters, gradient
        (torch.float32, "adam", 4 + 4 + 8),  # and two moments
        (torch.bfloat16, "gd", 4 + 2 + 2),  # masters, their rounding, gradient
        (torch.bfloat16, "adam", 4 + 2 + 2 + 8),
    ],
)
def test_training_takes_what_it_holds(
    dtype: torch.dtype, optimizer: str, bytes_each: int
) -> None:
    weights = {"w": torch.zeros(3, 5, dtype=dtype)}
    found = bytes_to_train(weights, n_runs=2, optimizer=optimizer)
    assert found == 2 * 15 * bytes_each


def test_gradients_that_are_taken_in_turn_are_not_held_together() -> None:
    weights = {name: torch.zeros(3, 5) for name in "abcd"}
    room = {"n_runs": 2, "optimizer": "gd"}
    assert bytes_to_train(weights, **room, gradients="all") == 2 * 60 * (4 + 4)
    assert bytes_to_train(weights, **room, gradients="largest") == 2 * (60 + 30) * 4
    alone = {"a": weights["a"]}
    assert bytes_to_train(alone, **room, gradients="largest") == 2 * 15 * (4 + 4)


def test_llama_7b_trains_within_101_gib() -> None:
    n = n_parameters(MODELS.get("llama_7b"))
    assert n == 6_738_415_616
    vocabulary, matrix = 32_000 * 4_096, 11_008 * 4_096
    n_matrices, rest = divmod(n - 2 * vocabulary, matrix)
    sizes = [vocabulary, vocabulary, rest, *[matrix] * n_matrices]
    weights = {
        str(i): torch.empty(size, dtype=torch.bfloat16, device="meta")
        for i, size in enumerate(sizes)
    }
    for optimizer, gib in (("gd", 51), ("adam", 101)):
        needed = bytes_to_train(
            weights, n_runs=1, optimizer=optimizer, gradients="largest"
        )
        assert 2 * n + needed < gib * memory.GIB


def test_a_model_without_room_is_refused_before_it_is_read(nothing_free: None) -> None:
    with pytest.raises(ModelError, match=r"Loading hmm_llama, 200,064 par"):
        load_causal_lm(MODELS.get("hmm_llama"), SETTINGS)


def test_an_untrained_model_that_keeps_some_weights_needs_room_for_these_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        loading, "require_free_memory", lambda needed, *_, **__: asked.append(needed)
    )
    hmm = MODELS.get("hmm_llama")
    for keeps in ("nothing", "embeddings_and_norms"):
        model = load_causal_lm(untrained_model(hmm, keeps=keeps), SETTINGS).model
    kept = sum(p.numel() for p in loading.embeddings_and_norms(model).values())
    assert asked[1] - asked[0] == 4 * kept  # bytes of float32
    assert 0 < kept < sum(p.numel() for p in model.parameters()) / 2


def test_training_without_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_causal_lm(MODELS.get("hmm_llama"), SETTINGS)
    task = draw_text(
        read_rows(dataset_named("hmm"), None), SETTINGS, n_demonstrations=2
    )
    labels = verbalize(model.tokenizer, task)
    learner = GradientLearner(rate=0.1, passes=1)
    batches = encode_label_batches(
        model, EncodedPrompts.of(model, task, labels), task.demonstrations
    )
    training = trainer_for(model, learner.training, batches)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    with pytest.raises(ModelError, match=r"Training all by gd \(1 at once\) needs"):
        training.run([TrainingRun(index=0, rate=0.1, seed=0)], 1)


@pytest.mark.parametrize("name", [card.name for card in MODELS])
def test_every_registered_model_says_its_size(name: str) -> None:
    assert "parameters" in describe_size(MODELS.get(name))


def test_size_of_a_hub_id_is_unknown() -> None:
    card = replace(MODELS.get("llama_7b"), n_parameters=None)
    assert describe_size(card) == "size unknown"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked")
def test_memory_that_was_freed_is_used_again() -> None:
    """A page that is new to the process is a fault: 4000 of them for 16 MB."""
    resource = pytest.importorskip("resource")

    def faults_of_a_round() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        held = [torch.ones(1 << 22) for _ in range(6)]
        del held
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    assert retain_freed_memory()
    assert min(faults_of_a_round() for _ in range(12)) < 4000


@pytest.mark.parametrize("library", [OSError("none"), object()])
def test_another_c_library_is_left_as_it_is(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(_: None) -> object:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr("ctypes.CDLL", opened)
    assert not retain_freed_memory.__wrapped__()
