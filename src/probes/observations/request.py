"""A request for an observation, and the key of the observation's content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from probes.cards import DatasetCard, LinearTasks, ModelCard
from probes.cell import Cell, Settings
from probes.data.changed_labels import Labels
from probes.data.chat import chat_description
from probes.data.datasets import read_rows
from probes.data.labelled_rows import LabelledRows
from probes.data.long_rows import left_out_text, without_long_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.regression_tasks import RegressionTask, draw_nested_tasks, draw_tasks
from probes.data.row_pools import Queries
from probes.data.shown_subsets import (
    Shown,
    is_relabelled,
    places_shown,
    sets_of_each,
)
from probes.data.text_tasks import TextTask, draw_text
from probes.data.unrelated_text import Wording
from probes.hashing import canonical, digest_of_json, seed_of
from probes.models.loaders import loader_path
from probes.observations.observation import Observation
from probes.source_code import code_digest

AnyTask = TypeVar("AnyTask", RegressionTask, TextTask)


class Learner(Protocol):
    """Something that adapts to demonstrations and answers queries.

    A learner is a frozen dataclass. Its fields are all its settings, and they enter the
    content key. It may also count its cost (see ``learner_cost.CountsItsCost``), share
    its work (``shared_work.SharesWork``), and state by ``has_no_order = True`` that the
    order of the demonstrations does not matter to it.
    """

    @property
    def needs_model(self) -> bool:
        """Whether the answers depend on a model, and not on the task alone."""

    def observe(self, context: LearnerContext) -> Observation:
        """Answer every query of the context's request."""


IRRELEVANT = ("n_orders", "data_dir", "effort", "unused_tensors", "rates", "passes")
"""Settings on which no answer depends; learners hold the last two and the effort."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A learner, and everything else on which its answers depend.

    Attributes:
        learner: The learner that answers.
        model: The model that it uses.
        dataset: The dataset from which rows or tasks are drawn.
        n_demonstrations: Demonstrations in each set.
        settings: Sizes, seed, device and precision.
        order: 0 is the order drawn; other numbers are seeded shuffles of each set. It
            stays 0 for learners that read all demonstrations at once.
        draw: 0 draws the cell's demonstration sets; other numbers draw other sets of
            the same size.
        labels: The demonstrations' labels (see ``changed_labels``).
        wording: The words of inputs (see ``unrelated_text``).
        queries: What is asked (see ``text_tasks``).
        shown: Which demonstrations of each set the learner sees (see
            ``shown_subsets``); a view of single ones makes several sets of each set.
    """

    learner: Learner
    model: ModelCard
    dataset: DatasetCard
    n_demonstrations: int
    settings: Settings
    order: int = 0
    draw: int = 0
    labels: Labels = "gold"
    wording: Wording = "own"
    queries: Queries = "verdict"
    shown: Shown = "all"

    def __post_init__(self) -> None:
        if getattr(self.learner, "has_no_order", False):
            object.__setattr__(self, "order", 0)

    @classmethod
    def of(cls, cell: Cell, learner: Learner, **changes: Any) -> Request:
        """Build the request of a cell; ``changes`` set the other fields."""
        changes.setdefault("model", cell.model)
        return cls(
            learner=learner,
            dataset=cell.dataset,
            n_demonstrations=cell.n_demonstrations,
            settings=cell.settings,
            **changes,
        )

    @cached_property
    def key(self) -> str:
        """The content key, equal for two requests exactly when their answers must be.

        Raises:
            ModelError: The model's folder cannot be read.
            DataError: The rows cannot be read.
        """
        from probes.models.files.fingerprint import fingerprint

        rows: Any = self.dataset.rows
        if not isinstance(rows, LinearTasks):
            rows = read_rows(self.dataset, self.settings.data_dir).fingerprint
        sizes = canonical(self.settings)
        for irrelevant in IRRELEVANT:
            del sizes[irrelevant]
        described = {
            "code": code_of(self.learner, self.model),
            "learner": canonical(self.learner),
            "model": fingerprint(self.model) if self.learner.needs_model else None,
            "declared": canonical(self.model.declared),
            "n_layers": self.model.n_layers,
            "rows": canonical(rows),
            "n_demonstrations": self.n_demonstrations,
            "settings": sizes,
            "view": [self.order, self.draw, self.labels, self.wording, self.queries],
            "shown": self.shown,
        }
        return digest_of_json(described)

    @property
    def n_sets(self) -> int:
        """How many sets the learner answers after, in the cell's own sizes."""
        made = sets_of_each(self.shown, self.n_demonstrations)
        return self.settings.n_sets * made

    @property
    def kind(self) -> str:
        """Names requests that take about the same time: learner, model, prompts."""
        learner = " ".join(_words_of(self.learner))
        sizes = (self.n_demonstrations, self.settings.n_queries)
        if self.shown != "all":
            learner += f" {self.shown}"
        return "|".join(map(str, (learner, self.model.name, self.dataset.name, *sizes)))

    def of_choice(self, choice: Learner) -> Request:
        """Ask a learner to choose another learner's settings.

        The choice is made on calibration queries, with the demonstrations' own labels
        and words. Learners that see other labels or words therefore have the same
        settings. If the demonstrations themselves are asked, in reverse too, it is made
        on their direct form.
        """
        is_of_facts = self.queries in ("demonstrated", "reversed")
        return replace(
            self,
            learner=choice,
            queries="demonstrated" if is_of_facts else "calibration",
            order=0,
            draw=0,
            labels="gold",
            wording="own",
            shown="all",
        )

    def regression_task(self) -> RegressionTask:
        """Draw the tasks of a regression request."""
        assert isinstance(self.dataset.rows, LinearTasks)
        s = self.settings
        is_judged = self.queries == "verdict"
        draw = draw_nested_tasks if is_judged else draw_tasks
        task = draw(
            self.dataset.rows,
            n_sets=s.n_sets if is_judged else s.n_calibration,
            n_demonstrations=self.n_demonstrations,
            n_queries=s.n_queries,
            seed=seed_of(s.seed, self.draw, self.queries),
        )
        return self._in_view(task)

    def text_task(self, select: Callable[[LabelledRows], LabelledRows]) -> TextTask:
        """Choose the rows of a text request.

        Args:
            select: Removes rows before the draw.

        Raises:
            DataError: There are too few rows, or they cannot be read.
        """
        task = draw_text(
            select(read_rows(self.dataset, self.settings.data_dir)),
            self.settings,
            n_demonstrations=self.n_demonstrations,
            draw=self.draw,
            labels=self.labels,
            wording=self.wording,
            queries=self.queries,
        )
        return self._in_view(task)

    def _in_view(self, task: AnyTask) -> AnyTask:
        """Order the demonstrations, and leave out or relabel those of the view."""
        if self.order == 0 and self.shown == "all":
            return task
        seed = seed_of(self.settings.seed, self.order) if self.order else None
        places = places_shown(task.orders(seed), self.shown)
        return task.showing(places).relabelled(is_relabelled(places, self.shown))


