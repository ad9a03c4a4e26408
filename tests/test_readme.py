"""The tables of the README are those of the reports that are committed with it."""

from __future__ import annotations

import json
import re
from itertools import takewhile
from typing import Any

import pytest

from tests.support.reported import REPORTS, Shown, page, row, rows, value
from tests.support.running import ROOT

README = "README.md"
COLUMNS = {
    "GD, 1 layer": "constructed_gd_1",
    "GD, 4": "constructed_gd_4",
    "GD++": "constructed_gdpp_4",
    "Newton": "constructed_newton_4",
    "spoiled": "spoiled_gd_1",
    "precond.": "constructed_preconditioned_gd_1",
    "learned, 1 layer": "learned_lsa_1",
    "looped, 2": "learned_lsa_2_looped",
    "learned, 5": "learned_lsa_5",
    "softmax, 8": "learned_softmax",
    "hmm_llama": "hmm_llama",
    "text_llama": "text_llama",
    "untrained": "untrained_llama",
}
CLAIMS = {
    "layers are steps of GD": (
        "one_layer_is_one_step depth_is_steps k_layers_are_k_steps[gd]"
    ),
    "layers advance in equal steps": "layers_are_equal_steps",
    "layers are steps of GD++": "k_layers_are_k_steps[gdpp]",
    "same sensitivity to the query": "same_sensitivity",
    "the weights are the construction": "weights_are_the_construction",
    "GD is the nearest algorithm": "which_algorithm which_algorithm_on_text",
    "same rule on other inputs": "same_rule_elsewhere",
    "same losses on other inputs": "same_loss_elsewhere",
    "same demonstrations count": (
        "same_demonstration_influence same_demonstration_influence_in_regression"
    ),
    "order matters as much (GD)": (
        "same_order_sensitivity[gd] same_order_sensitivity_in_regression[gd]"
    ),
    "right as often (GD)": "same_accuracy[gd]",
    "same top tokens (GD)": "same_top_tokens[gd]",
    "same confidence, same distribution (GD)": (
        "same_confidence[gd] same_distribution[gd]"
    ),
    "same update, attention, activations": (
        "same_update same_attention_change same_attention_to_demonstrations "
        "same_activations"
    ),
    "same representations": "same_representations",
    "the update that reproduces ICL is GD's": "update_that_reproduces_icl_is_gds",
    "same learning curve": "same_learning_curve",
    "ICL learns what new words stand for": "cipher",
    "labels move both alike": "labels_move_icl_as_they_move_gd",
}
LETTERS = {"supported": "S", "refuted": "R", "inconclusive": "I", "not_applicable": "-"}
DECIDED = {"S", "R"}
NATURAL = {
    "plurals": ("smollm2_135m", "singular_plural"),
    "past tenses": ("smollm2_135m", "present_past"),
    "capital letters": ("smollm2_135m", "capitalise"),
    "Gemma, plurals": ("gemma3_270m", "singular_plural"),
    "Gemma, past tenses": ("gemma3_270m", "present_past"),
}
LEARNERS = {
    "GD on W_V of a middle layer": "gd_middle_W_V",
    "of a deep layer": "gd_deep_W_V",
    "GD on all weights": "gd",
}
REASONS = (
    "GD's search unfinished",
    "too few sets",
    "too few queries",
    "ICL's gain unclear",
)


def table(first: str) -> list[list[str]]:
    """Give the cells of the table whose first heading this is, its headings first."""
    lines = (ROOT / README).read_text("utf-8").splitlines()
    split = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    start = [cells[0] for cells in split].index(first)
    rest = takewhile(lambda i: lines[i].startswith("|"), range(start, len(lines)))
    return [split[i] for i in rest if not split[i][0].startswith("---")]


def letters(said: str, model: str) -> list[str]:
    """Give the letters of a row of the matrix on a model, in the README's order."""
    found = {
        LETTERS[row["verdict"]]
        for row in rows("sample")
        if row["model"] == model
        and {row["claim"], row["claim"].split("[")[0]} & set(CLAIMS[said].split())
    }
    return [letter for letter in LETTERS.values() if letter in found]


def distinguishes(said: str) -> bool:
    """Say whether a construction refutes a claim, and none with a wrong entry holds."""
    found = [letters(said, model) for model in list(COLUMNS.values())[:6]]
    spoiled = letters(said, "spoiled_gd_1")
    return any("R" in f for f in found) and "S" not in spoiled


