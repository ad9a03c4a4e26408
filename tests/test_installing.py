"""What pip installs: everything that claims elsewhere need, under names of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import util
from pathlib import Path

import pytest

from tests.support.running import ROOT, environment
from tests.support.spawning import python

if not all(map(util.find_spec, ("pip", "setuptools"))):
    pytest.skip("pip and setuptools build the wheel", allow_module_level=True)

NOT_PACKAGED = (".*", "reports", "build", "*.egg-info", "__pycache__", "tests")
CLAIM = '''"""A claim of another repository."""

from probes import claim
from probes.measures import prediction_distance


@claim(on="regression", needs_icl=True)
def test_mine(icl, gd, judge):
    """It predicts as GD does.

    Source:
        a test
    """
    judge.vanishes(prediction_distance(icl, gd), tolerance=1e-12, margin=0.05)
'''
GRID = ("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "3")


def call(*words: str, cwd: Path) -> None:
    """Run a Python command that needs no network."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack a source distribution of this repository."""
    folder = tmp_path_factory.mktemp("sources")
    copy = folder / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_PACKAGED))
    (
        copy / "tests"
    ).mkdir()  # setuptools adds tests/test*.py, unless the folder is there
    (copy / "tests/test_one.py").write_text("")
    build = f"import setuptools.build_meta as b; b.build_sdist({str(folder)!r})"
    call("-c", build, cwd=copy)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    """Build the wheel from the source distribution."""
    words = ("--no-build-isolation", "--no-deps", "--quiet", "--wheel-dir", "wheel")
    call("-m", "pip", "wheel", ".", *words, cwd=sources)
    (built,) = (sources / "wheel").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own."""
    target = tmp_path_factory.mktemp("installed")
    words = ("--no-deps", "--no-compile", "--quiet", "--target", str(target))
    call("-m", "pip", "install", str(wheel), *words, cwd=target)
    return target


def shipped_files() -> set[str]:
    """Name the files of src/ and fixtures/ as a wheel has them."""
    homes = {"probes": ROOT / "src/probes", "probes_fixtures": ROOT / "fixtures"}
    return {
        f"{name}/{path.relative_to(home)}"
        for name, home in homes.items()
        for path in home.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_two_packages_and_no_other(
    wheel: Path,
) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packaged = {name for name in names if ".dist-info/" not in name}
    assert packaged == shipped_files()
    assert {name.partition("/")[0] for name in packaged} == {
        "probes",
        "probes_fixtures",
    }


def test_the_source_distribution_holds_what_it_needs_and_no_tests(
    sources: Path,
) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        assert (sources / name).is_file()
    assert not (sources / "tests").exists()


def test_a_claim_in_an_empty_folder_is_judged_by_what_was_installed(
    installed: Path, tmp_path: Path
) -> None:
    claims = tmp_path / "path"
    claims.mkdir()
    (claims / "test_mine.py").write_text(CLAIM)
    assert len(CLAIM.splitlines()) <= 15
    words = ("-m", "pytest", "path/", "-p", "probes_fixtures", "--raw", *GRID)
    done = python(*words, cwd=tmp_path, env=environment(PYTHONPATH=str(installed)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 supported" in done.stdout


def test_the_models_and_data_come_from_what_was_installed(
    installed: Path, tmp_path: Path
) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import probes.claims, probes_fixtures.models as models\n"
        "print(probes.claims.__file__, models.TEXT_LLAMA, sep='\\n')\n"
    )
    env = environment(PYTHONPATH=os.pathsep.join((str(installed), str(tmp_path))))
    done = python("-m", "probe", cwd=tmp_path, env=env)
    assert all(line.startswith(str(installed)) for line in done.stdout.splitlines())
    assert done.stdout.count("\n") == 2, done.stderr


def test_the_command_runs_from_what_was_installed(
    installed: Path, tmp_path: Path
) -> None:
    env = environment(PYTHONPATH=str(installed))
    done = python("-m", "probes", "--help", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "compare the results of two or more runs" in done.stdout
    scripts = next(installed.glob("*.dist-info")) / "entry_points.txt"
    assert "probes = probes.cli.main:main" in scripts.read_text()
