"""A cell of the matrix, and the settings that all cells of a run share."""

from __future__ import annotations

from dataclasses import dataclass

from probes.cards import DatasetCard, ModelCard
from probes.errors import OptionError

EFFORTS = ("quick", "standard", "thorough")
"""How much a run spends on giving GD its best chance, the cheapest first."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The sizes of every cell of a run, and how models run.

    Attributes:
        n_sets: Demonstration sets; more sets give a verdict more power.
        n_queries: Queries after each demonstration set.
        n_orders: Orders of the same demonstrations.
        n_calibration: Queries on which rates and passes are chosen.
        seed: Seed of everything that is drawn.
        device: "cpu", "cuda", "cuda:N", or "auto", which spreads a model over GPUs.
        dtype: Precision of text models: float32, bfloat16, float16 or float64.
        data_dir: Folder in which relative dataset locations are looked up, or None.
        long_rows: What happens to rows that exceed their share of the model's context,
            which all demonstrations and the query divide equally. "error" keeps them,
            and the cell is an error if its prompts do not fit. "drop" draws from the
            other rows only, which are an easier population.
        chat: Whether prompts are turns of a chat, as the tokenizer's template writes
            them (see ``data.chat``).
        unused_tensors: What happens to a checkpoint with tensors that its configuration
            does not use: "error" refuses it; "allow" leaves them out; rows say which.
        effort: How much the search for GD's rate and passes may cost, and which arms
            there are: one of ``EFFORTS``.
        rates: The only learning rates of GD, ascending; empty searches for the best.
        passes: The only numbers of passes (epochs) after which GD is read, ascending;
            empty searches for the best.

    Raises:
        OptionError: A size is too small, the dtype or the effort is not known, or only
            one of rates and passes is given.
    """

    n_sets: int = 10
    n_queries: int = 40
    n_orders: int = 10
    n_calibration: int = 24
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    data_dir: str | None = None
    long_rows: str = "error"
    chat: bool = False
    unused_tensors: str = "error"
    effort: str = "standard"
    rates: tuple[float, ...] = ()
    passes: tuple[int, ...] = ()

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
        if self.effort not in EFFORTS:
            raise OptionError(
                f"--effort is {self.effort!r}. Expected one of {', '.join(EFFORTS)}. "
                f"Pass one of these."
            )
        if bool(self.rates) != bool(self.passes):
            given, other = ("rates", "passes") if self.rates else ("passes", "rates")
            raise OptionError(
                f"--{given} is given without --{other}. Expected both, or neither to "
                f"search for the best of both. Pass --{other} too."
            )


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a claim is judged on: one entry of the matrix.

    Attributes:
        model: The model.
        dataset: The dataset.
        n_demonstrations: Demonstrations before each query.
        settings: The sizes that all cells of a run share.
        variant: The claim's variant, or None.
        nearest_in: The criterion by which GD's rate and passes are chosen, if the claim
            is one of likeness (see ``ClaimCard.nearest_by``); else empty.
    """

    model: ModelCard
    dataset: DatasetCard
    n_demonstrations: int
    settings: Settings
    variant: str | None = None
    nearest_in: str = ""

    @property
    def id(self) -> str:
        """The cell's part of the test id: its names, joined by hyphens."""
        parts = [self.model.name, self.dataset.name, str(self.n_demonstrations)]
        return "-".join(parts if self.variant is None else [*parts, self.variant])