def test_the_matrix_of_the_readme_is_the_sample_runs() -> None:
    head, *lines = table("does GD do what ICL does?")
    assert head[1:] == list(COLUMNS)
    assert [said for said, *_ in lines] == list(CLAIMS)
    for said, *cells in lines:
        found = [letters(said, model) for model in COLUMNS.values()]
        assert [cell.replace("**", "").split() for cell in cells] == found, said
        bold = [distinguishes(said) and DECIDED & {*f} == {"S"} for f in found]
        assert ["**S**" in cell for cell in cells] == bold, said


def natural(claim: str, learner: str, task: str) -> dict[str, Any] | None:
    """Give a row of the natural study after 4 demonstrations, if it has one."""
    model, dataset = NATURAL[task]
    names = {(r["claim"], r["model"], r["dataset"]) for r in rows("natural")}
    name = f"{claim}[{learner}]"
    known = (name, model, dataset) in names
    return row(name, model, dataset, 4, "natural") if known else None


def exact(task: str, learner: str) -> str:
    found = natural("same_accuracy", learner, task)
    if found is None:
        return ""
    bold = "**R** " if found["verdict"] == "refuted" else ""
    return f"{bold}{Shown(value(found, 'exact-answer accuracy: GD')):2}"


def top(task: str, learner: str) -> str:
    found = natural("same_top_tokens", learner, task)
    if found is None:
        return ""
    effect = found["effects"][0]
    low, high = Shown(effect["low"]), Shown(effect["high"])
    bold = "**R**" if found["verdict"] == "refuted" else LETTERS[found["verdict"]]
    return f"{bold} {Shown(effect['value']):2} [{low:2}, {high:2}]"


@pytest.mark.parametrize("task", NATURAL)
def test_the_table_of_real_models_is_the_natural_studys(task: str) -> None:
    (head, icl, *learners), *lines = table("task")
    assert (head, icl, learners) == ("task", "ICL", list(LEARNERS))
    cells = {name: cells for name, *cells in lines}
    answers = natural("same_accuracy", "gd_middle_W_V", task)
    assert answers is not None
    right = f"{Shown(value(answers, 'exact-answer accuracy: ICL')):2}"
    names = LEARNERS.values()
    assert cells[f"{task}: exact answers"] == [right, *(exact(task, n) for n in names)]
    assert cells[f"{task}: top tokens"] == ["", *(top(task, n) for n in names)]


def test_the_readme_counts_the_cells_of_the_natural_study() -> None:
    found = json.loads((REPORTS / "natural/run.json").read_text("utf-8"))
    n, verdicts = found["cells"], found["verdicts"]
    said = (REPORTS / "natural/matrix.md").read_text("utf-8")
    (line,) = (one for one in said.splitlines() if one.startswith("Inconclusive: "))
    assert line.startswith(f"Inconclusive: {verdicts['inconclusive']} cells")
    counts = dict(re.findall(r"([^,:]+) \((\d+)\)", line.split("(median): ")[1]))
    counts = {name.strip(): n for name, n in counts.items()}
    search, sets, queries, unclear = (counts[name] for name in REASONS)
    assert (
        f"Of {n} cells, {verdicts['refuted']} are refuted and "
        f"{verdicts['inconclusive']} are inconclusive; "
        f"{verdicts['supported']} are supported"
    ) in page(README)
    assert (
        f"{search} need more than the 64 passes of this quick run, {sets} more sets of "
        f"examples and {queries} more queries, and {unclear} are about country capitals"
    ) in page(README)
    assert f"{n} cells" in page("reports/findings.md")


def test_the_pages_count_the_models_that_were_judged() -> None:
    findings = page("reports/findings.md")
    small, real = ({r["model"] for r in rows(name)} for name in ("sample", "natural"))
    teachers = re.findall(r"\| (\d+) \| \d?\.\d\d, ", findings)
    alone = {f"learned_softmax_m{n}" for n in teachers} - small
    assert (len(small), len(real), len(alone)) == (17, 2, 4)  # in words: 17, two, 23
    both = "covers seventeen small models, and the natural study two real ones"
    assert both in page(README)
    assert "These are statements about twenty-three small models" in findings
