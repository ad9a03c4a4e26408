"""A set-up fills the options that nobody gave, and names the claims that are judged."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import probes_fixtures.setups  # noqa: F401 - fills the registry
import pytest
from probes_fixtures.observations import gd_orders_over_passes
from probes_fixtures.variants import GRADIENT_LEARNERS

from probes.cell import Settings
from probes.claims import ClaimCard
from probes.errors import OptionError, UnknownNameError
from probes.run.ini_options import complete
from probes.run.listing import find_claims, listing
from probes.run.options import RUN_OPTIONS, RunOption
from probes.run.parsed_options import grid_of, options_of_rerun, why_no_template
from probes.run.setups import SETUPS, filled_by, setup_facts, setup_named
from tests.support.running import ROOT

CLAIMS = {card.name: card for card in find_claims([str(ROOT / "claims")])}
SHEN = setup_named("shen2024")
PUBLISHED = {
    "--datasets": "agnews,cb,sst2,rte,hmm_many",  # Table 1; the last is ours
    "--template": "zhao",  # most likely
    "--demos": "1,2,4,8",  # figures
    "--orders": "10",  # R in Sen
    "--rates": "1e-4,5e-4,1e-3,5e-3",  # legends of the figures
    "--passes": "20,40,60,80,100,120,140,160,180,200",  # Figure 5
}
ANSWERS = (
    "gd",
    "sgd_fixed",
    "adam",
    "gd_middle_W_V",
    "gd_deep_W_V",
    "gd_label_words",
    "gd_after_others",
)
JUDGED: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "same_accuracy": (ANSWERS, ()),
    "same_top_tokens": (ANSWERS, ()),
    "same_confidence": (ANSWERS, ()),
    "same_order_sensitivity": (("gd", "sgd_fixed", "adam"), (8,)),
    "same_data_efficiency_with_more": (("times_64",), (8,)),  # 512 against 8
    "weights_are_sparse_as_constructed": ((), (8,)),
    "robust_to_weight_change": ((), (8,)),
    "icl_survives_late_drift": ((), (8,)),
}


def options(*, file: Mapping[str, Any] | None = None, **given: Any) -> Namespace:
    """Complete options as a run does."""
    option = Namespace(**{each.attribute: None for each in RUN_OPTIONS} | given)
    complete(option, (file or {}).get)
    return option


def shen(**given: Any) -> Namespace:
    return options(setup="shen2024", **{"models": "hmm_llama", **given})


def test_the_set_up_of_shen_sets_what_the_paper_states() -> None:
    assert {v.option: v.value for v in SHEN.values} == PUBLISHED
    assert {c.name: (c.variants, c.demonstrations) for c in SHEN.claims} == JUDGED


@pytest.mark.parametrize("setup", tuple(SETUPS), ids=lambda setup: setup.name)
def test_every_value_and_claim_names_its_source_in_the_study(setup: Any) -> None:
    for part in (*setup.values, *setup.claims):
        assert any(word in part.source for word in ("Table", "Fig", "§", "stated",
                                                    "figures")), part  # fmt: skip


@pytest.mark.parametrize("setup", tuple(SETUPS), ids=lambda setup: setup.name)
def test_a_set_up_names_options_and_claims_that_there_are(setup: Any) -> None:
    names = {option.name: option for option in RUN_OPTIONS}
    for value in setup.values:
        assert names[value.option].kind(value.value)
    for asked in setup.claims:
        card: ClaimCard = CLAIMS[asked.name]
        assert set(asked.variants) <= {*card.variants, *card.full_variants}
        assert bool(asked.variants) == bool(card.variants)
        learned = [v for v in asked.variants if not v.startswith("times_")]
        assert set(learned) <= GRADIENT_LEARNERS.keys()


def test_every_value_reaches_the_run() -> None:
    grid = grid_of(shen())
    assert grid.demonstrations == (1, 2, 4, 8)
    assert grid.settings.n_orders == 10
    assert grid.settings.rates == (0.0001, 0.0005, 0.001, 0.005)
    assert grid.settings.passes == tuple(range(20, 201, 20))
    assert [d.name for d in grid.datasets] == ["hmm_many"]
    english = grid_of(shen(models="org/name"))
    assert [d.name for d in english.datasets] == ["agnews", "cb", "sst2", "rte"]
    assert {d.templates[0] for d in english.datasets} == {"zhao"}


def test_order_sensitivity_is_read_after_every_20_epochs() -> None:
    grid = grid_of(shen())
    cells = grid.cells(CLAIMS["same_order_sensitivity"])
    (cell,) = (cell for cell in cells if cell.variant == "adam")
    asked: Any = [r.learner for r in gd_orders_over_passes.recipe(cell)]
    assert {learner.read_after for learner in asked} == set(range(20, 201, 20))


def test_what_is_given_wins_over_the_set_up_and_the_file_does_too() -> None:
    option = options(
        setup="shen2024", orders=3, models="hmm_llama", file={"probes_demos": "2"}
    )
    assert (option.orders, option.demos, option.template) == (3, "2", "zhao")
    assert "orders" not in filled_by(option)
    assert set(filled_by(option)) == {"datasets", "template", "rates", "passes"}


def test_a_set_up_may_stand_in_the_configuration_file() -> None:
    assert options(file={"probes_setup": "shen2024"}).orders == 10


def test_completing_options_again_changes_nothing() -> None:
    option = shen()
    before = vars(option) | {"filled_by_setup": dict(option.filled_by_setup)}
    complete(option, {}.get)
    assert vars(option) == before


def test_without_a_set_up_every_option_has_its_default() -> None:
    option = options()
    assert not filled_by(option)
    assert option.orders == Settings().n_orders == 10
    assert grid_of(options(models="hmm_llama")).setup is None


def test_an_unknown_set_up_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"'shen2023'\. Expected one of: shen"):
        options(setup="shen2023")
    with pytest.raises(OptionError, match="--setup is empty"):
        options(setup=" ")


def test_only_claims_of_the_set_up_have_cells_with_its_variants() -> None:
    grid = grid_of(shen())
    found: dict[str, set[tuple[int, str | None]]] = {}
    for name, card in CLAIMS.items():
        for cell in grid.cells(card):
            found.setdefault(name, set()).add((cell.n_demonstrations, cell.variant))
    assert found == {
        name: {(n, v) for n in numbers or (1, 2, 4, 8) for v in variants or (None,)}
        for name, (variants, numbers) in JUDGED.items()
    }


def test_given_numbers_of_demonstrations_hold_for_every_claim() -> None:
    grid = grid_of(shen(demos="2"))
    for name in JUDGED:
        assert {c.n_demonstrations for c in grid.cells(CLAIMS[name])} == {2}


def test_datasets_and_templates_that_are_given_stay_as_they_are() -> None:
    grid = grid_of(shen(datasets="hmm,sst2"))
    assert [d.name for d in grid.datasets] == ["hmm", "sst2"]
    with pytest.raises(OptionError, match="--template is 'dai'"):
        grid_of(shen(template="dai"))


def facts(option: Namespace) -> dict[str, str]:
    why = why_no_template(option, grid_of(option).datasets)
    return setup_facts(option, {"template": why} if why else {})


def test_a_run_says_what_was_changed_and_what_does_not_apply() -> None:
    found = facts(shen(orders=3))
    assert found["name"] == "shen2024"
    assert found["changed --orders"] == "3 instead of 10"
    assert found["left out --template"] == "zhao: no dataset of this run has it"
    assert found["--rates"] == PUBLISHED["--rates"]
    assert not {"--orders", "--template"} & found.keys()
    kept = facts(shen(models="org/name"))
    assert kept == {"name": "shen2024", "study": SHEN.summary, **PUBLISHED}
    assert facts(options(models="hmm_llama")) == {}


def test_a_cell_is_run_again_with_the_set_up_and_what_was_given() -> None:
    again = options_of_rerun(shen(orders=3))
    assert again == {"--setup": "shen2024", "--models": "hmm_llama", "--orders": "3"}


def test_the_list_explains_every_part_of_a_set_up() -> None:
    text = listing("--list-setups", [], options())
    for value in SHEN.values:
        assert f"{value.option} {value.value}: {value.source}" in text
    for claim in SHEN.claims:
        assert claim.name in text
        assert claim.source in text
        assert all(variant in text for variant in claim.variants)
    assert all(choice in text for choice in SHEN.choices)


MANUAL = (ROOT / "docs" / "method.md").read_text("utf-8")
SECTION = MANUAL.partition("## The set-up of Shen et al. 2024\n")[2].partition("\n## ")[
    0
]


def test_the_manual_has_every_value_and_claim_with_its_source() -> None:
    for value in SHEN.values:
        assert f"| `{value.option}` | `{value.value}` | {value.source} |" in SECTION
    for claim in SHEN.claims:
        (line,) = (x for x in SECTION.splitlines() if x.startswith(f"| `{claim.name}`"))
        assert line.endswith(f"| {claim.source} |")
        for variant in claim.variants:
            assert f"`{variant}`" in line or "the same" in line


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.name)
def test_a_value_of_another_type_in_the_configuration_file_is_refused(
    option: RunOption,
) -> None:
    others: list[Any] = [b"x", [], ["gd", 1], {"a": 1}]
    others += [x for x in (True, 1, 0.5, "x") if not isinstance(x, option.kind)]
    others += [True] if option.kind is int else []  # which Python counts as a number
    for value in others:
        if option.kind is float and type(value) is int:
            continue
        words = rf"{option.ini_key} .*{type(value).__name__}.* Expected .*\. Correct it"
        with pytest.raises(OptionError, match=words):
            options(file={option.ini_key: value})
