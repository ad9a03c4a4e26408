"""What a claim declares, and where it applies."""

from __future__ import annotations

from dataclasses import dataclass

from probes.cards import (
    NEEDING_CLOSED_LABELS,
    DatasetCard,
    Family,
    GridSize,
    ModelCard,
)


@dataclass(frozen=True, kw_only=True)
class ClaimCard:
    """A published sentence and where it can be tested.

    Attributes:
        name: The catalogue's id: the test's name without ``test_``.
        sentence: The claim, in words.
        title: A short name in plain words; empty: reports make one from ``name``.
        source: Paper and place, with who disputes it.
        on: The family of tasks.
        variants: An optimiser or a sub-model each. Every variant is a cell of its own,
            and observations read ``cell.variant``.
        full_variants: Further ones, which only ``--grid full`` runs.
        needs_icl: Whether it applies only if the demonstrations teach the model.
        least_demonstrations: The smallest number that it is about; order needs two.
        layers: How many layers the network must have: (lowest, highest); None: any.
        datasets: The datasets that it is about; empty means every one of the family.
        identity: Whether it holds by algebra of any network, trained or not, so that
            nobody counts it as support.
        nearest_in: For a claim of likeness on text, the criterion by which GD comes
            nearest to ICL, such as "token_overlap" (see ``fixtures/variants.py``). The
            trained model's arms without learning get the same rate and passes; networks
            with random weights are trained at their best at the task. Empty: GD is at
            its best at the task too.
        stand_in: The same for a claim whose own measure needs more trainings than a
            search makes, such as those on changed labels: another measure of the
            answers in its place. The row says so.
        needs_pairs: Whether it is only about linear self-attention on tokens (x, y).
        needs_labels: Whether it is only about a closed set of labels.
        needs_reversal: Whether it is only about rows that can be asked in reverse.
        measured: What is measured, in symbols or words.
        refuted_if: What would refute it; read off the call of the judge.
        controls: What the measurement is compared with, so that it means something.
        reported: What the papers found; "not measured" if they did not look.
        margin: Why the margin is as large as it is.
    """

    name: str
    sentence: str
    source: str
    on: Family
    title: str = ""
    variants: tuple[str, ...] = ()
    full_variants: tuple[str, ...] = ()
    needs_icl: bool = False
    least_demonstrations: int = 1
    layers: tuple[int, int] | None = None
    datasets: tuple[str, ...] = ()
    identity: bool = False
    needs_pairs: bool = False
    nearest_in: str = ""
    stand_in: str = ""
    needs_labels: bool = False
    needs_reversal: bool = False
    measured: str = ""
    refuted_if: str = ""
    controls: str = ""
    reported: str = ""
    margin: str = ""

    @property
    def nearest_by(self) -> str:
        """The criterion by which GD comes nearest to ICL; empty if it need not."""
        return self.nearest_in or self.stand_in

    def applies_to(self, model: ModelCard, dataset: DatasetCard) -> bool:
        """Say whether the claim is about this model and this dataset."""
        if dataset.family != self.on or not model.answers(dataset):
            return False
        if model.default_claims and self.name not in model.default_claims:
            return False
        if self.needs_pairs and not model.attends_to_pairs:
            return False
        if self.needs_labels and not dataset.has_closed_labels:
            return False
        if self.needs_reversal and not dataset.can_be_reversed:
            return False
        if self.datasets and dataset.name not in self.datasets:
            return False
        if self.layers is None:
            return True
        return self.layers[0] <= (model.n_layers or 0) <= self.layers[1]

    def variants_of(
        self, size: GridSize, dataset: DatasetCard, named: tuple[str, ...] = ()
    ) -> tuple[str | None, ...]:
        """List the variants in a grid of this size; (None,) if there are none.

        Open answers have no variant that needs a closed set of labels.

        Args:
            size: The grid.
            dataset: The dataset.
            named: The only variants; empty for those of the grid.
        """
        of_size = (*self.variants, *(self.full_variants if size == "full" else ()))
        named = named or of_size
        if not named:
            return (None,)
        left_out = () if dataset.has_closed_labels else NEEDING_CLOSED_LABELS
        return tuple(variant for variant in named if variant not in left_out)

    def id_of(self, variant: str | None) -> str:
        """Name the claim in rows and records: ``name`` or ``name[variant]``."""
        return self.name if variant is None else f"{self.name}[{variant}]"
