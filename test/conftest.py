"""What tests of real ROS 2 processes need: a domain of their own, and an end of every process."""
from collections.abc import Callable, Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def ros_domain(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Give this test a DDS domain that no other test of the run uses, and local discovery only."""
    used = request.config.stash.setdefault(_DOMAINS, [])
    domain = 1 + (os.getpid() + len(used)) % 100
    used.append(domain)
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(ROOT / 'config' / 'fastdds.xml'))
    return domain


_DOMAINS = pytest.StashKey[list[int]]()


@pytest.fixture
def start_process(ros_domain: int) -> Iterator[Callable[..., subprocess.Popen]]:
    """
    Give a function that starts a command as a process of its own, from the root of the checkout.

    Keyword arguments go to subprocess.Popen. What still runs when the test ends is interrupted,
    and killed with its children if that does not help: a killed one leaves its shared memory.
    """
    processes: list[subprocess.Popen] = []

    def start(command: list[str], **options: object) -> subprocess.Popen:
        processes.append(subprocess.Popen(
            command, start_new_session=True, **{'cwd': ROOT, **options}))
        return processes[-1]

    yield start
    for number in (signal.SIGCONT, signal.SIGINT):
        for process in processes:
            _signal_group(process, number)
    for process in processes:
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            pass
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


@pytest.fixture
def start_command(
        start_process: Callable[..., subprocess.Popen]) -> Callable[..., subprocess.Popen]:
    """Give a function that starts `janusvln NAME ARGUMENTS...` as start_process does."""
    def start(*arguments: str, **options: object) -> subprocess.Popen:
        return start_process([sys.executable, '-m', 'janusvln_ros.cli', *arguments], **options)

    return start
