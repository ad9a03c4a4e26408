"""What ``--template`` does to the datasets of a run, and what a row says of it."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest

from probes.cards import DatasetCard, LinearTasks, TextRows
from probes.errors import OptionError
from probes.registry import Registry
from probes.run import grid
from probes.run.listing import listing
from probes.run.options import RUN_OPTIONS
from probes.run.parsed_options import datasets_of, grid_of, options_of_rerun
from tests.support.cards import dataset

BOTH = TextRows(
    location="both",
    description="dai.toml",
    templates=(("dai", "dai.toml"), ("zhao", "zhao.toml")),
)
ONE = TextRows(location="one", description="1.toml", templates=(("dai", "1.toml"),))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a dataset with two templates, one with one, and one with none."""
    cards = Registry[DatasetCard]("dataset")
    for name, rows in (("both", BOTH), ("one", ONE), ("none", TextRows(location="n"))):
        cards.add(dataset(name, rows=rows, shipped=True))
    monkeypatch.setattr(grid, "DATASETS", cards)
    monkeypatch.setattr("probes.run.listing.DATASETS", cards)


def options(**given: Any) -> Namespace:
    """Give every option its default, except for those that are named."""
    defaults = {option.attribute: option.default for option in RUN_OPTIONS}
    return Namespace(**{**defaults, **given})


def descriptions(**given: Any) -> list[str | None]:
    rows = [card.rows for card in datasets_of(options(**given))]
    return [r.description for r in rows if isinstance(r, TextRows)]


@pytest.mark.parametrize("name", [None, "", "dai"])
def test_without_a_name_or_with_its_own_each_dataset_keeps_its_template(
    name: str | None,
) -> None:
    assert descriptions(template=name) == ["dai.toml", "1.toml", None]


def test_a_dataset_takes_the_template_and_others_keep_theirs() -> None:
    assert descriptions(template="zhao") == ["zhao.toml", "1.toml", None]
    assert descriptions(template="zhao", datasets="both") == ["zhao.toml"]


def test_the_grid_has_the_template() -> None:
    made = grid_of(options(template="zhao", datasets="both", models="org/name"))
    assert made.datasets[0].templates == ("zhao", "dai")
    assert made.datasets[0].name == "both"  # so that ids of cells stay


def test_a_template_that_no_dataset_has_is_refused_with_those_that_there_are() -> None:
    wording = (
        r"--template is 'zaho', which none of the datasets of this run has \(both, "
        r"one, none\)\. Expected one of their templates \(both: dai, zhao; one: "
        r"dai\)\. Pass one of these"
    )
    with pytest.raises(OptionError, match=wording):
        datasets_of(options(template="zaho"))
    with pytest.raises(OptionError, match=r"\(one: dai\)"):
        datasets_of(options(template="zhao", datasets="one,none"))
    with pytest.raises(OptionError, match=r"they have none with a name"):
        datasets_of(options(template="zhao", datasets="none"))


def test_the_list_of_datasets_names_the_templates_the_present_one_first() -> None:
    assert "8; template dai or zhao)" in listing("--list-datasets", [], options())
    assert "8)\n" in listing("--list-datasets", [], options())  # of "none"


def test_regression_tasks_have_no_template() -> None:
    linear = dataset("linear", family="regression", rows=LinearTasks())
    assert linear.templates == ()
    assert linear.with_template("zhao") is linear


def test_a_row_says_which_template_its_run_was_given() -> None:
    assert options_of_rerun(options(template="zhao"))["--template"] == "zhao"
    assert "--template" not in options_of_rerun(options())


@pytest.mark.parametrize("given", [None, False])
def test_a_row_says_whether_its_prompts_were_a_chat(given: bool | None) -> None:
    assert options_of_rerun(options(chat=True))["--chat"] == ""
    assert "--chat" not in options_of_rerun(options(chat=given))
    assert grid_of(options(models="org/name", datasets="one", chat=True)).settings.chat


def test_a_row_says_that_unused_tensors_were_allowed() -> None:
    given = options(unused_tensors="allow", models="org/name", datasets="one")
    assert options_of_rerun(given)["--unused-tensors"] == "allow"
    assert grid_of(given).settings.unused_tensors == "allow"
