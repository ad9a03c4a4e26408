"""Runs commands as ``python …`` would, but forked from a process that knows torch.

Most of the time of a small run is importing torch and transformers. A helper process
imports them once; each command is a fork of it, with a folder, an environment and
outputs of its own, so that nothing of one run is seen by another. Nothing of this
project is imported before the fork, so that each run loads it as it is.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

HEAVY = (
    "numpy scipy.stats torch torch.func safetensors.torch tokenizers transformers "
    "transformers.models.auto.modeling_auto transformers.models.llama.modeling_llama "
    "transformers.models.auto.tokenization_auto jinja2 filelock hypothesis.strategies "
    "pytest xml.etree.ElementTree"
)


PLUGINS = {"anyio", "hypothesis", "_hypothesis_globals"}


def python(
    *words: str, cwd: Path, env: dict[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run ``python words…``: ``-m MODULE …`` or a script.

    Raises:
        TimeoutError: It took longer; it was killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        asked = {"words": words, "cwd": str(cwd), "env": env, "outputs": outputs}
        status = _ask(asked | {"timeout": timeout})
        out, err = (Path(path).read_text("utf-8", "replace") for path in outputs)
    if status is None:
        raise TimeoutError(f"{words} ran for more than {timeout} seconds: {out}{err}")
    return subprocess.CompletedProcess([*words], status, out, err)


def _ask(asked: dict[str, Any]) -> int | None:
    helper = _helper(os.getpid())
    assert helper.stdin is not None
    assert helper.stdout is not None
    helper.stdin.write(json.dumps(asked) + "\n")
    helper.stdin.flush()
    answer = json.loads(helper.stdout.readline())
    return None if answer is None else int(answer)


@cache
def _helper(owner: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


# ------------------------------------------------------------- in the helper process


def _serve() -> None:
    for name in HEAVY.split():
        __import__(name)
    # Some bring packages along that are pytest plugins too. Pytest would warn that it
    # cannot rewrite their asserts any more; this mark is its own way to decline.
    for name in PLUGINS & sys.modules.keys():
        sys.modules[name].__doc__ = "PYTEST_DONT_REWRITE"
    # Pytest and Hypothesis collect garbage several times a run; what all runs share is
    # none, and looking through torch's objects again and again takes a second.
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked)
        print(json.dumps(_wait(child, asked["timeout"])), flush=True)


def _wait(child: int, timeout: float) -> int | None:
    """Wait for a child; kill it and what it started when time is up."""
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(int(timeout))
    _, status = os.waitpid(child, 0)
    is_late = signal.alarm(0) == 0
    return None if is_late else os.waitstatus_to_exitcode(status)


def _become(asked: dict[str, Any]) -> None:
    """Turn this process into the command; never returns."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number, path in enumerate(asked["outputs"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    status = 1
    try:
        status = _run(asked["words"])
    except SystemExit as error:
        status = _status_of(error)
    except BaseException:  # as an interpreter ends: a traceback, status 1
        sys.excepthook(*sys.exc_info())
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)  # no teardown of libraries that the helper still needs


def _run(words: list[str]) -> int:
    found = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = os.getcwd() if words[0] == "-m" else str(Path(words[0]).parent.resolve())
    sys.path[:1] = [here, *filter(None, found)]
    sys.argv = words[1:] if words[0] == "-m" else words
    if words[:2] == ["-m", "pytest"]:
        import pytest

        return int(pytest.main(words[2:]))
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")
    return 0


def _status_of(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    _serve()
