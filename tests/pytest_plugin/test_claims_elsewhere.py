"""Claims of other people, in folders of their own: found, configured, or refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from probes.report.rerun import rerun_words
from tests.support.rows import HOSTILE
from tests.support.running import as_installed
from tests.support.spawning import python

CLAIM = """
from probes.claims import claim
from probes.measures import prediction_distance

@claim(on="regression")
def test_mine(icl, gd, judge):
    {docstring!r}
    judge.stays_below(prediction_distance(icl, gd), margin=0.1)
"""
CONFIG = """
[tool.pytest.ini_options]
addopts = ["-p", "probes_fixtures", "-p", "no:cacheprovider", "-q"]
probes_models = "constructed_gd_1"
probes_datasets = "linear"
probes_demos = "3"
probes_sets = "6"
probes_queries = "30"
probes_raw = true
"""


def claim_of(docstring: str = "As GD.\n\nSource: a test") -> str:
    """Write a file with one claim that has this docstring."""
    return CLAIM.format(docstring=docstring)


def elsewhere(
    folder: Path, *arguments: str, claim: str = "", config: str = CONFIG
) -> subprocess.CompletedProcess[str]:
    """Run pytest as another repository does, with the package and its fixtures."""
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(config)
    (folder / "test_mine.py").write_text(claim or claim_of())
    return python("-m", "pytest", *arguments, cwd=folder, env=as_installed())


def row_in(folder: Path) -> dict[str, object]:
    lines = (folder / "reports/latest/results.jsonl").read_text("utf-8")
    found: dict[str, object] = json.loads(lines)
    return found


def test_a_claim_of_another_repository_is_judged_as_configured(tmp_path: Path) -> None:
    done = elsewhere(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    row = row_in(tmp_path)
    assert (row["claim"], row["verdict"]) == ("mine", "supported")
    assert (row["model"], row["n_demonstrations"]) == ("constructed_gd_1", 3)
    assert row["provenance"]["n_sets"] == 6  # type: ignore[index]


def test_without_a_configuration_file_a_run_stays_where_it_was_started(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_mine.py").write_text(claim_of())
    grid = ("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "2")
    far = ("--data-dir", "/usr")  # pytest takes "/" for the root of both
    words = ("test_mine.py", "-p", "probes_fixtures", "-n", "1", "--raw", *grid, *far)
    done = python("-m", "pytest", *words, cwd=tmp_path, env=as_installed())
    assert done.returncode == 0, done.stdout + done.stderr
    assert row_in(tmp_path)["verdict"] == "supported"
    assert list((tmp_path / ".store").rglob("*.safetensors"))


def test_the_command_that_judges_a_cell_again_runs_where_the_run_was_started(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "claims"
    elsewhere(folder, "--collect-only")
    words = ("claims/test_mine.py", "-p", "probes_fixtures", "--reports", "mine")
    done = python("-m", "pytest", *words, cwd=tmp_path, env=as_installed())
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = (tmp_path / "mine/results.jsonl").read_text("utf-8").splitlines()
    command = rerun_words(json.loads(row))
    assert command[1].startswith("claims/test_mine.py::test_mine[")
    again = python("-m", *command, cwd=tmp_path, env=as_installed())
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "mine/again/results.jsonl").read_text("utf-8").count("\n") == 1
    assert (tmp_path / "mine/results.jsonl").read_text("utf-8") == f"{row}\n"


def test_pytests_summary_says_what_was_found(tmp_path: Path) -> None:
    done = elsewhere(tmp_path, claim=claim_of().replace("margin=0.1", "margin=1e-30"))
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("REFUTED"))
    assert line.partition(" - ")[2].startswith("refut"), line  # cut at 80 columns


def test_the_command_line_beats_the_configuration_file(tmp_path: Path) -> None:
    done = elsewhere(tmp_path, "--demos", "2", "--sets", "10")  # 10 is the default
    row = row_in(tmp_path)
    assert done.returncode == 0
    assert row["n_demonstrations"] == 2
    assert row["provenance"]["n_sets"] == 10  # type: ignore[index]


def test_workers_read_the_configuration_file_too(tmp_path: Path) -> None:
    assert elsewhere(tmp_path, "-n", "1").returncode == 0
    assert row_in(tmp_path)["n_demonstrations"] == 3


@pytest.mark.parametrize(
    ("line", "wording"),
    [
        ('probes_sets = "many"', "probes_sets in pytest's configuration file cannot"),
        ('probes_dtype = "int8"', "Expected one of float32"),
        ('probes_models = "constructed_gd1"', "Did you mean constructed_gd_1"),
    ],
)
def test_a_bad_value_in_the_configuration_file_is_refused_in_one_sentence(
    line: str, wording: str, tmp_path: Path
) -> None:
    key = line.partition(" ")[0]
    kept = [x for x in CONFIG.splitlines() if not x.startswith(key)]
    done = elsewhere(tmp_path, config="\n".join([*kept, line]))
    assert done.returncode == 4
    assert wording in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_help_groups_all_options_and_names_their_keys(tmp_path: Path) -> None:
    text = elsewhere(tmp_path, "--help").stdout
    before, _, ours = text.partition("is in-context learning gradient descent?:")
    assert "--" not in before  # they are the first options
    ours = ours.partition("\n\n")[0]
    for name in ("models", "demos", "store", "store-limit", "raw", "list-claims"):
        assert f"--{name}" in ours
        if not name.startswith("list"):
            assert f"probes_{name.replace('-', '_')} " in text
    assert "(default: 10)" in " ".join(ours.split())


SLIPS = {
    "an unknown observation": (
        claim_of().replace("(icl, gd,", "(icl, gdd,"),
        "No observation for the claim 'mine' is named 'gdd'. Expected an observation "
        "that the fixtures offer. Did you mean gd",
    ),
    "no source": (
        claim_of("As GD."),
        "The claim 'test_mine' has no source",
    ),
    "a section that does not exist": (
        claim_of("As GD.\n\nSource: a test\n\nResult: alike"),
        "The docstring of the claim 'test_mine' has a section 'Result'",
    ),
    "no margin": (
        claim_of().replace(", margin=0.1", ""),
        "The claim 'test_mine' calls judge.stays_below without a margin",
    ),
}


def test_collecting_alone_succeeds_and_writes_no_report(tmp_path: Path) -> None:
    assert elsewhere(tmp_path, "--collect-only").returncode == 0
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_of_an_extender_is_reported_at_collection(
    slip: str, tmp_path: Path
) -> None:
    claim, wording = SLIPS[slip]
    done = elsewhere(tmp_path, "--collect-only", claim=claim)
    assert done.returncode == 2
    assert wording in " ".join(done.stdout.split())


def test_a_measure_of_the_wrong_shape_is_reported_in_its_cell(tmp_path: Path) -> None:
    measure = """
