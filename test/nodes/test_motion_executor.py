"""motion_executor as a process, with a base as another: what moves, and what is told."""

import math
import os
import subprocess
import sys
import time

from bench import PATIENCE
from janusvln_ros.msg import MidLevelCommand, MotionStatus, NavigationAction
import pytest
from rcl_interfaces.srv import DescribeParameters
from std_msgs.msg import String
from waiting import wait_for

pytestmark = pytest.mark.ros


def test_steps_are_executed_and_reported(robot):
    bench = robot()
    start = bench.pose
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_SUCCEEDED and status.message == ''
    x, y, yaw = bench.pose
    assert math.hypot(x - start[0], y - start[1]) == pytest.approx(0.25, abs=0.02)
    assert status.progress == pytest.approx(0.25, abs=0.02)
    assert status.header.frame_id == 'odom' and not status.open_loop
    end = status.motion_end.sec + status.motion_end.nanosec * 1e-9
    assert 0.0 <= time.time() - end < 2.0
    assert not bench.base_moves
    states = [status.state for status in bench.statuses]
    assert states.index(MotionStatus.STATE_MOVING) < states.index(MotionStatus.STATE_SETTLING)
    bench.do(2)
    assert bench.pose[2] - yaw == pytest.approx(math.radians(15.0), abs=math.radians(1.5))
    wait_for(lambda: len(bench.heard['executed_path'].poses) == 3, 'a path of three poses')
    last = bench.heard['executed_path'].poses[-1].pose.position
    assert (last.x, last.y) == pytest.approx(bench.pose[:2], abs=0.01)
    wait_for(
        lambda: '/diagnostics' in bench.heard and bench.diagnosis['last result'] == 'SUCCEEDED',
        'diagnostics',
    )
    assert bench.diagnosis['state'] == 'IDLE'
    assert float(bench.diagnosis['odometry rate (Hz)']) > 5.0
    assert bench.heard['/diagnostics'].status[0].level == b'\x01'  # there is no navigator
    taken = os.sched_getscheduler(bench.process.pid) == os.SCHED_FIFO
    assert bench.diagnosis['real-time priority'] == '5' or (
        not taken and 'refused' in bench.diagnosis['real-time priority']
    )
    bench.assert_stands()


def test_stamped_velocity(robot):
    bench = robot(
        *'-p stamped_cmd_vel:=true -p cmd_vel_frame:=base -p realtime_priority:=0'.split(),
        base=('--stamped',),
        stamped=True,
    )
    assert os.sched_getscheduler(bench.process.pid) == os.SCHED_OTHER
    assert bench.do(3).result == MotionStatus.RESULT_SUCCEEDED
    header = bench.heard['cmd_vel'].header
    assert header.frame_id == 'base' and header.stamp.sec > 0


def test_wrong_actions_do_not_move_the_robot(robot):
    bench = robot()
    for fields in (
        {'action': 4},
        {'action': 255},
        {'action': 1, 'probabilities': [math.nan, 0.0, 0.0, 1.0]},
    ):
        status = bench.do(**fields)
        assert status.result == MotionStatus.RESULT_BAD_INPUT and status.message
    bench.sentences.publish(String(data='do not move forward'))
    wait_for(lambda: 'do not move forward' in bench.status.message, 'the refusal')
    assert not bench.base_moves and not any(v or w for _, v, w in bench.commands)
    first = bench.act(1)
    bench.actions.publish(first)
    wait_for(lambda: bench.base_moves, 'the base to move')
    stop = bench.act(0, probabilities=[math.nan] * 4)  # stopping is right whatever else is wrong
    wait_for(lambda: bench.ended(stop.step), 'the stop')
    assert bench.status.result == MotionStatus.RESULT_SUCCEEDED
    x, y, _ = bench.pose
    assert math.hypot(x, y) < 0.2
    first = bench.act(1)
    bench.actions.publish(first)
    wait_for(lambda: bench.ended(first.step), 'the end of the step')
    for step in (first.step, first.step - 2):  # again, and an older one
        bench.act(1, step=step)
    bench.assert_stands()
    assert math.hypot(bench.pose[0] - x, bench.pose[1] - y) == pytest.approx(0.25, abs=0.02)
    bench.act(0, instruction_id='long' * 100_000)
    wait_for(lambda: 'long' in bench.status.instruction_id, 'the long name')
    assert len(bench.status.instruction_id) == 256


def test_sentences_move_the_robot(robot):
    bench = robot()
    bench.sentences.publish(String(data='turn left thirty degrees, then go forward 25 cm'))
    wait_for(
        lambda: (
            bench.status.result == MotionStatus.RESULT_SUCCEEDED
            and bench.status.action == NavigationAction.MOVE_FORWARD
        ),
        'both steps',
    )
    assert bench.pose[2] == pytest.approx(math.radians(30.0), abs=math.radians(2.5))
    assert math.hypot(*bench.pose[:2]) == pytest.approx(0.25, abs=0.03)
    bench.sentences.publish(String(data='turn left 180 degrees'))
    wait_for(lambda: bench.base_moves, 'the base to move')
    bench.sentences.publish(String(data='robot, stop'))  # is not understood
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_BAD_INPUT, 'the refusal')
    bench.assert_stands()
    assert bench.status.result == MotionStatus.RESULT_BAD_INPUT
    assert bench.pose[2] < math.radians(150.0)


