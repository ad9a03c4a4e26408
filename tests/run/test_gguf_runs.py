"""A GGUF file is judged as a folder is, and its rows say that it was quantised."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support.gguf_files import write_gguf
from tests.support.running import Ran, run

CLAIM = '''"""A claim that trains nothing."""

from probes import claim
from probes.measures import accuracy


@claim(on="text")
def test_demonstrations_help(icl, base, judge):
    """Demonstrations help.

    Source:
        a test
    """
    judge.exceeds(accuracy(icl).minus(accuracy(base)), margin=0.05)
'''


def judged(folder: Path, model: Path) -> Ran:
    claim, rows = folder / "test_it.py", folder / "moods.jsonl"
    claim.write_text(CLAIM)
    labels = ("good", "bad")
    lines = [{"text": f"It is {i}.", "label": labels[i % 2]} for i in range(60)]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sizes = ("--sets", "2", "--queries", "3", "--calibration", "4", "--demos", "2")
    given = ("--models", str(model), "--datasets", str(rows), *sizes, "--raw")
    words = ("-p", "probes_fixtures", str(claim), *given)
    return run(folder, *words, PROBES_MODELS=str(folder / "cache"))


def test_a_gguf_file_is_judged_and_its_answers_follow_its_content(
    tmp_path: Path,
) -> None:
    path = write_gguf(tmp_path / "any.gguf", llama__context_length=2048)
    first = judged(tmp_path, path)
    (row,) = first.rows
    assert row["verdict"] != "error", row["reason"]
    assert row["model"] == "any"
    assert row["quantisation"] == "Q8_0, F32"
    (tmp_path / "elsewhere").mkdir()
    again = judged(tmp_path, Path(shutil.move(path, tmp_path / "elsewhere/any.gguf")))
    assert again.rows[0]["observations"] == row["observations"]
    assert again.run["forward_passes"] == 0 < first.run["forward_passes"]
