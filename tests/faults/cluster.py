"""Two Ray nodes on this machine, each with one core, started and killed here."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.faults.processes import family, kill, workers

COMMAND = Path(sys.executable).parent / "ray"
QUICK = {
    # A dead node is noticed after about three seconds instead of thirty.
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def is_installed() -> bool:
    """Say whether Ray can be used here."""
    return importlib.util.find_spec("ray") is not None and COMMAND.exists()


class Cluster:
    """A head node, and others that are added.

    Args:
        environment: What every process of theirs has in its environment.
        logs: A folder for what the nodes print.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = {**environment, **QUICK}
        self.logs = logs
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))  # sockets have short paths
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.nodes: list[subprocess.Popen[bytes]] = []
        self._n_started = 0
        try:
            self.add()
        except TimeoutError:
            self.stop()
            raise

    def add(self) -> None:
        """Start a node of one core; the first is the head."""
        where = [f"--address={self.address}"]
        if not self.nodes:
            head = [f"--port={self.port}", "--include-dashboard=false"]
            where = ["--head", *head, f"--temp-dir={self.folder}"]
        size = ["--num-cpus=1", f"--object-store-memory={100 << 20}"]
        self._n_started += 1
        with (self.logs / f"node-{self._n_started}.log").open("wb") as log:
            node = subprocess.Popen(
                [str(COMMAND), "start", *where, *size, "--block"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.nodes.append(node)
        self._wait(len(self.nodes))

    def _wait(self, n_nodes: int) -> None:
        """Wait until the raylets are up."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            alive = [node for node in self.nodes if _raylets(node.pid)]
            if len(alive) >= n_nodes and _answers(self.port):
                time.sleep(1.0)  # until the other node is registered
                return
            time.sleep(0.1)
        said = (self.logs / f"node-{self._n_started}.log").read_text()[-2000:]
        raise TimeoutError(f"no Ray node came up: {said}")

    def workers(self) -> list[int]:
        """List the actors of every node."""
        return workers(*(node.pid for node in self.nodes))

    def kill_node(self) -> int:
        """Kill the other node with all that runs on it; say how many workers did."""
        node = self.nodes.pop()
        n_workers = len(workers(node.pid))
        kill(node.pid, *family(node.pid))
        node.wait()
        return n_workers

    def stop(self) -> None:
        """End everything."""
        for node in self.nodes:
            pids = family(node.pid)
            kill(node.pid, *pids)
            node.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _raylets(pid: int) -> list[int]:
    found = []
    for child in family(pid):
        with contextlib.suppress(OSError):
            if Path(os.readlink(f"/proc/{child}/exe")).name == "raylet":
                found.append(child)
    return found


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