@dataclass(frozen=True, kw_only=True)
class LearnerContext:
    """Everything that a learner may use to answer a request.

    Attributes:
        request: The request.
        load: Loads the network of a card, on the request's device and in its precision.
        answer: Answers another request, from the store if possible.
        report: Says in a few words how far a long observation has come.
        leave_out: Says in words what the answer does without; nothing if empty.
        progress: Gives what an interrupted run kept of this request; None if nothing.
        keep: Keeps how far the request has come, for a run after an interruption.
    """

    request: Request
    load: Callable[[ModelCard], Any]
    answer: Callable[[Request], Observation]
    report: Callable[[str], None] = lambda words: None
    leave_out: Callable[[str], None] = lambda words: None
    progress: Callable[[], Observation | None] = lambda: None
    keep: Callable[[Observation], None] = lambda progress: None

    @property
    def model(self) -> Any:
        """The loaded network of the request (see ``models.model_cache``)."""
        model = self.load(self.request.model)
        self.leave_out(getattr(model, "left_out", ""))
        return model

    def text_task(self) -> TextTask:
        """Choose the rows that demonstrate and the queries.

        Raises:
            DataError: There are too few rows, or they cannot be read.
        """
        request, model = self.request, self.model

        def described(rows: LabelledRows) -> LabelledRows:
            if not request.settings.chat:
                return rows
            chat = chat_description(rows.description, model.tokenizer)
            return replace(rows, description=chat)

        if request.settings.long_rows == "error":
            return request.text_task(described)
        share = model.context // (request.n_demonstrations + 1)

        def short_rows(rows: LabelledRows) -> LabelledRows:
            short = without_long_rows(described(rows), model.tokenizer, share)
            self.leave_out(left_out_text(rows, short, share))
            return short

        return request.text_task(short_rows)

    def prompts(self) -> EncodedPrompts:
        """Draw the texts of the request and encode them for its model.

        Raises:
            DataError: There are too few rows, or the tokenizer merges an answer with
                its prompt.
        """
        return EncodedPrompts.of(self.model, self.text_task())

    def observe(self, learner: Learner, **changes: Any) -> Observation:
        """Ask another learner in the same cell; ``changes`` set other fields."""
        return self.answer(replace(self.request, learner=learner, **changes))

    def choose(self, choice: Learner) -> dict[str, Any]:
        """Let a learner choose another learner's settings.

        Args:
            choice: The learner that chooses, such as ``rate_choice.RateChoice`` (see
                ``Request.of_choice``).

        Returns:
            The facts of its observation.
        """
        return dict(self.answer(self.request.of_choice(choice)).facts)


def code_of(learner: Learner, model: ModelCard) -> str:
    """Hash the code between a request and its answer.

    This is the code of the learner and of the learners in its fields, the code that
    draws its rows or tasks, the code that loads and keeps its model, and everything
    that these reach by import. The observer only hands the answer on; it is left out.
    """
    roots = {__name__, *_modules_of(learner)}
    if learner.needs_model:
        roots |= {loader_path(model)[0], "probes.models.model_cache"}
    return code_digest(frozenset(roots))


def _words_of(learner: Any) -> Iterator[str]:
    """Name what decides how long a learner takes, with the learners in its fields."""
    yield type(learner).__name__
    for name, value in vars(learner).items():
        if isinstance(value, str):
            yield value
        elif hasattr(value, "observe"):
            yield from _words_of(value)
        elif name == "batch_size" and value is not None:
            yield f"batch {value}"
        elif name == "effort":
            yield "x".join(str(part) for part in astuple(value) if part != ())


def _modules_of(value: Any) -> Iterator[str]:
    """Name the modules of a dataclass and of the dataclasses in its fields."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from _modules_of(part)
    elif is_dataclass(value):
        yield type(value).__module__
        for field in fields(value):
            yield from _modules_of(getattr(value, field.name))
