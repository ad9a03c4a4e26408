"""``python -m tests.brute_force``: the search against a grid of 12 rates × 256 passes.

It trains every learner of the default claims on text, which takes an hour of two cores
for SmolLM2, keeps each rate in a file, and goes on where it stopped. Then it lets the
search choose, and writes the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from probes.learners.search_effort import STANDARD
from tests.brute_force.surface import Case, Surface, least, measure

CASES = [
    Case(model=model, dataset=dataset, n_demonstrations=n, variant=variant)
    for model, dataset, n in (
        ("hmm_llama", "hmm", 8),
        ("smollm2_135m", "singular_plural", 4),
    )
    for variant in ("gd", "gd_middle_W_V", "gd_deep_W_V", "sgd_fixed", "adam")
]
ROOT = Path(__file__).parents[2]
HEAD = """# The search for GD's rate and passes, against a grid

`python -m tests.brute_force` writes this page. The grid has 12 rates, half a decade
apart, and 256 passes at each. *Excess* is how far the loss that the search chooses lies
above the least of the grid; it is negative where the search found a lower one. The
losses are means over four demonstration sets, on 24 calibration queries. *Passes* counts
those of all rates together; the grid has 3,072.

| model, data, demonstrations | learner | grid: loss (rate, passes) | search: loss (rate, passes) | excess | passes | interior |
|---|---|---|---|---|---|---|
"""  # noqa: E501


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the cases, and write the table.

    Returns:
        The exit status: 1 if the search is more than 1 % above the grid anywhere.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.brute_force")
    parser.add_argument("--only", default="", help="cases whose names contain a text")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "search")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    page, worst = asked.out / "README.md", 0.0
    lines = {} if not page.exists() else lines_of(page.read_text("utf-8"))
    for case in (one for one in CASES if asked.only in one.name):
        with tempfile.TemporaryDirectory() as folder:
            context = case.context(Path(folder))
            surface: Surface = {}
            for surface in measure(case, context, asked.out / f"{case.name}.json"):
                print(f"{case.name}: {len(surface)} rates", file=sys.stderr, flush=True)
            facts = case.learner.choice.observe(context).facts
        line, excess = row(case, surface, facts)
        print(line, file=sys.stderr, flush=True)
        lines[start(case)] = line
        worst = max(worst, excess)
        known = [lines[start(one)] for one in CASES if start(one) in lines]
        page.write_text(HEAD + "".join(f"{one}\n" for one in known), "utf-8")
    return int(worst > 0.01)


def start(case: Case) -> str:
    """Give the cells with which a case's line begins."""
    return f"| {case.model}, {case.dataset}, {case.n_demonstrations} | `{case.variant}`"


def lines_of(page: str) -> dict[str, str]:
    """Read the lines of an earlier page, by how they begin."""
    found = {start(case): "" for case in CASES}
    for line in page.splitlines():
        for begin in found:
            if line.startswith(f"{begin} |"):
                found[begin] = line
    return {begin: line for begin, line in found.items() if line}


def row(case: Case, surface: Surface, facts: object) -> tuple[str, float]:
    """Compare a search with its grid: a line of the table, and the excess."""
    assert isinstance(facts, dict)
    chosen, (loss, rate, passes) = facts["loss"], least(surface)
    excess = chosen["value"] / loss - 1
    walked: dict[float, int] = {}
    for at, n in facts["places"]:
        walked[at] = max(walked.get(at, 0), n)
    cells = [
        f"{loss:.4f} ({rate:g}, {passes})",
        f"{chosen['value']:.4f} ({chosen['rate']:g}, {chosen['passes']})",
        f"{100 * excess:+.2f} %",
        str(sum(walked.values())),
        "yes" if chosen["is_interior"] else f"no: {chosen['edge']}",
    ]
    assert max(walked.values()) <= STANDARD.passes
    return f"{start(case)} | {' | '.join(cells)} |", excess


if __name__ == "__main__":
    sys.exit(main())