from probes.measurement import Measurement
def prediction_distance(a, b):
    return Measurement(name="flat", values=[1.0, 2.0], unit="nats")
@claim("""
    done = elsewhere(tmp_path, claim=claim_of().replace("@claim(", measure))
    assert done.returncode == 1
    assert "'flat' has values of shape (2,). Expected (n_demon" in done.stdout


def test_junit_carries_the_verdict_and_the_effect(tmp_path: Path) -> None:
    elsewhere(tmp_path, "--junitxml", "junit.xml")
    (case,) = ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    found = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert found["verdict"] == "supported"
    assert found["effect_margin"] == "1e-12" or float(found["effect_value"] or 1) < 0.1
    assert not any(name and name.startswith("probes") for name in found)


def test_hostile_effects_and_errors_leave_junit_well_formed(tmp_path: Path) -> None:
    head, body = CLAIM.split("@claim")
    parts = [head]
    for name, text in HOSTILE.items():
        said = body.format(docstring=f"{text}\n\nSource: {text}").replace(
            "    judge.", f"    judge.record({text!r})\n    judge."
        )
        raised = f"    raise ValueError({text!r})\n"
        parts += [f"@claim{said}".replace("mine", f"{name}_measured")]
        parts += [f"@claim{said}{raised}".replace("mine", f"{name}_raised")]
    done = elsewhere(tmp_path, "--junitxml", "junit.xml", claim="\n".join(parts))
    assert done.returncode == 1, done.stdout[-2000:]
    cases = {
        case.get("name", "").partition("[")[0].removeprefix("test_"): case
        for case in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    }
    assert len(cases) == 2 * len(HOSTILE)
    for name in HOSTILE:
        assert cases[f"{name}_measured"].find("error") is None
        assert cases[f"{name}_raised"].find("failure") is not None
    rows = (tmp_path / "reports/latest/results.jsonl").read_text("utf-8")
    assert len(rows.split("\n")) == 2 * len(HOSTILE) + 1
    assert "\x1b" not in done.stdout


FAILING = """
from probes.errors import OptionError
from probes.pytest_plugin import observation

@observation
def mine(cell):
    raise OptionError("The rate is -1. Expected one above 0. Pass another.")
"""


@pytest.mark.parametrize("engine", [(), ("--engine", "local:1")])
def test_an_observation_that_cannot_be_made_is_an_error_of_its_own_cells(
    engine: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text(FAILING)
    both = claim_of() + CLAIM.replace("test_mine(icl, gd", "test_other(mine, gd")
    done = elsewhere(tmp_path, *engine, claim=both.format(docstring="B.\n\nSource: b"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout
    lines = (tmp_path / "reports/latest/results.jsonl").read_text("utf-8").splitlines()
    verdicts = {row["claim"]: row["verdict"] for row in map(json.loads, lines)}
    assert verdicts == {"mine": "supported", "other": "error"}
    assert "The rate is -1. Expected one above 0." in done.stdout
