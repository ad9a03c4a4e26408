"""Draws the layers of the code; run ``python -m tests.support.picture``.

The picture is the block between two marks in ``docs/architecture.md``. A test compares
it with what this module draws.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.support.imports import LAYERS, PUBLIC, arrows, module_files, package_of
from tests.support.running import ROOT

PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- picture: begin -->", "<!-- picture: end -->"
WIDTH = 74


def picture() -> str:
    """Draw the layers, the top one first, and list what each package imports."""
    files = module_files()
    imported: dict[str, set[str]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for module, targets in arrows(files).items():
        if module in PUBLIC:
            continue
        package = package_of(module)
        sizes[package] += files[module].name != "__init__.py"
        imported[package] |= {package_of(target) for target in targets} - {package}
    head = ["| package | imports |", "|---|---|"]
    lines = ["```text", *_layers(sizes), "```", "", *head]
    downwards = [package for layer in reversed(LAYERS) for package in layer]
    for package in downwards:
        below = [other for other in downwards if other in imported[package]]
        lines.append(f"| `{package}` | {', '.join(below) or 'nothing'} |")
    return "\n".join(lines)


def _layers(sizes: dict[str, int]) -> list[str]:
    edge = "+" + "-" * WIDTH + "+"
    lines = [edge]
    for layer in reversed(LAYERS):
        names = [
            f"{package} ({sizes[package]})" if sizes[package] > 1 else package
            for package in layer
        ]
        lines += [f"|{'   '.join(names):^{WIDTH}}|", edge]
    return lines


def renewed(page: str) -> str:
    """Put today's picture into a page."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


def main(page: Path = PAGE) -> None:
    """Renew the picture in the page."""
    page.write_text(renewed(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
