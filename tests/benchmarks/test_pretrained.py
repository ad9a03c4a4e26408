"""The pretrained models of the natural setting, against what a researcher would use.

Rows are skipped where a model has not been fetched (``probes models fetch``). The
careful loop is written with transformers and torch.optim: it runs what all prompts
begin with once, asks queries in batches without gradients, forms the logits of answers
only, and lets autograd stop at the lowest layer that learns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.data.prompt_encoding import EncodedPrompts
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ModelError
from probes.learners import GradientLearner, InContext
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.training_runs import TrainedWeights, TrainingRun
from probes.models.weights.parameter_groups import parameters_of
from probes.observations.request import LearnerContext, Request
from probes.run.grid import dataset_named, model_named
from tests.benchmarks.lm_eval_peer import harness, quickest
from tests.benchmarks.quick import least, narrowed
from tests.benchmarks.sides import Table

pytestmark = pytest.mark.filterwarnings("ignore")  # the peers' own imports warn
__all__ = ["harness"]

N_SCORED = narrowed(200, 24)
N_SETS, N_ASKED = 4, 24
PLACES = narrowed(32, 2), narrowed(16, 1)
RATE = 1e-3
BATCH = 16
CAREFUL = "HF, careful loop"
Rows = Sequence[tuple[list[int], tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A pretrained model, and the prompts of a task of words."""

    context: LearnerContext
    prompts: EncodedPrompts

    @classmethod
    def of(
        cls,
        name: str,
        folder: Path,
        *,
        n_demonstrations: int,
        dataset: str = "singular_plural",
        **sizes: int,
    ) -> Scene:
        """Load a model, or skip the row if it has not been fetched."""
        request = Request(
            learner=InContext(),
            model=model_named(name),
            dataset=dataset_named(dataset),
            n_demonstrations=n_demonstrations,
            settings=Settings(**sizes),
        )
        context = Observer(Store(folder)).context(request)
        try:
            return cls(context=context, prompts=context.prompts())
        except ModelError as error:
            pytest.skip(str(error))

    @property
    def model(self) -> CausalLM:
        """The loaded model."""
        model: CausalLM = self.context.model
        return model

    def rows(self, index: int) -> Rows:
        """Give the prompt and the answer's tokens of each of a set's demonstrations."""
        return self.prompts.with_targets(self.prompts.task.demonstrations[index])

    def labels(self) -> list[int]:
        """Give two tokens whose log-probabilities are read."""
        return [answer[0] for _, answer in self.rows(0)[:2]]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# ------------------------------------------------------------ the careful loop


def padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right; give ids and the mask of what is seen."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(longest) < lengths[:, None]).long()


def answers_loss(model: Any, rows: Rows) -> torch.Tensor:
    """Sum each answer's cross-entropy, and average over demonstrations."""
    ids, seen = padded([[*prompt, *answer[:-1]] for prompt, answer in rows])
    hidden = model.model(input_ids=ids, attention_mask=seen).last_hidden_state
    places = [
        (row, len(prompt) - 1 + n)
        for row, (prompt, answer) in enumerate(rows)
        for n in range(len(answer))
    ]
    row, at = map(list, zip(*places, strict=True))
    targets = torch.tensor([token for _, answer in rows for token in answer])
    logits = model.lm_head(hidden[row, at])
    total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return total / len(rows)


def ask(model: Any, prompts: Sequence[list[int]], labels: list[int]) -> Any:
    """Answer prompts in batches, after what all of them begin with."""
    common = 0
    while len({tuple(prompt[: common + 1]) for prompt in prompts}) == 1:
        common += 1
    common = min(common, min(map(len, prompts)) - 1)
    found = []
    with torch.inference_mode():
        for start in range(0, len(prompts), BATCH):
            part = [prompt[common:] for prompt in prompts[start : start + BATCH]]
            ids, seen = padded(part)
            begin = torch.tensor([prompts[0][:common]])
            cache = model.model(input_ids=begin, use_cache=True).past_key_values
            cache.batch_repeat_interleave(len(part))
            whole = torch.cat((torch.ones(len(part), common).long(), seen), dim=1)
            hidden = model.model(
                input_ids=ids, attention_mask=whole, past_key_values=cache
            ).last_hidden_state
            last = hidden[torch.arange(len(part)), seen.sum(1) - 1]
            found.append(torch.log_softmax(model.lm_head(last), -1)[:, labels])
    return torch.cat(found).numpy()


def walk_carefully(scene: Scene, learner: GradientLearner, n_sets: int) -> Any:
    """Train one set after the other, and ask at the places."""
    model = scene.model.model
    moving: dict[str, Any] = parameters_of(model, learner.weights)
    before = {name: p.detach().clone() for name, p in moving.items()}
    answers = []
    for index in range(n_sets):
        rows = scene.rows(index)
        asked = scene.prompts.alone(scene.prompts.task.queries[index])
        for name, p in moving.items():
            p.requires_grad_(True).data.copy_(before[name])
        optimizer = torch.optim.SGD(moving.values(), lr=RATE)
        read = []
        for n in range(1, max(PLACES) + 1):
            optimizer.zero_grad()
            answers_loss(model, rows).backward()
            optimizer.step()
            if n in PLACES:
                read.append(ask(model, asked, scene.labels()))
        answers.append(read)
    for name, p in moving.items():
        p.requires_grad_(False).copy_(before[name])
        p.grad = None
    return np.array(answers)


# ------------------------------------------------------------ our side


