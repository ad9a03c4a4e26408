"""A request: an observation before it is made, and the key of its content."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from probes.cards import DatasetCard, LinearTasks, ModelCard
from probes.cell import Cell, Settings
from probes.data.datasets import read_rows
from probes.data.labelled_rows import LabelledRows
from probes.data.regression_tasks import RegressionTask, draw_nested_tasks, draw_tasks
from probes.data.text_tasks import Labels, Queries, TextTask, draw_text
from probes.data.unrelated_text import Wording
from probes.hashing import canonical, digest_of_json, seed_of
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.engine.observer import Scene


class Learner(Protocol):
    """Something that adapts to demonstrations and answers queries.

    A frozen dataclass whose fields are all its settings; they enter the content key.
    """

    @property
    def needs_model(self) -> bool:
        """Whether its answers depend on a model, or on the task alone."""

    def observe(self, scene: Scene) -> Observation:
        """Answer every query of the scene."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What an observation is of.

    Attributes:
        learner: Who answers.
        model: On which model.
        dataset: From which rows.
        n_demonstrations: Demonstrations in each set.
        settings: Sizes, seed, device and precision.
        order: 0 is the order drawn; others are seeded shuffles of each set.
        draw: 0 is the cell's demonstration sets; others are other sets of that size.
        labels: Whether the demonstrations carry their own labels (see ``prompts``).
        wording: Whether they keep their own words (see ``wording``).
        queries: "calibration" asks queries that no verdict sees.
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

    @classmethod
    def of(cls, cell: Cell, learner: Learner, **changes: Any) -> Request:
        """Ask a learner the queries of a cell; ``changes`` set the other fields."""
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
        """The content key: equal exactly when everything the answer depends on is.

        Raises:
            ModelError: The model's folder cannot be read.
            DataError: The rows cannot be read.
        """
        from probes.models.files.fingerprint import fingerprint

        rows: Any = self.dataset.rows
        if not isinstance(rows, LinearTasks):
            rows = read_rows(self.dataset, self.settings.data_dir).fingerprint
        sizes = canonical(self.settings)
        for irrelevant in ("n_orders", "data_dir"):
            del sizes[irrelevant]
        described = {
            "code": code_version(),
            "learner": canonical(self.learner),
            **_foreign_code(type(self.learner)),
            "model": fingerprint(self.model) if self.learner.needs_model else None,
            "declared": canonical(self.model.declared),
            "n_layers": self.model.n_layers,
            "rows": canonical(rows),
            "n_demonstrations": self.n_demonstrations,
            "settings": sizes,
            "view": [self.order, self.draw, self.labels, self.wording, self.queries],
        }
        return digest_of_json(described)

    @property
    def kind(self) -> str:
        """What takes about the same time for each set: learner, model, prompts."""
        words = [v for v in vars(self.learner).values() if isinstance(v, str)]
        learner = " ".join([type(self.learner).__name__, *words])
        sizes = (self.n_demonstrations, self.settings.n_queries)
        return "|".join(map(str, (learner, self.model.name, self.dataset.name, *sizes)))

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
        return task if self.order == 0 else task.reordered(seed_of(s.seed, self.order))

    def text_task(self, keep: Callable[[LabelledRows], LabelledRows]) -> TextTask:
        """Choose the rows of a text request.

        Args:
            keep: Leaves out the rows that are not to be drawn.

        Raises:
            DataError: There are too few rows, or they cannot be read.
        """
        task = draw_text(
            keep(read_rows(self.dataset, self.settings.data_dir)),
            self.settings,
            n_demonstrations=self.n_demonstrations,
            draw=self.draw,
            labels=self.labels,
            wording=self.wording,
            queries=self.queries,
        )
        if self.order == 0:
            return task
        return task.reordered(seed_of(self.settings.seed, self.order))


@cache
def _foreign_code(learner: type) -> dict[str, str]:
    """Hash the module of a learner that ``code_version`` does not cover.

    Somebody else's learner changes with its own file. Ours adds nothing.
    """
    if learner.__module__.startswith("probes."):
        return {}
    source = getattr(sys.modules.get(learner.__module__), "__file__", None)
    if source is None:
        return {}
    return {"learner_code": hashlib.sha256(Path(source).read_bytes()).hexdigest()}


@lru_cache(maxsize=1)
def code_version() -> str:
    """Hash the source of everything between a request and its answer.

    Any edit there makes new keys, so that two versions of the code never mix results.
    """
    here = Path(__file__).parents[1]
    files = [*(here / "learners").glob("*.py"), *(here / "networks").glob("*.py")]
    names = (
        "engine/observer.py",
        "description.py",
        "prompts.py",
        "reading.py",
        "regression.py",
        "request.py",
        "row_files.py",
        "rows.py",
        "tasks.py",
        "tokens.py",
        "wording.py",
        "hub.py",
        "vocabulary.py",
        "outcome_space.py",
    )
    files += [here / name for name in names]
    hashed = hashlib.sha256()
    for path in sorted(files):
        hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()[:32]
