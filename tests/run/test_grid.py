"""The grid: what names mean, and which cells exist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probes.cards import (
    Checkpoint,
    DatasetCard,
    GridSize,
    LinearTasks,
    ModelCard,
    TextRows,
    Untrained,
)
from probes.cell import Settings
from probes.claims import ClaimCard
from probes.data.record_files import SUFFIXES
from probes.errors import ModelError, OptionError, UnknownNameError
from probes.models.files.packaged_checkpoint import PackagedCheckpoint
from probes.models.untrained import untrained_model
from probes.registry import Registry
from probes.run import grid
from probes.run.grid import (
    Grid,
    dataset_named,
    model_named,
    parse_datasets,
    parse_demonstrations,
    parse_models,
)
from tests.support.cards import HOME, dataset, model, network

LINEAR = dataset(
    "linear", family="regression", rows=LinearTasks(), language="linear_10",
    shipped=True, demonstrations=(10, 20),
)  # fmt: skip


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register three models and three datasets, and nothing else."""
    models, datasets = Registry[ModelCard]("model"), Registry[DatasetCard]("dataset")
    for card in (model("llama"), model("hmm", language="hmm", shipped=True)):
        models.add(card)
    models.add(network("gd_1", shipped=True))
    sst2 = dataset("sst2", demonstrations=(2,), full_demonstrations=(1, 2))
    for data in (sst2, dataset("hmm", language="hmm", shipped=True), LINEAR):
        datasets.add(data)
    monkeypatch.setattr(grid, "MODELS", models)
    monkeypatch.setattr(grid, "DATASETS", datasets)


def names(cards: tuple[Any, ...]) -> list[str]:
    return [card.name for card in cards]


# --------------------------------------------------------------------------- models


def test_without_names_what_ships_is_run() -> None:
    assert names(parse_models(None)) == ["hmm", "gd_1"]
    assert names(parse_datasets(None)) == ["hmm", "linear"]


@pytest.mark.parametrize("parse", [parse_models, parse_datasets, parse_demonstrations])
def test_an_empty_text_is_not_everything(parse: Any) -> None:
    with pytest.raises(OptionError, match=r" is ''\. Expected names separated by"):
        parse("")


def test_what_is_in_the_full_grid_only_is_run_there_or_by_name() -> None:
    grid.DATASETS.add(dataset("large", shipped=True, full_only=True))
    assert names(parse_datasets(None)) == ["hmm", "linear"]
    assert names(parse_datasets(None, "full")) == ["hmm", "linear", "large"]
    assert names(parse_datasets("large")) == ["large"]


def test_a_network_for_some_claims_meets_all_where_it_is_named() -> None:
    grid.MODELS.add(network("skewed", shipped=True, default_claims=("c",)))
    claims = [
        ClaimCard(name=name, sentence="s", source="s", on="regression")
        for name in ("c", "d")
    ]

    def judging(models: tuple[ModelCard, ...]) -> list[str]:
        skewed = next(card for card in models if card.name == "skewed")
        return [claim.name for claim in claims if claim.applies_to(skewed, LINEAR)]

    assert judging(parse_models(None)) == ["c"]
    assert judging(parse_models("gd_1,skewed")) == ["c", "d"]


def test_names_are_separated_by_commas() -> None:
    assert names(parse_models("gd_1, llama")) == ["gd_1", "llama"]
    assert names(parse_datasets("linear,sst2")) == ["linear", "sst2"]


def test_one_name_twice_is_one_model() -> None:
    assert names(parse_models("llama,gd_1,llama")) == ["llama", "gd_1"]


@pytest.mark.parametrize("given", ["m,./m", "untrained:m,untrained:./m"])
def test_two_spellings_of_one_folder_are_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(parse_models(given)) == 1


def test_untrained_model_has_random_weights_and_all_else_alike() -> None:
    untrained = model_named("untrained:llama")
    assert (untrained.name, untrained.kind) == ("untrained:llama", "untrained")
    assert untrained.weights == Untrained(of=HOME, seed=0)
    assert (untrained.family, untrained.language) == ("text", "english")


def test_untrained_form_of_an_untrained_model_is_itself() -> None:
    untrained = model_named("untrained:llama")
    assert untrained_model(untrained) is untrained
    assert model_named("untrained:untrained:llama") == untrained


def test_constructed_model_has_no_untrained_form() -> None:
    with pytest.raises(OptionError, match=r"untrained:gd_1 .* gd_1 is constructed"):
        parse_models("untrained:gd_1")


