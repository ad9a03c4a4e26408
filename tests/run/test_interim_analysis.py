"""Looking again with more sets: the same sets first, and a cell stops when decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes_fixtures.variants import GRADIENT_LEARNERS

from probes.cards import LinearTasks
from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.data.regression_tasks import draw_nested_tasks
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import OptionError
from probes.learners import Base, InContext, LinearLearner, RandomUpdate
from probes.measurement import Measurement
from probes.observations.request import Request
from probes.run.grid import DATASETS, MODELS
from probes.run.interim_analysis import looks_of, next_look
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided
from tests.support.running import ROOT, run

GD = GRADIENT_LEARNERS["gd"]
CLAIM = ClaimCard(name="c", sentence="It is so.", source="§1", on="text")
LOOKS = GroupSequentialDesign(sizes=(6, 12, 24))


def cell_with(model: str, dataset: str, **sizes: int) -> Cell:
    return Cell(
        model=MODELS.get(model),
        dataset=DATASETS.get(dataset),
        n_demonstrations=4,
        settings=Settings(**{"n_queries": 40, "n_calibration": 4, **sizes}),
    )


# ----------------------------------------------------------------------- nested draws


@settings(deadline=None)
@given(st.integers(1, 35), st.integers(1, 35), st.integers(0, 5))
def test_more_tasks_hold_the_fewer_in_order(few: int, more: int, seed: int) -> None:
    few, more = sorted((few, more))
    sizes = {"n_demonstrations": 3, "n_queries": 4, "seed": seed}
    small, large = (
        draw_nested_tasks(LinearTasks(noise=0.1), n_sets=n, **sizes)
        for n in (few, more)
    )
    for name in ("x", "y", "queries", "answers"):
        assert np.array_equal(getattr(small, name), getattr(large, name)[:few])


def test_tasks_of_different_blocks_differ() -> None:
    sizes = {"n_demonstrations": 3, "n_queries": 4, "seed": 0}
    task = draw_nested_tasks(LinearTasks(), n_sets=30, **sizes)
    assert len(np.unique(task.y)) == task.y.size
    assert np.array_equal(task.queries[0], task.queries[25])


VIEWS: tuple[dict[str, Any], ...] = (
    {}, {"order": 2}, {"draw": 1}, {"labels": "shuffled"}, {"labels": "flipped"},
    {"labels": "abstract"}, {"wording": "unrelated"},
)  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dataset", ["hmm", "headlines"])
def test_more_sets_of_rows_hold_the_fewer_in_order(
    dataset: str, view: dict[str, Any]
) -> None:
    small, large = (
        Request.of(
            cell_with("hmm_llama", dataset, n_sets=n), InContext(), **view
        ).text_task(lambda rows: rows)
        for n in (5, 12)
    )
    assert small.demonstrations == large.demonstrations[:5]
    assert small.queries == large.queries[:5]


@pytest.mark.parametrize(
    ("model", "dataset", "learner", "view"),
    [
        ("hmm_llama", "hmm", InContext(), {}),
        ("hmm_llama", "hmm", InContext(), {"order": 1}),
        ("hmm_llama", "hmm", Base(), {}),
        ("hmm_llama", "hmm", GD, {}),
        ("hmm_llama", "hmm", RandomUpdate(matched_to=GD), {}),
        ("learned_lsa_5", "linear", InContext(), {"order": 1}),
        ("learned_lsa_5", "linear", LinearLearner(algorithm="gd"), {}),
    ],
)
def test_more_sets_are_answered_as_the_fewer_were(
    tmp_path: Path, model: str, dataset: str, learner: Any, view: dict[str, Any]
) -> None:
    observer = Observer(Store(tmp_path))
    small, large = (
        observer.observe(
            Request.of(cell_with(model, dataset, n_sets=n), learner, **view)
        )
        for n in (5, 12)
    )
    for name, array in small.arrays.items():
        np.testing.assert_allclose(array, large[name][:5], atol=2e-5)


# ------------------------------------------------------------------------ another look


def judged(
    mean: float, *, n_sets: int = 6, looks: GroupSequentialDesign = LOOKS
) -> Judge:
    judge = Judge(CLAIM, cell_with("hmm_llama", "hmm", n_sets=n_sets), design=looks)
    noise = 0.5 * np.random.default_rng(0).normal(size=(n_sets, 40))
    values = mean + noise - noise.mean()
    judge.agrees(Measurement(name="gap", unit="", values=values), margin=1.0)
    return judge


@pytest.mark.parametrize(
    ("mean", "verdict", "following"),
    [(0.0, "supported", None), (3.0, "refuted", None), (1.0, "inconclusive", 12)],
)
def test_only_an_undecided_cell_is_looked_at_again(
    mean: float, verdict: str, following: int | None
) -> None:
    judge = judged(mean)
    larger = next_look(judge)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    assert (larger and larger.settings.n_sets) == following


def dismissed(gain: float, *, spread: float = 1.0, n_sets: int = 6) -> Judge:
    judge = Judge(CLAIM, cell_with("hmm_llama", "hmm", n_sets=n_sets), design=LOOKS)
    noise = np.random.default_rng(0).normal(size=(n_sets, 40))
    values = gain + spread * (noise - noise.mean())
    with pytest.raises(Undecided):
        judge.requires(
            Measurement(name="gain", unit="", values=values), otherwise="no gain"
        )
    return judge


@pytest.mark.parametrize(
    ("gain", "spread", "following"),
    [(-0.1, 1.0, None), (0.001, 1.0, None), (0.1, 1.0, 12), (0.2, 99.0, None)],
)
def test_a_cell_that_does_not_apply_goes_on_only_if_more_sets_may_show_a_gain(
    gain: float, spread: float, following: int | None
) -> None:
    larger = next_look(dismissed(gain, spread=spread))
    assert (larger and larger.settings.n_sets) == following


def test_a_cell_that_is_dismissed_for_what_it_is_stops() -> None:
    judge = Judge(CLAIM, cell_with("hmm_llama", "hmm", n_sets=6), design=LOOKS)
    gain = dismissed(0.1).lacking
    assert gain is not None
    with pytest.raises(Undecided):
        judge.dismiss("no checkpoints", gain)
    assert next_look(judge) is None


def test_a_ceiling_is_looked_at_again_unless_it_is_not_above_its_floor() -> None:
    for room, following in ((-1.0, None), (0.02, 12)):
        judge = Judge(CLAIM, cell_with("hmm_llama", "hmm", n_sets=6), design=LOOKS)
        noise = 0.3 * np.random.default_rng(0).normal(size=(6, 40))
        low, high = (
            Measurement(name="s", unit="", values=values)
            for values in (0 * noise, room + noise - noise.mean())
        )
        judge.reaches_ceiling(low, floors={"none": low}, ceiling=high, margin=0.1)
        assert judge.judgement is not None
        expected = "inconclusive" if following else "not_applicable"
        assert judge.judgement.verdict == expected
        larger = next_look(judge)
        assert (larger and larger.settings.n_sets) == following


def test_after_the_last_look_a_cell_stays_undecided() -> None:
    assert next_look(judged(1.0, n_sets=24)) is None


def test_a_cell_whose_rows_run_out_stops_and_says_so() -> None:
    judge = judged(1.0, looks=GroupSequentialDesign(sizes=(6, 10**6)))
    assert next_look(judge) is None
    assert "no further look: hmm has" in judge.note


def test_one_of_several_looks_is_judged_more_strictly() -> None:
    once, thrice = judged(0.4, looks=GroupSequentialDesign(sizes=(6,))), judged(0.4)
    assert once.judgement is not None
    assert thrice.judgement is not None
    p, overall = once.judgement.p_supported, thrice.judgement.p_supported
    assert p is not None
    assert overall == LOOKS.overall_p(p) > p
    narrow, wide = once.judgement.effect, thrice.judgement.effect
    assert narrow.high is not None
    assert wide.high is not None
    assert narrow.high < wide.high
    assert "look 1 of 3 (at 6, 12, 24 sets), each at level 0.0218" in thrice.note
    assert once.note == ""


@given(st.floats(0.5, 1.5))
@settings(deadline=None, max_examples=50)
def test_a_verdict_and_its_overall_p_agree(mean: float) -> None:
    found = judged(mean).judgement
    assert found is not None
    assert found.p_supported is not None
    assert found.p_refuted is not None
    assert (found.verdict == "supported") == (found.p_supported < 0.05)
    assert (found.verdict == "refuted") == (found.p_refuted < 0.05)


def test_a_record_is_not_made_of_cells_of_many_sizes() -> None:
    class Option:
        sets, until_decided, update_expected = 10, 40, True

    with pytest.raises(OptionError, match=r"--until-decided 40 and --update-expected"):
        looks_of(Option())


# ------------------------------------------------------------------------- as a user

SMALL = ("--sets", "5", "--queries", "30", "--calibration", "6", "--orders", "3")
GRID = ("--models", "learned_lsa_5", "--datasets", "linear", "--demos", "10")
CLAIMS = "claims/test_construction.py"


def test_cells_stop_when_decided_and_the_others_go_on(tmp_path: Path) -> None:
    ten = ("--sets", "10", *SMALL[2:])
    found = run(tmp_path, CLAIMS, *GRID, *ten, "--until-decided", "40")
    looked = [row["looks"] for row in found.rows]
    sizes = {n["taken"] for n in looked}
    assert {1, 2} <= sizes  # some were decided at once, and some were not
    for row in found.rows:
        taken, effect = row["looks"]["taken"], row["effects"][0]
        assert effect["n_sets"] == 10 * 2 ** (taken - 1)
        assert taken == 3 or row["alone"] != "inconclusive"
    stored = list((tmp_path / "store").rglob("*.safetensors"))
    assert found.run["observations_measured"] == len(stored)  # of every look
    assert found.run["record"] is None
    assert found.run["provenance"]["options"]["--until-decided"] == "40"


def test_a_cell_looked_at_twice_is_what_a_run_of_that_size_says(
    tmp_path: Path,
) -> None:
    # Of claims on several means, the row shows the one that decides at the level of
    # the look.
    claims = (CLAIMS, "-k", "not depth_is_steps and not which and not weights_are")
    looked = run(tmp_path / "a", *claims, *GRID, *SMALL, "--until-decided", "10")
    sizes = ("--sets", "10", *SMALL[2:])
    at_once = run(tmp_path / "b", *claims, *GRID, *sizes, "--raw")
    effects = {row["test"]: row["effects"][0]["value"] for row in at_once.rows}
    twice = [row for row in looked.rows if row["looks"]["taken"] == 2]
    assert twice
    for row in twice:
        assert row["effects"][0]["value"] == pytest.approx(effects[row["test"]])
        assert row["observations"] == next(
            other["observations"]
            for other in at_once.rows
            if other["test"] == row["test"]
        )


def test_workers_look_as_one_process_does(tmp_path: Path) -> None:
    claim = f"{CLAIMS}::test_k_layers_are_k_steps"
    option = ("--until-decided", "20")
    alone = run(tmp_path / "a", claim, *GRID, *SMALL, *option)
    both = run(tmp_path / "b", claim, *GRID, *SMALL, *option, "-n", "2")
    first, second = (
        [(r["test"], r["alone"], r["looks"]) for r in found.rows]
        for found in (alone, both)
    )
    assert first == second
    assert both.run["observations_measured"] == alone.run["observations_measured"]


def test_a_second_look_must_fit(tmp_path: Path) -> None:
    found = run(tmp_path, CLAIMS, *GRID, *SMALL, "--until-decided", "9")
    assert found.status == 4
    assert "--until-decided is 9, and the first look has 5 sets" in found.text


def test_a_row_that_was_looked_at_keeps_the_schema(tmp_path: Path) -> None:
    import jsonschema

    schema = json.loads((ROOT / "src/probes/results/row.schema.json").read_text())
    claim = f"{CLAIMS}::test_depth_is_steps"
    found = run(tmp_path, claim, *GRID, *SMALL, "--until-decided", "10")
    for row in found.rows:
        jsonschema.validate(row, schema)
