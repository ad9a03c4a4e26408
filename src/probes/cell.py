"""One cell of the matrix, and the sizes that every cell of a run shares."""

from __future__ import annotations

from dataclasses import dataclass

from probes.cards import DatasetCard, ModelCard
from probes.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The sizes of every cell of a run, and where and how models run.

    Attributes:
        n_sets: Demonstration sets, the unit that carries the power of a verdict.
        n_queries: Queries answered after each demonstration set.
        n_orders: Orders of the same demonstrations.
        n_calibration: Queries on which rates and steps are chosen.
        seed: Seed of everything that is drawn.
        device: "cpu", "cuda", "cuda:N", or "auto", which spreads a model over GPUs.
        dtype: Precision in which text models run: float32, bfloat16, float16, float64.
        data_dir: Folder in which datasets are looked up; None: only what ships.
        long_rows: What becomes of rows that are too long for the model's context when
            every demonstration and the query have an equal share of it: "error" keeps
            them, and the cell stops if its prompts do not fit; "drop" draws from the
            others only, which is another, easier population of rows.

    Raises:
        OptionError: A size is below its least useful value.
    """

    n_sets: int = 10
    n_queries: int = 40
    n_orders: int = 6
    n_calibration: int = 24
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    data_dir: str | None = None
    long_rows: str = "error"

    def __post_init__(self) -> None:
        least = {"n_sets": 1, "n_queries": 1, "n_orders": 2, "n_calibration": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value < bound:
                option = "--" + name.removeprefix("n_").replace("_", "-")
                raise OptionError(
                    f"{option} is {value}. Expected at least {bound}. "
                    f"Pass {option} {bound} or more."
                )
        if self.dtype not in ("float32", "float64", "bfloat16", "float16"):
            raise OptionError(
                f"--dtype is {self.dtype!r}. Expected float32, float64, bfloat16 or "
                f"float16. Pass one of these."
            )


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of the matrix: what a claim is judged on."""

    model: ModelCard
    dataset: DatasetCard
    n_demonstrations: int
    settings: Settings
    variant: str | None = None

    @property
    def id(self) -> str:
        """The cell's part of the test id, joined by hyphens."""
        parts = [self.model.name, self.dataset.name, str(self.n_demonstrations)]
        return "-".join(parts if self.variant is None else [*parts, self.variant])
