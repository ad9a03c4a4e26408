"""Draws the table of ``docs/models.md`` from the zoo.

``python -m tests.support.models_page`` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from probes.models.architecture_description import ATTENTION_MATRICES
from tests.support.zoo import CAUSAL, ENCODERS, ZOO, architecture, loaded, why_not

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- zoo: begin -->\n", "<!-- zoo: end -->\n"
COLUMNS = {
    "W_Q, W_K, W_V": ATTENTION_MATRICES[:3],
    "W_O": ("W_O",),
    "LoRA": ("lora",),
    "mlp": ("mlp",),
    "norm": ("norm",),
    "layers": ("layers",),
    "attention": ("attention",),
    "sparsity": ("attention matrices",),
    "no order": ("positions",),
    "patch": ("context patch",),
    "all layers": ("all-layers patch",),
}
"""What each column of the table needs of an architecture."""


def table() -> str:
    """Draw architectures by capabilities, and say why some are missing."""
    notes: dict[str, int] = {}
    lines = [
        f"| in the zoo | `model_type` | ICL, GD | {' | '.join(COLUMNS)} | "
        f"prompts share a prefix |",
        "|---" * (len(COLUMNS) + 4) + "|",
    ]
    for name in CAUSAL:
        marks = [_mark(name, needs, notes) for needs in COLUMNS.values()]
        shares = "✓" if loaded(name).shares_prefixes else ""
        fast = architecture(name)
        kind = ZOO[name][0]
        written = " (fast)" if fast is not None and fast.is_written_out else ""
        cells = [f"`{name}`", f"`{kind}`", f"✓{written}", *marks, shares]
        lines.append(f"| {' | '.join(cells)} |")
    reasons = [f"{number}. {reason}" for reason, number in notes.items()]
    refused = ", ".join(f"`{name}`" for name in ENCODERS)
    outro = f"Refused when they are loaded, because tokens see later ones: {refused}."
    return "\n".join([*lines, "", *reasons, "", outro, ""])


def _mark(name: str, needs: tuple[str, ...], notes: dict[str, int]) -> str:
    """Draw a tick, or the number of the reason why not."""
    reason = next(filter(None, (why_not(name, need) for need in needs)), "")
    if not reason:
        return "✓"
    return f"– ({notes.setdefault(reason, len(notes) + 1)})"


def page_with(drawn: str) -> str:
    """Put a table into the page, between its marks."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + drawn + END + after


if __name__ == "__main__":
    PAGE.write_text(page_with(table()), "utf-8")
