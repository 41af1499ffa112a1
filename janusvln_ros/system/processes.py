"""Start the package's nodes as processes of their own, and leave none behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from janusvln_ros import share
from janusvln_ros.workers import end_with, Interruption

PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
_PATIENCE = 10.0  # s that a node has to end by itself


class NodeFailed(RuntimeError):
    """A node has ended by itself; the message holds the last lines that it wrote."""


class NodeProcesses:
    """
    Nodes of this package, each a process with its log in a folder.

    Leaving the `with` block ends them: SIGINT first, SIGKILL to those that do not go. They end too
    when this process is killed. Within the block SIGINT and SIGTERM are noted, and raised by
    `check`: anywhere else they could leave a half started node behind.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen] = {}
        self._interruption = Interruption()
        logs.mkdir(parents=True, exist_ok=True)

    def start(
        self, name: str, parameters: Mapping[str, Any], *remappings: str
    ) -> subprocess.Popen:
        """Start `janusvln NAME` with these ROS parameters; remappings: as FROM:=TO."""
        words = ros_arguments(parameters)
        words += [word for remapping in remappings for word in ('-r', remapping)]
        command = [sys.executable, '-m', 'janusvln_ros.cli', name, *words]
        with open(self._log(name), 'wb') as log:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of their own: Ctrl-C reaches this process only, which ends the nodes.
                start_new_session=True,
                preexec_fn=partial(end_with, os.getpid()),
                env=node_environment(),
            )
        return self._running[name]

    def check(self) -> None:
        """Raise NodeFailed if a node has ended, KeyboardInterrupt if this process is to end."""
        if self._interruption.noted:
            raise KeyboardInterrupt
        for name, process in self._running.items():
            if process.poll() is not None:
                lines = self._log(name).read_text(errors='replace').splitlines()[-15:]
                raise NodeFailed(
                    f'{name} ended with status {process.returncode}; it wrote:\n  '
                    + '\n  '.join(lines)
                )

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait for a condition; what `check` raises, and NodeFailed after `timeout` s."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                late = ', '.join(self._running)
                raise NodeFailed(f'not ready after {timeout:g} s: {late}; see the logs')
            time.sleep(0.02)

    def stop(self, *names: str) -> None:
        """End these nodes, or all; the last one started is told first."""
        ending = [self._running.pop(name) for name in reversed(names or tuple(self._running))]
        for process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _PATIENCE
        for process in ending:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f'{name}.log'

    def __enter__(self) -> NodeProcesses:
        self._interruption.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._interruption.__exit__()


def ros_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that give a node its parameters."""
    words = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    return ['--ros-args', *words]


def node_environment() -> dict[str, str]:
    """Return the environment for nodes: ours, with the transport profile that images need."""
    environment = dict(os.environ)
    for name in PROFILES:
        environment.setdefault(name, str(share() / 'config' / 'fastdds.xml'))
    return environment


def bundled_checkpoint() -> str:
    """Return the folder of the small checkpoint that comes with the package, or 'random'."""
    folder = share() / 'models' / 'janusvln-tiny'
    return str(folder) if (folder / 'config.json').is_file() else 'random'