def walk(scene: Scene, learner: GradientLearner) -> Any:
    """Train every set, and ask at the places."""
    task = scene.prompts.task
    training = learner.prepare(scene.context, scene.prompts, task.demonstrations)
    runs = [TrainingRun(index=i, rate=RATE, seed=0) for i in range(N_SETS)]
    asked = scene.prompts.alone(task.queries[0])  # the same queries for every set
    found: dict[tuple[int, int], Any] = {}

    def read(of: Sequence[TrainingRun], passes: int, trained: TrainedWeights) -> None:
        answers = scene.model.log_probs_of_stack(trained.weights, asked)
        for run, own in zip(of, answers, strict=True):
            found[run.index, passes] = own[:, scene.labels()]

    for group in training.groups(runs):
        training.walk(group, sorted(PLACES), read)
    places = sorted(PLACES)
    return np.array([[found[i, n] for n in places] for i in range(N_SETS)])


# ------------------------------------------------------------ rows


WANTED = {"all": 2.0, "W_V@deep": 10.0, "W_V@middle": 5.0}


@pytest.mark.parametrize("weights", WANTED)
def test_a_walk_of_a_search(table: Table, folder: Path, weights: str) -> None:
    """One rate of a search: four sets, read twice on 24 queries."""
    scene = Scene.of(
        "smollm2_135m", folder, n_demonstrations=4, n_sets=N_SETS, n_queries=N_ASKED
    )
    learner = GradientLearner(rate=RATE, passes=max(PLACES), weights=weights)
    table.compare(
        f"GD, SmolLM2, {weights}, {max(PLACES)} passes",
        lambda: walk(scene, learner),
        threads=2,
        peer=(CAREFUL, lambda: walk_carefully(scene, learner, 1)),
        wanted=WANTED[weights],
        share_wanted=0.65 if weights == "all" else None,
        rounds=least(1),
        dtype="float32, pretrained",
        part=(1, N_SETS),
    )


def test_lora_against_peft(table: Table, folder: Path) -> None:
    """LoRA on the four projections of every layer, one set."""
    peft = pytest.importorskip("peft", reason="make bench installs peft")
    scene = Scene.of(
        "smollm2_135m", folder, n_demonstrations=4, n_sets=1, n_queries=N_ASKED
    )
    learner = GradientLearner(rate=RATE, passes=max(PLACES), weights="lora@all")
    sets = scene.prompts.task.demonstrations
    training = learner.prepare(scene.context, scene.prompts, sets)
    factors = training.loop.parametrization.initial()
    rank = next(p.shape[1] for name, p in factors.items() if name.endswith(":A"))
    config = peft.LoraConfig(
        r=rank, lora_alpha=rank, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]
    )

    def theirs() -> Any:
        model = peft.get_peft_model(scene.model.model, config)
        moving = [p for name, p in model.named_parameters() if "lora_" in name]
        for name, p in model.named_parameters():
            if ".lora_A." in name:
                own = name.removeprefix("base_model.model.").replace(
                    ".lora_A.default", ""
                )
                p.data.copy_(factors[f"{own}:A"][0])
        optimizer = torch.optim.SGD(moving, lr=RATE)
        for _ in range(max(PLACES)):
            optimizer.zero_grad()
            answers_loss(model.base_model.model, scene.rows(0)).backward()
            optimizer.step()
        asked = scene.prompts.alone(scene.prompts.task.queries[0])
        answers = ask(model.base_model.model, asked, scene.labels())
        model.unload()
        return answers[None]

    def ours() -> Any:
        run = TrainingRun(index=0, rate=RATE, seed=0)
        trained = training.run([run], max(PLACES))
        asked = scene.prompts.alone(scene.prompts.task.queries[0])
        answers = scene.model.log_probs_of_stack(trained.weights, asked)
        return answers[..., scene.labels()]

    table.compare(
        f"LoRA, SmolLM2, {max(PLACES)} passes",
        ours,
        threads=2,
        peer=("peft", theirs),
        rounds=least(1),
        dtype="float32, pretrained",
    )


@pytest.mark.parametrize("threads", [2])
def test_scoring_against_lm_eval(
    table: Table, folder: Path, harness: Callable[..., Any], threads: int
) -> None:
    """Short queries after eight demonstrations, two labels."""
    scene = Scene.of(
        "smollm2_135m",
        folder,
        n_demonstrations=8,
        dataset="opinions",
        n_sets=1,
        n_queries=N_SCORED,
    )
    prompts, labels = scene.prompts.in_context(0), scene.labels()
    part = narrowed(4, 2)
    some = prompts[: len(prompts) // part]
    tokenizer = scene.model.tokenizer
    peer = quickest(
        lambda model, size: harness(model, size, tokenizer), scene.model, some, labels
    )
    table.compare(
        f"ICL, SmolLM2, {N_SCORED} queries",
        lambda: scene.model.next_token_log_probs(prompts)[:, labels],
        threads=threads,
        peer=("lm-eval", peer),
        wanted=15.0,
        rounds=least(1),
        part=(1, part),
        dtype="float32, pretrained",
    )


@pytest.mark.parametrize(
    ("name", "wanted"), [("smollm2_135m", None), ("gemma3_270m", 4)]
)
def test_scoring_against_the_careful_loop(
    table: Table, folder: Path, name: str, wanted: float | None
) -> None:
    """The same queries, with the demonstrations' keys and values shared."""
    scene = Scene.of(
        name,
        folder,
        n_demonstrations=8,
        dataset="opinions",
        n_sets=1,
        n_queries=N_SCORED,
    )
    prompts, labels = scene.prompts.in_context(0), scene.labels()
    table.compare(
        f"ICL, {name}, {N_SCORED} queries",
        lambda: scene.model.next_token_log_probs(prompts)[:, labels],
        threads=2,
        peer=(CAREFUL, lambda: ask(scene.model.model, prompts, labels)),
        wanted=wanted,
        rounds=least(2),
        dtype="float32, pretrained",
    )
