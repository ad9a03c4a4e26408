"""Hooks of xdist: how many workers there are, and what each may use."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.workermanage import parse_tx_spec_config

from probes.engine.scheduling import ModelScheduling
from probes.engine.work_queue import model_bytes_by_group, shared_model_limit
from probes.engine.worker_resources import count_workers, worker_environment
from probes.pytest_plugin.items import RUN
from probes.pytest_plugin.start import fill
from probes.run.grid import parse_models


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Decide what ``-n auto`` means."""
    fill(config)  # xdist asks before the run starts
    return count_workers(config.option.device)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Give each worker its share of cores and GPUs, before it imports anything."""
    for index, spec in enumerate(specs):
        spec.env.update(worker_environment(index, len(specs), config.option.device))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where this run's progress is written."""
    node.workerinput["probes_status"] = str(node.config.stash[RUN].status_folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Note what must be reported."""
    node.config.stash[RUN].collected.update(ids)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the cells of a model together, unless ``--dist`` says otherwise."""
    if config.option.dist != "load":
        return None
    models = parse_models(config.option.models)  # unknown ones are refused by now
    limit = shared_model_limit(config.option.device, len(parse_tx_spec_config(config)))
    sizes = model_bytes_by_group(models)
    return ModelScheduling(config, log, sizes=sizes, shared_limit=limit)
