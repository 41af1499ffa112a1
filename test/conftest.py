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
def start_command(ros_domain: int) -> Iterator[Callable[..., subprocess.Popen]]:
    """
    Give a function that starts `janusvln NAME ARGUMENTS...` as a process of its own.

    Keyword arguments go to subprocess.Popen. What still runs when the test ends is killed, with
    its children.
    """
    processes: list[subprocess.Popen] = []

    def start(*arguments: str, **options: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-m', 'janusvln_ros.cli', *arguments],
            cwd=ROOT, start_new_session=True, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
