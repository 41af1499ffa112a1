"""What tests of nodes as processes share: who plays the parts beside them."""

import os
from pathlib import Path
import sys

from bench import Bench
import pytest
from ros import Peers, spinning
from waiting import wait_for

HERE = Path(__file__).parent


@pytest.fixture
def script(start_process):
    """Give a function that starts a script of this folder as a process."""

    def start(name, *arguments):
        return start_process(
            [sys.executable, str(HERE / name), *arguments],
            env={**os.environ, 'PYTHONPATH': str(HERE.parents[1])},
        )

    return start


@pytest.fixture
def robot(ros_domain, start_command, script):
    """
    Give a function that starts a base and an executor and returns a bench for them.

    Other keyword arguments are for the executor's process.
    """
    benches = []

    def start(*ros_arguments, base=(), stamped=False, ready=True, **options):
        script('../support/kinematic_base.py', *base)
        bench = Bench(ros_domain, stamped)
        benches.append(bench)
        bench.process = start_command(
            'motion_executor',
            *(('--ros-args', *ros_arguments) if ros_arguments else ()),
            **options,
        )
        if ready:
            bench.ready()
        return bench

    yield start
    for bench in benches:
        bench.close()


@pytest.fixture
def peers(ros_domain):
    """Give camera, executor and user of a navigator."""
    with spinning(Peers, ros_domain) as node:
        yield node


@pytest.fixture
def start_navigator(start_process):
    """Give a function that starts a navigator; by default with a scripted policy."""

    def start(*parameters, checkpoint='script', autostart=True):
        words = [
            word
            for name in (
                f'checkpoint:={checkpoint}',
                f'autostart:={autostart}',
                'device:=cpu',
                'threads:=1',
                *parameters,
            )
            for word in ('-p', name)
        ]
        script = HERE / 'scripted_navigator.py'
        command = (
            [sys.executable, '-m', 'janusvln_ros.cli', 'navigator']
            if checkpoint == 'random'
            else [sys.executable, str(script)]
        )
        return start_process([*command, '--ros-args', *words])

    return start


@pytest.fixture
def ready(peers, start_navigator):
    """Give a function that starts an active navigator."""

    def ready(*parameters, **options):
        process = start_navigator(*parameters, **options)
        wait_for(
            lambda: peers.idle() and peers.instruction.get_subscription_count(),
            'active navigator',
            150,
        )
        return process

    return ready
