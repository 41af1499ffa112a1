"""What tests of motion_executor as a process share: a base beside it, and a bench for both."""

import os
from pathlib import Path
import sys

from bench import Bench
import pytest

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
    """Give a function that starts a base and an executor and returns a bench for them."""
    benches = []

    def start(*ros_arguments, base=(), stamped=False, ready=True):
        script('kinematic_base.py', *base)
        bench = Bench(ros_domain, stamped)
        benches.append(bench)
        bench.process = start_command(
            'motion_executor', *(('--ros-args', *ros_arguments) if ros_arguments else ())
        )
        if ready:
            bench.ready()
        return bench

    yield start
    for bench in benches:
        bench.close()
