"""Nothing that is loaded can run code."""

from __future__ import annotations

import ast
import json
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import ROOT, as_installed
from tests.support.spawning import python

SOURCES = [
    path
    for folder in ("src", "fixtures", "claims")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
MODULES |= {"yaml", "imp", "code"}
NAMES = {"eval", "exec", "compile", "__import__"}
LOADERS = {("torch", "load"), ("torch.hub", "load"), ("os", "system"), ("os", "popen")}
LOADERS |= {("np", "load"), ("numpy", "load"), ("torch.jit", "load")}


def dangers(tree: ast.AST) -> Iterator[str]:
    """Name what could run code that is read from somewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in MODULES:
                yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _called(node)


def _called(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called in NAMES or tuple(called.rpartition(".")[::2]) in LOADERS:
        yield called
    for word in node.keywords:
        given = ast.unparse(word.value)
        if word.arg in ("shell", "trust_remote_code", "allow_pickle"):
            if given != "False":
                yield f"{word.arg}={given}"
        elif word.arg == "use_safetensors" and given != "True":
            yield f"{word.arg}={given}"
    # A concrete architecture's own method runs no code of the folder.
    is_bare = "trust_remote_code" not in {word.arg for word in node.keywords}
    if re.search(r"Auto\w+\.from_pretrained$", called) and is_bare:
        yield f"{called} without trust_remote_code=False"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_source_can_run_what_it_reads(path: Path) -> None:
    assert [*dangers(ast.parse(path.read_text("utf-8")))] == []


DANGEROUS = (
    "import pickle",
    "from dill import loads",
    "eval(text)",
    "torch.load(path)",
    "AutoModel.from_pretrained(p)",
    "M.from_pretrained(p, trust_remote_code=True)",
    "run(words, shell=True)",
    "np.load(p, allow_pickle=True)",
    "os.system(text)",
)


@pytest.mark.parametrize("source", DANGEROUS)
def test_a_source_that_could_is_seen(source: str) -> None:
    assert [*dangers(ast.parse(source))]


HOSTILE_LOAD = """
import sys, warnings
from dataclasses import replace
from pathlib import Path
import probes_fixtures.models
from probes.run.grid import MODELS
from probes.engine.store import Store
from probes.models.causal_lm.loading import load_causal_lm
from probes.observations.observation import Observation
from probes.cards import Checkpoint, Untrained
from probes.cell import Settings
import numpy as np

seen = []
def watch(event, arguments):
    if event == "pickle.find_class":
        seen.append(arguments)
sys.addaudithook(watch)
home = Checkpoint(location=sys.argv[1])
card = replace(MODELS.get("hmm_llama"), weights=home)
assert load_causal_lm(card, Settings()) is not None
untrained = replace(card, weights=Untrained(of=home, seed=0, keeps="nothing"))
assert load_causal_lm(untrained, Settings()) is not None
store = Store(Path(sys.argv[1]) / "store")
store.put(Observation(arrays={"x": np.zeros(3)}, facts={"a": 1}, key="0" * 32))
assert store.get("0" * 32) is not None
print("unpickled:", seen)
"""


class Bomb:
    """Leaves a trace if it is ever unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.flag,)


def test_loading_a_hostile_folder_unpickles_nothing_and_runs_no_file_of_it(
    tmp_path: Path,
) -> None:
    folder, flag = tmp_path / "model", tmp_path / "flag"
    shutil.copytree(ROOT / "fixtures/checkpoints/hmm_llama", folder)
    (folder / "SHA256SUMS").unlink()
    bomb = pickle.dumps(Bomb(flag))
    for name in ("pytorch_model.bin", "model.pt", "training_args.bin", "model.pkl"):
        (folder / name).write_bytes(bomb)
    trap = f"open({str(flag)!r}, 'w')\n"
    for name in ("modeling_llama.py", "configuration_llama.py", "tokenization.py"):
        (folder / name).write_text(trap)
    (folder / "conftest.py").write_text(trap)
    script = tmp_path / "load.py"
    script.write_text(HOSTILE_LOAD)
    done = python(str(script), str(folder), cwd=tmp_path, env=as_installed())
    assert "unpickled: []" in done.stdout, done.stdout + done.stderr
    assert not flag.exists()


def test_a_bomb_does_go_off_when_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "flag")))
    assert (tmp_path / "flag").exists()


def test_a_folder_whose_only_weights_are_a_pickle_is_refused(tmp_path: Path) -> None:
    from probes.errors import ModelError
    from probes.models.files.safetensors_headers import require_loadable

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "flag")))
    with pytest.raises(ModelError, match="a pickle, which can run code"):
        require_loadable(tmp_path, needs_weights=True)
    assert not (tmp_path / "flag").exists()
