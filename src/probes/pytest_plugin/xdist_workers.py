"""Hooks of pytest-xdist: the number of workers, and what each may use."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.workermanage import parse_tx_spec_config

from probes.engine.scheduling import ModelScheduling
from probes.engine.work_queue import model_bytes_by_group, shared_model_limit
from probes.engine.worker_resources import worker_environment
from probes.pytest_plugin.items import RUN
from probes.pytest_plugin.start import auto_workers, fill
from probes.run.grid import parse_models


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Choose the number of workers for ``-n auto``."""
    fill(config)  # xdist asks before the run starts
    return auto_workers(config.option)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Give each worker its share of cores and GPUs, before it imports anything."""
    for index, spec in enumerate(specs):
        spec.env.update(worker_environment(index, len(specs), config.option.device))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass a worker the folder of this run's progress."""
    node.workerinput["probes_status"] = str(node.config.stash[RUN].status_folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Note which tests must be reported."""
    node.config.stash[RUN].collected.update(ids)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the cells of a model together, unless ``--dist`` says otherwise."""
    if config.option.dist != "load":
        return None
    models = parse_models(config.option.models)  # checked before
    limit = shared_model_limit(config.option.device, len(parse_tx_spec_config(config)))
    return ModelScheduling(
        config, log, sizes=model_bytes_by_group(models), shared_limit=limit
    )
