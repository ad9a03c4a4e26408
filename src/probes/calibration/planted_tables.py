"""Count the verdicts of runs with planted truths, and write them as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from probes.calibration.planted_cells import PARTS
from probes.calibration.planted_runs import PlantedRun
from probes.calibration.plants import PLANTS, Plant
from probes.calibration.search_worlds import SearchCount

LETTERS = {
    "supported": "S",
    "refuted": "R",
    "inconclusive": "I",
    "not_applicable": "–",
    "error": "E",
}
FORBIDDEN = {"never refuted": "refuted", "never supported": "supported"}


@dataclass(frozen=True, kw_only=True)
class PlantedCount:
    """How often one claim got each verdict with one plant.

    Attributes:
        part: Name of the cells.
        plant: Name of the plant.
        claim: The claim, with its variant.
        seeds: Number of seeds.
        commits: The versions of the code that judged.
        verdicts: How many cells got each verdict, before the correction over a matrix.
        corrected: The same after the correction over the cells of each run; empty in
            counts that were made before it was kept.
    """

    part: str
    plant: str
    claim: str
    seeds: int
    commits: tuple[str, ...]
    verdicts: dict[str, int]
    corrected: dict[str, int] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return sum(self.verdicts.values())

    @property
    def expected(self) -> str:
        """What is not to happen; empty if nothing is expected of this claim."""
        return PLANTS[self.plant].expected_of(self.claim)

    @property
    def n_wrong(self) -> int:
        """The number of cells with the verdict that is not to happen."""
        return self.verdicts.get(FORBIDDEN.get(self.expected, ""), 0)

    @property
    def n_wrong_corrected(self) -> int:
        """How many of these cells keep that verdict after the correction."""
        kept = self.corrected or self.verdicts
        return kept.get(FORBIDDEN.get(self.expected, ""), 0)


def count_planted(runs: Iterable[PlantedRun]) -> list[PlantedCount]:
    """Count the verdicts of every claim with every plant."""
    seeds: dict[tuple[str, str], set[int]] = {}
    commits: dict[tuple[str, str], set[str]] = {}
    found: dict[tuple[str, str, str], tuple[Counter[str], Counter[str]]] = {}
    for run in runs:
        seeds.setdefault((run.part, run.plant), set()).add(run.seed)
        commits.setdefault((run.part, run.plant), set()).add(run.commit or "unknown")
        for row in run.rows:
            place = run.part, run.plant, row["claim"]
            alone, corrected = found.setdefault(place, (Counter(), Counter()))
            alone.update(row.get("verdicts") or [verdict_of(row)])
            corrected.update(row.get("corrected") or [row["verdict"]])
    return [
        PlantedCount(
            part=part,
            plant=plant,
            claim=claim,
            seeds=len(seeds[part, plant]),
            commits=tuple(sorted(commits[part, plant])),
            verdicts=_present(alone),
            corrected=_present(corrected),
        )
        for (part, plant, claim), (alone, corrected) in found.items()
    ]


def _present(counts: Counter[str]) -> dict[str, int]:
    """Order the verdicts that occur."""
    return {name: counts[name] for name in LETTERS if counts[name]}


def verdict_of(row: dict[str, str]) -> str:
    """Return a cell's own verdict: the correction over a matrix can only weaken it."""
    return row["alone"] or row["verdict"]


def plants_table(counts: Sequence[PlantedCount]) -> Iterator[str]:
    """Sum up the claims of a part: one line for each plant, with its number."""
    yield (
        "| | in place of ICL, unless the name says otherwise | seeds | supported | "
        "refuted | inconclusive | not applicable | errors | expected | otherwise | "
        "code |"
    )
    yield "|---" * 11 + "|"
    for number, plant in enumerate(PLANTS.values(), start=1):
        of_plant = [count for count in counts if count.plant == plant.name]
        if of_plant:
            yield _plant_line(number, plant, of_plant)


def _plant_line(number: int, plant: Plant, counts: Sequence[PlantedCount]) -> str:
    totals = Counter[str]()
    for count in counts:
        totals.update(count.verdicts)
    judged = [count for count in counts if count.expected]
    n_cells = sum(count.n_cells for count in judged)
    wrong = f"{sum(c.n_wrong for c in judged)} of {n_cells}" if judged else ""
    if any(count.n_wrong for count in judged):
        wrong += f"; corrected {sum(c.n_wrong_corrected for c in judged)}"
    numbers = " | ".join(str(totals[name]) for name in LETTERS)
    name = plant.name if plant.replaces else "nothing: the instrument as it is"
    seeds = str(max(count.seeds for count in counts))
    if redraws := PARTS[counts[0].part].redraws:
        seeds += f" × {redraws} draws"
    code = ", ".join(sorted({commit[:7] for c in counts for commit in c.commits}))
    return (
        f"| {number} | {name} | {seeds} | {numbers} | {plant.expected} | {wrong} | "
        f"{code} |"
    )


def claims_table(counts: Sequence[PlantedCount]) -> Iterator[str]:
    """Write every claim's verdicts with every plant; wrong ones are bold."""
    present = [name for name in PLANTS if any(c.plant == name for c in counts)]
    numbers = [list(PLANTS).index(name) + 1 for name in present]
    yield "| claim | " + " | ".join(map(str, numbers)) + " |"
    yield "|---" * (len(present) + 1) + "|"
    for claim in dict.fromkeys(count.claim for count in counts):
        of_claim = {c.plant: c for c in counts if c.claim == claim}
        texts = [_verdicts(of_claim[p]) if p in of_claim else "" for p in present]
        yield f"| {claim} | " + " | ".join(texts) + " |"


def _verdicts(count: PlantedCount) -> str:
    """Write the verdicts of a claim, such as ``S 18 I 2``."""
    wrong = FORBIDDEN.get(count.expected, "")
    parts = (
        f"**{LETTERS[name]} {n}**" if name == wrong else f"{LETTERS[name]} {n}"
        for name, n in count.verdicts.items()
    )
    return " ".join(parts)


def wrong_lines(counts: Iterable[PlantedCount]) -> Iterator[str]:
    """List what happened although it was not expected to, the worst first."""
    wrong = [count for count in counts if count.n_wrong]
    for count in sorted(wrong, key=lambda c: -c.n_wrong / c.n_cells):
        verb = FORBIDDEN[count.expected]
        yield (
            f'- `{count.claim}` with the plant "{count.plant}": {verb} in '
            f"{count.n_wrong} of {count.n_cells} cells, and in "
            f"{count.n_wrong_corrected} after the correction over its run."
        )


def searches_table(searches: Iterable[SearchCount]) -> Iterator[str]:
    """Write what became of the searches in every world."""
    yield (
        "| where the search begins | it looks for GD | searches | interior, right | "
        "interior, wrong | worst, interior | not interior | refuted, interior | "
        "refuted, not interior |"
    )
    yield "|---" * 9 + "|"
    for count in searches:
        refuted = [
            str(count.verdicts.get(f"{place}, refuted", 0)) if count.verdicts else ""
            for place in ("interior", "open")
        ]
        is_any = count.right + count.wrong
        worst = f"{100 * count.worst:.1f} %" if is_any else ""
        found = (count.runs, count.right, count.wrong, worst, count.open, *refuted)
        texts = " | ".join(map(str, found))
        yield f"| {count.world} | {count.criterion} | {texts} |"
