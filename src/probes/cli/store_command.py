"""List, verify, export, prune or clean the observations that runs have stored."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from probes.engine.store import Store
from probes.engine.store_inventory import (
    StoredObservation,
    StoreFilter,
    clean,
    list_described,
    list_observations,
    parse_size,
    prune,
    verify,
)
from probes.errors import StoreError

UNKNOWN = "no description (an older version stored it)"
DAMAGED = 1
"""Exit status of ``verify`` if it set an observation aside."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``probes store``."""
    parser.add_argument(
        "--store",
        default=".store",
        type=Path,
        metavar="FOLDER",
        help="the store; give it before the action (default: .store)",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, do, text in _actions():
        action = actions.add_parser(name, help=text, description=text)
        action.set_defaults(do=do)
        if do is _export:
            action.add_argument("folder", type=Path, help="folder of the other store")
        if do in (_list, _prune):
            _add_filters(action)
        if do is _prune:
            action.add_argument(
                "--limit",
                required=True,
                metavar="SIZE",
                help="the most that the store may hold, such as 500M or 2G; with a "
                "filter, the most that its observations may take",
            )


def _actions() -> tuple[tuple[str, Callable[..., int], str], ...]:
    return (
        (
            "list",
            _list,
            "print what each observation answers (learner, model, dataset, number of "
            "demonstrations), its size, its last use and its key, and sum up by model "
            "and by the versions of libraries",
        ),
        ("verify", _verify, "read every observation back and set damaged ones aside"),
        ("export", _export, "copy all undamaged observations into another store"),
        (
            "prune",
            _prune,
            "remove the least recently used observations until the rest fit",
        ),
        (
            "clean",
            _clean,
            "remove what killed runs left behind, if it is older than an hour",
        ),
    )


def _add_filters(action: argparse.ArgumentParser) -> None:
    for name, example in (
        ("model", "hmm_llama"),
        ("dataset", "sst2"),
        ("learner", "GradientLearner"),
    ):
        action.add_argument(
            f"--{name}", metavar="NAME", help=f"only of this {name}, such as {example}"
        )


def _filter(given: argparse.Namespace) -> StoreFilter:
    return StoreFilter(model=given.model, dataset=given.dataset, learner=given.learner)


def run(given: argparse.Namespace) -> int:
    """Do one action on a store.

    Returns:
        The exit status: 1 if ``verify`` set an observation aside, else 0.

    Raises:
        ProbesError: The store or the limit cannot be used.
    """
    return int(given.do(_open(given.store), given))


def _open(folder: Path) -> Store:
    if not folder.is_dir():
        raise StoreError(
            f"There is no folder {str(folder)!r}. Expected the store of earlier runs. "
            f"Pass --store FOLDER before the action."
        )
    return Store(folder)


def _list(store: Store, given: argparse.Namespace) -> int:
    held = list_described(store, _filter(given))
    for entry in held:
        used = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry.used))
        print(f"{_words(entry)}  {entry.n_bytes:>10}  {used}  {entry.key}")
    for part in ("model", "libraries"):
        names = {str(entry.request.get(part, UNKNOWN)) for entry in held}
        for name in sorted(names) if len(names) > 1 else ():
            of_name = [e for e in held if e.request.get(part, UNKNOWN) == name]
            print(f"{name}: {_sum(of_name)}")
    print(_sum(held))
    return 0


def _words(entry: StoredObservation) -> str:
    """Say in columns what an observation answers."""
    of = entry.request
    if not of:
        return f"{UNKNOWN:<80}"
    after = f"{of.get('demonstrations')} demonstrations {of.get('view', '')}".strip()
    return f"{of.get('model')}  {of.get('dataset')}  {of.get('learner')}  {after:<17}"


def _sum(held: Sequence[StoredObservation]) -> str:
    total = sum(entry.n_bytes for entry in held)
    mean = f", {total // len(held)} each" if held else ""
    return f"{len(held)} observations, {total} bytes{mean}"


def _verify(store: Store, given: argparse.Namespace) -> int:
    n_held, damaged = len(list_observations(store)), verify(store)
    print(f"{n_held - len(damaged)} whole, {len(damaged)} set aside")
    return DAMAGED if damaged else 0


def _export(store: Store, given: argparse.Namespace) -> int:
    target = Store(given.folder)
    n_copied = 0
    for entry in list_observations(store):
        observation = store.get(entry.key)
        if observation is not None and target.get(entry.key) is None:
            target.put(observation)
            n_copied += 1
    print(f"{n_copied} observations copied to {given.folder}")
    return 0


def _prune(store: Store, given: argparse.Namespace) -> int:
    removed = prune(store, parse_size(given.limit), _filter(given))
    print(f"{len(removed)} removed, {sum(entry.n_bytes for entry in removed)} bytes")
    return 0


def _clean(store: Store, given: argparse.Namespace) -> int:
    print(f"{len(clean(store))} removed")
    return 0
