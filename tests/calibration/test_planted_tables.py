"""The tables of planted truths count the rows of the runs, and name what is wrong."""

from __future__ import annotations

from typing import Any

from probes.calibration.plant_expectations import (
    ADDS_UP,
    AT_ITS_BEST,
    DROWNED_BY_ANY_NOISE,
    KEEP_GD,
    MOVED_BY_ANY_NOISE,
    NEVER_ASKED_IN_ORDER,
    ONE_NUMBER,
    ORDERLESS,
    REORDERED_BY_ANY_NOISE,
    UNMOVED_BY_NOISE,
)
from probes.calibration.planted_cells import TEXT_REDRAWN
from probes.calibration.planted_runs import PlantedRun
from probes.calibration.planted_tables import (
    claims_table,
    count_planted,
    plants_table,
    searches_table,
    wrong_lines,
)
from probes.calibration.plants import PLANTS
from probes.calibration.search_worlds import SearchCount

GD, LOUD = "GD at rate 0.01", "GD and large noise"


def run(plant: str, seed: int, **verdicts: str) -> PlantedRun:
    rows = tuple(
        {"claim": claim.replace("__gd", "[gd]"), "verdict": v, "alone": v}
        for claim, v in verdicts.items()
    )
    return PlantedRun(part="text", plant=plant, seed=seed, commit="c", rows=rows)


RUNS = [
    run(GD, 1, same_update="supported", same_accuracy__gd="supported"),
    run(GD, 2, same_update="refuted", same_accuracy__gd="inconclusive"),
    run(GD, 3, same_update="refuted", same_accuracy__gd="not_applicable"),
    run(LOUD, 1, same_update="supported", same_accuracy__gd="supported"),
]


def test_counts_are_those_of_the_rows() -> None:
    counts = {(c.plant, c.claim): c for c in count_planted(RUNS)}
    update = counts[GD, "same_update"]
    assert update.verdicts == {"supported": 1, "refuted": 2}
    assert (update.seeds, update.n_cells, update.n_wrong) == (3, 3, 2)
    assert sum(c.n_cells for c in counts.values()) == sum(len(r.rows) for r in RUNS)


def test_a_cell_that_was_judged_often_counts_as_often() -> None:
    row: dict[str, Any] = {
        "claim": "same_update",
        "verdicts": {"supported": 195, "refuted": 5},
        "corrected": {"supported": 197, "refuted": 3},
    }
    made = {"part": TEXT_REDRAWN.name, "plant": GD, "commit": "c", "rows": (row,)}
    runs = [PlantedRun(seed=seed, **made) for seed in (1, 2)]
    (count,) = count_planted(runs)
    assert count.verdicts == {"supported": 390, "refuted": 10}
    assert (count.n_cells, count.n_wrong, count.n_wrong_corrected) == (400, 10, 6)
    assert "| 2 × 200 draws | 390 | 10 |" in "\n".join(plants_table([count]))


def test_a_cell_counts_by_its_verdict_before_the_correction() -> None:
    row: dict[str, Any] = {
        "claim": "c", "verdict": "inconclusive", "alone": "refuted"
    }  # fmt: skip
    one = PlantedRun(part="text", plant=GD, seed=1, commit=None, rows=(row,))
    (count,) = count_planted([one])
    assert (count.verdicts, count.n_wrong) == ({"refuted": 1}, 1)


def test_what_the_correction_takes_back_is_told_apart() -> None:
    row: dict[str, Any] = {
        "claim": "same_update", "verdict": "inconclusive", "alone": "refuted"
    }  # fmt: skip
    one = PlantedRun(part="text", plant=GD, seed=1, commit=None, rows=(row,))
    (count,) = count_planted([one])
    assert (count.n_wrong, count.n_wrong_corrected) == (1, 0)
    (line,) = wrong_lines([count])
    assert line.endswith("in 1 of 1 cells, and in 0 after the correction over its run.")
    *_, table = plants_table([count])
    assert "1 of 1; corrected 0" in table


def test_nothing_is_expected_of_claims_that_a_plant_leaves_open() -> None:
    counts = {(c.plant, c.claim): c for c in count_planted(RUNS)}
    assert counts[LOUD, "same_update"].n_wrong == 1
    assert counts[LOUD, "same_accuracy[gd]"].expected == ""
    assert counts[LOUD, "same_accuracy[gd]"].n_wrong == 0


def test_the_table_of_plants_adds_up() -> None:
    *_, gd, loud = plants_table(count_planted(RUNS))
    assert gd.split(" | ")[2:] == ["3", "2", "2", "1", "1", "0", "never refuted",
                                   "2 of 6; corrected 2", "c |"]  # fmt: skip
    assert loud.split(" | ")[2:] == ["1", "2", "0", "0", "0", "0", "never supported",
                                     "1 of 1; corrected 1", "c |"]  # fmt: skip


def test_the_table_of_claims_shows_wrong_verdicts_in_bold() -> None:
    lines = list(claims_table(count_planted(RUNS)))
    assert lines[0] == "| claim | 3 | 8 |" or lines[0].startswith("| claim |")
    assert "| same_update | S 1 **R 2** | **S 1** |" in lines
    assert "| same_accuracy[gd] | S 1 I 1 – 1 | S 1 |" in lines


def test_what_was_not_expected_is_listed_the_worst_first() -> None:
    found = list(wrong_lines(count_planted(RUNS)))
    assert [line.rpartition(": ")[2] for line in found] == [
        "supported in 1 of 1 cells, and in 1 after the correction over its run.",
        "refuted in 2 of 3 cells, and in 2 after the correction over its run.",
    ]


def test_plants_leave_open_only_what_they_say() -> None:
    rules = ("label prior", "majority label", "label of the last demonstration")
    for plant in PLANTS.values():
        allowed = AT_ITS_BEST if "GD at" in plant.name or plant.noise else frozenset()
        if plant.replaces == "GD":
            allowed = KEEP_GD | (
                NEVER_ASKED_IN_ORDER if "ICL" in plant.name else ORDERLESS | ADDS_UP
            )
        if plant.noise:
            allowed = allowed | UNMOVED_BY_NOISE | MOVED_BY_ANY_NOISE
            allowed = allowed | DROWNED_BY_ANY_NOISE | REORDERED_BY_ANY_NOISE
        if plant.name.startswith(rules):
            allowed = allowed | ONE_NUMBER | UNMOVED_BY_NOISE
        if "nearest" in plant.name:
            allowed = AT_ITS_BEST
        assert plant.open_in <= allowed
        assert plant.name == "as it is" or plant.replaces


def test_a_claim_is_left_open_in_all_its_variants() -> None:
    plant = PLANTS["ICL in place of GD"]
    claim = "same_demonstration_influence"
    assert plant.expected_of(f"{claim}[inner_product]") == "never refuted"
    assert plant.expected_of(f"{claim}[leave_one_out]") == "never refuted"
    assert plant.expected_of("same_order_sensitivity[gd]") == ""


def test_searches_are_shown_with_their_refutations() -> None:
    verdicts = {"interior, refuted": 2, "interior, supported": 5, "open, refuted": 1}
    count = SearchCount(
        world="w", criterion="nearest to ICL", runs=9, right=6, wrong=1, open=2,
        worst=0.042, verdicts=verdicts,
    )  # fmt: skip
    *_, line = searches_table([count])
    assert line == "| w | nearest to ICL | 9 | 6 | 1 | 4.2 % | 2 | 2 | 1 |"