def test_local_folder_is_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "My-Model.v2").mkdir()
    monkeypatch.chdir(tmp_path)
    found = model_named("./My-Model.v2")
    assert found.name == "My_Model_v2"
    assert found.weights == Checkpoint(location=str(tmp_path / "My-Model.v2"))
    assert (found.kind, found.family) == ("pretrained", "text")


def test_folder_that_has_a_registered_name_gets_its_own(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    found = model_named(str(tmp_path / "llama"))
    assert found.name != "llama"
    assert found.name.startswith("llama_")
    assert found.name.isidentifier()


def test_registered_name_comes_before_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llama").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_named("llama").weights == HOME


@pytest.mark.parametrize("given", ["nowhere.gguf", "org/nowhere.GGUF"])
def test_a_gguf_file_that_is_not_there_is_named(given: str) -> None:
    with pytest.raises(ModelError, match=f"There is no file '{given}'. Expected a"):
        parse_models(given)


@pytest.mark.parametrize("given", ["packaged", "untrained:packaged"])
def test_a_model_that_has_not_been_fetched_is_refused(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBES_MODELS", str(tmp_path))
    weights = PackagedCheckpoint(
        location="packaged", parts=(), sha256="0" * 64, n_bytes=1, licence="none"
    )
    grid.MODELS.add(model("packaged", weights=weights))
    with pytest.raises(ModelError, match="Run: probes models fetch packaged$"):
        parse_models(given)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("given", "name", "weights"),
    [
        ("org/name", "name", Checkpoint(location="org/name")),
        ("org/a-b.c", "a_b_c", Checkpoint(location="org/a-b.c")),
        ("org/7b", "m_7b", Checkpoint(location="org/7b")),
        ("org/n@v1", "n_v1", Checkpoint(location="org/n", revision="v1")),
    ],
)
def test_hub_id_is_a_model(given: str, name: str, weights: Checkpoint) -> None:
    found = model_named(given)
    assert (found.name, found.weights) == (name, weights)
    assert found.name.isidentifier()


def test_hub_id_may_be_untrained() -> None:
    found = model_named("untrained:org/name")
    assert found.weights == Untrained(of=Checkpoint(location="org/name"))


@pytest.mark.parametrize("given", ["org/name,other/name", "org/a-b,org/a.b"])
def test_two_places_of_one_name_are_refused(given: str) -> None:
    wording = "Two different entries of --models are both called .* --models first="
    with pytest.raises(OptionError, match=wording):
        parse_models(given)


def two_folders(folder: Path, name: str = "checkpoint-1000") -> tuple[str, str]:
    for home in ("a", "b"):
        (folder / home / name).mkdir(parents=True)
    return str(folder / "a" / name), str(folder / "b" / name)


def test_two_folders_of_one_name_are_told_apart_by_aliases(tmp_path: Path) -> None:
    first, second = two_folders(tmp_path)
    with pytest.raises(OptionError, match="both called 'checkpoint_1000'"):
        parse_models(f"{first},{second}")
    early, late = parse_models(f"early={first}, late=untrained:{second}")
    assert (early.name, late.name) == ("early", "late")
    assert early.weights == Checkpoint(location=first)
    assert late.weights == Untrained(of=Checkpoint(location=second))
    assert names(parse_datasets(f"x={first},y={second}")) == ["x", "y"]
    with pytest.raises(OptionError, match=r"entries of --models are both called 'x'"):
        parse_models(f"x={first},x={second}")


@pytest.mark.parametrize("given", ["llama=org/name", "mine="])
def test_an_alias_stands_for_nothing_else_and_names_something(given: str) -> None:
    wording = rf"--models has '{given}', but .*Expected a new name and a path"
    with pytest.raises(OptionError, match=wording):
        parse_models(given)


@pytest.mark.parametrize("name", ["rate=0.1", "a.b=c"])
def test_a_path_with_an_equals_sign_is_a_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    for given in (name, f"./{name}", str(tmp_path / name)):
        assert parse_models(given)[0].weights == Checkpoint(
            location=str(tmp_path / name)
        )


@pytest.mark.parametrize("given", ["lama", "Llama", "llama_7b"])
def test_unknown_model_suggests_the_nearest(given: str) -> None:
    wording = rf"No model is named '{given}'\. Expected one of: gd_1, hmm, llama, .* "
    with pytest.raises(UnknownNameError, match=wording + r"Did you mean .*llama"):
        parse_models(given)


def test_unknown_model_far_from_all_suggests_nothing() -> None:
    with pytest.raises(UnknownNameError, match=r"local folder or file\.$"):
        parse_models("zzz")


@pytest.mark.parametrize("given", ["./org/name", "/org/name", "a/b/c", "~/name"])
def test_path_that_is_not_there_is_no_hub_id(given: str) -> None:
    with pytest.raises(UnknownNameError, match="There is no folder"):
        parse_models(given)


@pytest.mark.parametrize("given", [",", "llama,", " ", "llama,,gd_1", "a\0b"])
def test_empty_name_is_refused(given: str) -> None:
    with pytest.raises(OptionError, match=r"--models is .*none of them empty"):
        parse_models(given)
    with pytest.raises(OptionError, match=r"--datasets is .*none of them empty"):
        parse_datasets(given)


# ------------------------------------------------------------------------- datasets


@pytest.mark.parametrize("name", [f"my-rows{suffix}" for suffix in (*SUFFIXES, "")])
def test_file_or_folder_is_a_dataset(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.write_text("") if place.suffix else place.mkdir()
    found = dataset_named(str(place))
    assert (found.name, found.family) == ("my_rows", "text")
    assert found.rows == TextRows(location=str(place))


@pytest.mark.parametrize("name", ["rows.jsonl", "data/rows.csv"])
def test_file_that_is_not_there_is_refused_without_the_hub(name: str) -> None:
    with pytest.raises(OptionError, match=rf"'{name}', but .* Check the path") as said:
        dataset_named(name)
    assert "Hub" not in str(said.value)


def test_file_of_another_kind_is_told_the_kinds(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("")
    wording = (
        r"rows are of no known kind\. Expected \.jsonl, \.csv, \.tsv or \.json, or "
    )
    with pytest.raises(OptionError, match=wording):
        dataset_named(str(tmp_path / "rows.parquet"))


def test_unknown_dataset_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"No dataset .*Did you mean sst2\?"):
        parse_datasets("sst")


# ------------------------------------------------------------------- demonstrations


@pytest.mark.parametrize(
    ("text", "numbers"),
    [(None, ()), ("4", (4,)), ("1, 2,8", (1, 2, 8)), ("8,8,1", (8, 1))],
)
def test_demonstrations_are_numbers(text: str | None, numbers: tuple[int, ...]) -> None:
    assert parse_demonstrations(text) == numbers


@pytest.mark.parametrize(
    "text",
    ["0", "-1", "1.5", "four", "4,x", "1e3", "²", pytest.param("9" * 5000, id="huge")],
)
def test_demonstrations_that_are_no_numbers_are_refused(text: str) -> None:
    bad = text.rpartition(",")[2]
    wording = rf"--demos has '{bad}'\. Expected numbers .* --demos 1,2,4,8\."
    with pytest.raises(OptionError, match=wording):
        parse_demonstrations(text)


# ---------------------------------------------------------------------------- cells


def claim(**given: Any) -> ClaimCard:
    found = ClaimCard(name="c", sentence="It is so.", source="§1", on="text")
    return replace(found, **given)


def ids(
    card: ClaimCard,
    models: str,
    datasets: str,
    demos: str | None = "4",
    size: GridSize = "default",
) -> list[str]:
    made = Grid(
        models=parse_models(models),
        datasets=parse_datasets(datasets),
        demonstrations=parse_demonstrations(demos),
        settings=Settings(),
        size=size,
    )
    return [cell.id for cell in made.cells(card)]


ALL = ("llama,hmm,gd_1", "sst2,hmm,linear")


def test_only_cells_that_can_exist_are_made() -> None:
    assert ids(claim(), *ALL) == ["llama-sst2-4", "hmm-hmm-4"]
    assert ids(claim(on="regression"), *ALL) == ["gd_1-linear-4"]


@pytest.mark.parametrize(
    ("models", "datasets", "fits"),
    [("llama", "hmm", False), ("llama", "hmm,sst2", True), ("gd_1", "sst2", False)],
)
def test_grid_knows_whether_any_model_reads_any_dataset(
    models: str, datasets: str, fits: bool
) -> None:
    made = Grid(
        models=parse_models(models),
        datasets=parse_datasets(datasets),
        demonstrations=(),
        settings=Settings(),
    )
    assert made.can_exist is fits


def test_untrained_model_is_in_the_cells_of_its_original() -> None:
    assert ids(claim(), "untrained:hmm", "sst2,hmm") == ["untrained:hmm-hmm-4"]


def test_every_variant_and_number_is_a_cell() -> None:
    found = ids(claim(variants=("gd", "adam")), "llama", "sst2", "1,4")
    assert found == [
        "llama-sst2-1-gd", "llama-sst2-1-adam", "llama-sst2-4-gd", "llama-sst2-4-adam"
    ]  # fmt: skip


def test_without_numbers_a_dataset_has_its_own() -> None:
    found = ids(claim(on="regression"), *ALL, demos=None)
    assert found == ["gd_1-linear-10", "gd_1-linear-20"]


def test_full_grid_adds_variants_and_numbers() -> None:
    card = claim(variants=("gd",), full_variants=("adam",))
    assert ids(card, "llama", "sst2", demos=None) == ["llama-sst2-2-gd"]
    assert ids(card, "llama", "sst2", demos=None, size="full") == [
        "llama-sst2-1-gd", "llama-sst2-1-adam", "llama-sst2-2-gd", "llama-sst2-2-adam"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "fits"), [((1, 1), True), ((1, 4), True), ((2, 8), False), (None, True)]
)
def test_claim_about_depth_has_cells_of_that_depth(
    layers: tuple[int, int] | None, fits: bool
) -> None:
    assert bool(ids(claim(on="regression", layers=layers), *ALL)) is fits


def test_claim_about_layers_has_no_cell_of_a_model_without_any() -> None:
    assert ids(claim(layers=(1, 8)), *ALL) == []


@pytest.mark.parametrize(
    ("datasets", "cells"), [(("hmm",), ["hmm-hmm-4"]), (("rte",), [])]
)
def test_claim_about_some_datasets_has_cells_of_those(
    datasets: tuple[str, ...], cells: list[str]
) -> None:
    assert ids(claim(datasets=datasets), *ALL) == cells


def test_claim_about_order_has_no_cell_of_one_demonstration() -> None:
    card = claim(least_demonstrations=2)
    assert ids(card, "llama", "sst2", "1,2") == ["llama-sst2-2"]
    assert ids(card, "llama", "sst2", "1") == []


def test_claim_about_labels_has_no_cell_of_open_answers() -> None:
    words = dataset("words", rows=TextRows(location="words", answers="open"))
    grid.DATASETS.add(words)
    assert ids(claim(needs_labels=True), "llama", "sst2,words") == ["llama-sst2-4"]
    changed = claim(variants=("shuffled", "flipped"))
    assert ids(changed, "llama", "sst2,words") == [
        "llama-sst2-4-shuffled", "llama-sst2-4-flipped", "llama-words-4-shuffled"
    ]  # fmt: skip
    assert ids(claim(variants=("abstract",)), "llama", "words") == []


def test_claim_about_reversals_has_cells_of_rows_that_can_be_reversed() -> None:
    facts = TextRows(location="facts", answers="open", reversible=True)
    for name, rows in (("facts", facts), ("others", replace(facts, reversible=False))):
        grid.DATASETS.add(dataset(name, rows=rows))
    needy = claim(needs_reversal=True)
    assert ids(needy, "llama", "sst2,facts,others") == ["llama-facts-4"]


# ------------------------------------------------------------------------- registry


@pytest.mark.parametrize(
    ("name", "instead"),
    [("llama-7b", "llama_7b"), ("7b", "_7b"), ("a b", "a_b"), ("", "_"),
     ("org/name", "org_name"), ("untrained:x", "untrained_x")],
)  # fmt: skip
def test_registry_refuses_what_is_no_identifier(name: str, instead: str) -> None:
    wording = rf"model name '{name}' is no identifier\. .*for instance '{instead}'\."
    with pytest.raises(OptionError, match=wording):
        grid.MODELS.add(model(name))


def test_registry_refuses_a_name_twice() -> None:
    with pytest.raises(OptionError, match="model 'llama' is registered twice"):
        grid.MODELS.add(model("llama"))


def test_registry_gives_back_what_was_added() -> None:
    card = model("another")
    assert grid.MODELS.add(card) is card
    assert grid.MODELS.get("another") is card
    assert "another" in grid.MODELS
    assert card in list(grid.MODELS)


def test_registry_suggests_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean gd_1\?"):
        grid.MODELS.get("gd1")


@pytest.mark.parametrize(
    ("size", "least"),
    [("n_sets", 1), ("n_queries", 1), ("n_orders", 2), ("n_calibration", 1)],
)
def test_size_below_its_least_is_refused(size: str, least: int) -> None:
    option = "--" + size.removeprefix("n_")
    given: dict[str, Any] = {size: least - 1}
    wording = rf"{option} is {least - 1}\. Expected at least {least}\. Pass {option}"
    with pytest.raises(OptionError, match=wording):
        Settings(**given)
    assert getattr(Settings(**{size: least}), size) == least  # type: ignore[arg-type]


def test_precision_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match=r"--dtype is 'int8'\. Expected float32"):
        Settings(dtype="int8")