def test_nothing_that_comes_in_is_echoed_unbounded(robot):
    bench = robot()
    bench.sentences.publish(String(data='go ' * 350_000))
    wait_for(lambda: 'characters' in bench.status.message, 'the refusal')
    assert bench.status.result == MotionStatus.RESULT_BAD_INPUT
    step = bench.act(1, instruction_id='a' * 500_000, step=7).step
    wait_for(lambda: bench.ended(step), 'the step')
    assert bench.status.result == MotionStatus.RESULT_SUCCEEDED
    assert all(len(each.message + each.instruction_id) < 1000 for each in bench.statuses)


def test_simulated_time_without_a_clock_is_told(robot):
    bench = robot('-p', 'use_sim_time:=true', ready=False)
    wait_for(lambda: '/clock' in bench.status.message, 'the status')
    assert bench.status.state == MotionStatus.STATE_FAULT


def test_open_loop_where_it_is_allowed(robot):
    bench = robot('-p', 'allow_open_loop:=true')
    bench.faults.publish(String(data='silent'))
    wait_for(
        lambda: '/diagnostics' in bench.heard and float(bench.diagnosis['odometry age (s)']) > 0.6,
        'silence',
    )
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_SUCCEEDED and status.open_loop
    assert math.hypot(*bench.pose[:2]) == pytest.approx(0.25, abs=0.05)
    wait_for(lambda: bench.diagnosis['open loop'] == 'True', 'the diagnostics')
    assert 'open loop' in bench.heard['/diagnostics'].status[0].message
    bench.assert_stands()


def test_base_that_takes_commands(robot):
    bench = robot('-p', 'output:=command')
    step = bench.act(2).step
    none = MidLevelCommand()  # it says stop when it starts
    wait_for(
        lambda: bench.heard.get('mid_level_command', none).type == MidLevelCommand.TURN, 'the turn'
    )
    command = bench.heard['mid_level_command']
    assert command.sentence == 'turn left 15 degrees'
    assert command.amount == pytest.approx(math.radians(15.0)) and command.step == step
    assert bench.status.state == MotionStatus.STATE_MOVING
    bench.done.publish(command)
    wait_for(lambda: bench.ended(step), 'the end of the step')
    assert bench.status.result == MotionStatus.RESULT_SUCCEEDED
    assert not bench.commands


def test_parameters_change_where_it_is_safe(robot):
    bench = robot()
    assert bench.set_parameter('max_linear_speed', 0.15).successful
    bench.act(1)
    wait_for(lambda: bench.base_moves, 'the base to move')
    for name, value, word in (
        ('execution_mode', 'continuous', 'stands'),
        ('max_linear_speed', 0.3, 'stands'),
        ('control_rate', 100.0, 'fixed'),
    ):
        answer = bench.set_parameter(name, value)
        assert not answer.successful and word in answer.reason
    assert bench.set_parameter('odometry_timeout', 0.4).successful
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_SUCCEEDED, 'the end of the step')
    assert max(linear for _, linear, _ in bench.commands) <= 0.15 + 1e-9
    for name, value, word in (
        ('execution_mode', 'hop', 'step, continuous'),
        ('max_linear_speed', -1.0, 'range'),
        ('min_linear_speed', 0.5, 'minimum speed'),
    ):
        answer = bench.set_parameter(name, value)
        assert not answer.successful and word in answer.reason, answer.reason
    request = DescribeParameters.Request(names=['max_linear_speed', 'zero_hold'])
    for description in bench.call(
        DescribeParameters, 'motion_executor/describe_parameters', request
    ).descriptors:
        assert description.description and description.floating_point_range


@pytest.mark.parametrize(
    ('override', 'word'),
    [
        ('max_linear_speed:=99.0', 'max_linear_speed'),
        ('max_linear_speed:=fast', 'max_linear_speed'),
        ('execution_mode:=hop', 'continuous'),
        ('min_linear_speed:=0.9', 'minimum speed'),
    ],
)
def test_wrong_parameter_ends_the_command_with_a_message(ros_domain, override, word):
    run = subprocess.run(
        [sys.executable, *'-m janusvln_ros.cli motion_executor --ros-args -p'.split(), override],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 2
    assert word in run.stderr and 'Traceback' not in run.stderr


def test_help_names_every_parameter():
    run = subprocess.run(
        [sys.executable, '-m', 'janusvln_ros.cli', 'motion_executor', '--help'],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 0
    for name in ('execution_mode', 'max_linear_speed', 'stop_distance', 'odometry_timeout'):
        assert f'\n  {name} ' in run.stdout


def test_no_torch_in_the_executor():
    code = """import sys; import janusvln_ros.nodes.motion_executor
assert not {'torch', 'transformers', 'cv2'} & set(sys.modules)"""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=PATIENCE)
