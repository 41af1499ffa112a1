"""motion_executor as a managed node, with a base as another process: inactive it moves nothing."""

import math
from pathlib import Path
import signal
import subprocess
import sys

from bench import Bench, PATIENCE
from janusvln_ros.motion.safety.activity import INACTIVE
from janusvln_ros.msg import MotionStatus
from lifecycle_msgs.msg import Transition
import pytest
from std_msgs.msg import Bool, String
from waiting import stays, wait_for

pytestmark = pytest.mark.ros
ROOT = Path(__file__).parents[2]


@pytest.fixture
def managed(robot):
    """Give a bench whose executor waits for a lifecycle manager."""
    bench = robot('-p', 'autostart:=false', ready=False)
    wait_for(
        lambda: bench.truth and bench.status.message == INACTIVE, 'executor and base', PATIENCE
    )
    return bench


def assert_refuses(bench):
    """Assert that nothing that may be asked for moves the robot."""
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_CANCELED and status.message == INACTIVE
    bench.sentences.publish(String(data='turn left thirty degrees'))
    stays(lambda: not bench.base_moves, 'the base at rest', 0.5)
    assert all(command[1:] == (0.0, 0.0) for command in bench.commands)


def test_it_moves_only_while_it_is_active(managed):
    bench = managed
    assert bench.lifecycle_state() == 'unconfigured'
    assert_refuses(bench)
    assert not bench.commands
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    wait_for(lambda: bench.commands, 'zero')  # whatever drove the base before
    assert_refuses(bench)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the state')
    bench.assert_stands()  # what was refused is not taken up
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.assert_stands()
    assert_refuses(bench)
    assert bench.change(Transition.TRANSITION_CLEANUP)
    assert_refuses(bench)
    wait_for(lambda: '/diagnostics' in bench.heard and bench.diagnosis['active'] == 'False', 'no')
    assert 'inactive' in bench.heard['/diagnostics'].status[0].message


def test_e_stop_and_signals_are_heard_while_it_is_inactive(managed):
    bench = managed
    bench.e_stop.publish(Bool(data=True))
    wait_for(lambda: bench.status.state == MotionStatus.STATE_ESTOPPED, 'the state')
    bench.e_stop.publish(Bool(data=False))
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    assert bench.do(1).result == MotionStatus.RESULT_ESTOPPED
    bench.assert_stands()
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.assert_stands(1.5)
    bench.commands.clear()
    bench.process.send_signal(signal.SIGTERM)
    assert bench.process.wait(PATIENCE) == 0
    wait_for(lambda: bench.commands, 'a last zero command')
    bench.assert_stands(0.3)


def test_leaving_active_brakes_within_the_limits(robot):
    bench = robot('-p', 'max_linear_acceleration:=0.3')
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVE_SHUTDOWN):
        x, y, _ = bench.pose
        bench.start_moving()
        bench.commands.clear()
        assert not bench.change(Transition.TRANSITION_CLEANUP)  # not of an active node
        assert bench.change(transition)
        wait_for(lambda: bench.status.result == MotionStatus.RESULT_CANCELED, 'the end')
        speeds = [speed for _, speed, _ in bench.commands]
        assert any(0.02 < speed < 0.08 for speed in speeds)  # a ramp, no step
        assert math.hypot(bench.pose[0] - x, bench.pose[1] - y) < 0.25
        bench.assert_stands()
        assert_refuses(bench)
        if transition == Transition.TRANSITION_DEACTIVATE:
            assert bench.change(Transition.TRANSITION_ACTIVATE)
            wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the state')
    assert bench.lifecycle_state() == 'finalized'


FAILING = """
import sys
from janusvln_ros.nodes.executor_outputs import ExecutorOutputs
from janusvln_ros.nodes.motion_executor import main
def failing(self):
    if not self._core.stands:
        raise RuntimeError('a mistake in the program')
ExecutorOutputs.publish_rest = failing
sys.exit(main([]))
"""


def test_transition_that_fails_halts_the_robot(ros_domain, script, start_process):
    script('../support/kinematic_base.py')
    start_process([sys.executable, '-c', FAILING], stderr=subprocess.DEVNULL)
    bench = Bench(ros_domain)
    try:
        bench.ready()
        bench.start_moving()
        assert not bench.change(Transition.TRANSITION_DEACTIVATE)
        bench.wait_for_zero(within=0.1)
        bench.assert_stands()
        assert bench.lifecycle_state() == 'unconfigured'
        wait_for(lambda: bench.status.message == INACTIVE, 'the end of the fault')
        assert_refuses(bench)
    finally:
        bench.close()
