"""motion_executor as a process, with a base as another: all that must stop the robot."""

import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from bench import Bench, PATIENCE
from janusvln_ros.msg import MotionStatus
from janusvln_ros.nodes.common.qos import LATCHED
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from waiting import stays, wait_for

pytestmark = pytest.mark.ros
HERE = Path(__file__).parent


def test_e_stop_is_latched(robot):
    bench = robot()
    bench.start_moving()
    bench.e_stop.publish(Bool(data=True))
    bench.wait_for_zero(within=0.05)
    wait_for(lambda: bench.status.state == MotionStatus.STATE_ESTOPPED, 'the state')
    bench.assert_stands()
    assert not bench.call(Trigger, 'reset_e_stop', Trigger.Request()).success
    bench.e_stop.publish(Bool(data=False))
    assert bench.do(1).result == MotionStatus.RESULT_ESTOPPED
    bench.assert_stands()
    assert bench.call(Trigger, 'reset_e_stop', Trigger.Request()).success
    bench.assert_stands()
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED


def test_executor_ends_with_the_launch_that_started_it(robot, start_process):
    bench = robot(ready=False)
    bench.process.kill()
    bench.process.wait()
    command = [sys.executable, '-m', 'janusvln_ros.cli', 'motion_executor']
    launch = start_process(
        [
            sys.executable,
            '-c',
            'import os, subprocess; os.environ["JANUSVLN_PARENT"] = str(os.getpid());'
            f'child = subprocess.Popen({command}); print(child.pid, flush=True); child.wait()',
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    number = int(launch.stdout.readline())
    bench.ready()
    bench.start_moving()
    launch.kill()
    bench.wait_for_zero(within=0.3)
    wait_for(lambda: not Path(f'/proc/{number}').exists(), 'its end', 5.0)
    bench.assert_stands()


@pytest.mark.parametrize(
    'quality', [qos_profile_sensor_data, LATCHED], ids=['best effort', 'transient local']
)
def test_e_stop_is_heard_however_it_is_sent(robot, quality):
    bench = robot(stderr=subprocess.PIPE, text=True)
    bench.start_moving()
    publisher = bench.node.create_publisher(Bool, 'e_stop', quality)
    wait_for(publisher.get_subscription_count, 'the executor')
    publisher.publish(Bool(data=True))
    wait_for(lambda: bench.status.state == MotionStatus.STATE_ESTOPPED, 'the state')
    bench.assert_stands()
    bench.process.terminate()
    assert 'incompatible QoS' not in bench.process.communicate(timeout=PATIENCE)[1]


def test_press_that_bounces_while_the_executor_is_busy_is_heard(robot):
    bench = robot()
    bench.start_moving()
    bench.process.send_signal(signal.SIGSTOP)
    for pressed in (True, *30 * [False]):
        bench.e_stop.publish(Bool(data=pressed))
    bench.process.send_signal(signal.SIGCONT)
    wait_for(lambda: bench.status.state == MotionStatus.STATE_ESTOPPED, 'the state')
    bench.assert_stands()


def test_latched_e_stop_survives_a_restart(robot, start_command):
    bench = robot()
    publisher = bench.node.create_publisher(Bool, 'e_stop', LATCHED)
    publisher.publish(Bool(data=True))
    wait_for(lambda: bench.status.state == MotionStatus.STATE_ESTOPPED, 'the state')
    bench.process.kill()
    bench.process.wait()
    bench.statuses.clear()
    start_command('motion_executor')
    wait_for(lambda: bench.status.state == MotionStatus.STATE_ESTOPPED, 'the state again', 30.0)
    assert all(status.state != MotionStatus.STATE_IDLE for status in bench.statuses)


def test_e_stop_again_and_again(ros_domain):
    """The limit is 50 ms where the machine keeps up; benchmarks/e_stop.py does it 1,000 times."""
    run = subprocess.run(
        [
            sys.executable,
            str(HERE.parents[1] / 'benchmarks' / 'e_stop.py'),
            '--times',
            '10',
            '--limit',
            '500',
        ],
        env={**os.environ, 'PYTHONPATH': str(HERE.parents[1])},
        capture_output=True,
        text=True,
        timeout=120.0,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert 'motion after zero: 0' in run.stdout


@pytest.mark.parametrize(
    ('fault', 'result'),
    [
        ('silent', MotionStatus.RESULT_INPUT_LOST),
        ('nan', MotionStatus.RESULT_BAD_INPUT),
        ('jump', MotionStatus.RESULT_BAD_INPUT),
    ],
)
def test_bad_odometry_stops_the_robot(robot, fault, result):
    bench = robot('-p', 'recovery_time:=0.4')
    bench.start_moving()
    bench.faults.publish(String(data=fault))
    bench.wait_for_zero(within=0.5)
    wait_for(lambda: bench.status.result == result, 'the result')
    assert bench.status.message
    bench.assert_stands()
    if fault == 'jump':
        wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the recovery')
    bench.faults.publish(String(data='ok'))
    if fault == 'jump':  # the way back is one as well
        wait_for(lambda: bench.status.state == MotionStatus.STATE_FAULT, 'the way back')
    wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the recovery')
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_lost_navigator_leaves_a_robot_that_finishes_its_step_and_stands(robot, script, number):
    bench = robot()
    source = script('action_source.py', 'step')
    wait_for(lambda: bench.status.step == 1 and bench.base_moves, 'the second step')
    os.kill(source.pid, number)
    wait_for(
        lambda: bench.status.state == MotionStatus.STATE_IDLE and not bench.base_moves,
        'the end of the step',
    )
    # The signal may have come just after another action, and the first have found nobody.
    done = MotionStatus.RESULT_SUCCEEDED
    steps = len({status.step for status in bench.statuses if status.result == done})
    assert bench.status.result == MotionStatus.RESULT_SUCCEEDED
    bench.assert_stands()
    assert math.hypot(*bench.pose[:2]) == pytest.approx(0.25 * steps, abs=0.02 * steps)


def test_lost_navigator_stops_a_robot_in_continuous_mode(robot, script):
    words = '-p execution_mode:=continuous -p navigator_timeout:=0.5 -p max_linear_speed:=0.1'
    bench = robot(*words.split())
    source = script('action_source.py', 'continuous')
    wait_for(lambda: bench.status.step >= 3 and bench.base_moves, 'the robot to move')
    os.kill(source.pid, signal.SIGSTOP)
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_INPUT_LOST, 'the stop')
    assert 'navigator' in bench.status.message
    bench.assert_stands()


@pytest.mark.parametrize(
    'number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1]
)
def test_ending_the_executor_stops_the_robot(robot, number):
    bench = robot()
    bench.start_moving()
    bench.process.send_signal(number)
    assert bench.process.wait(PATIENCE) == 0
    wait_for(lambda: bench.commands[-1][1:] == (0.0, 0.0), 'a last zero command')
    bench.assert_stands(1.0)


FAILING = """
import sys
from janusvln_ros.motion.executor import Executor
from janusvln_ros.nodes.motion_executor import main
update = Executor.update
def failing(self, now):
    velocity = update(self, now)
    if velocity is not None and velocity.linear > 0.2:
        raise RuntimeError('a mistake in the program')
    return velocity
Executor.update = failing
sys.exit(main([]))
"""


def test_exception_in_the_executor_stops_the_robot(ros_domain, script):
    script('../support/kinematic_base.py')
    bench = Bench(ros_domain)
    with subprocess.Popen(
        [sys.executable, '-c', FAILING], stderr=subprocess.PIPE, cwd=HERE.parents[1], text=True
    ) as process:
        try:
            bench.ready()
            bench.act(1)
            error = process.communicate(timeout=PATIENCE)[1]
            assert process.returncode != 0 and 'a mistake in the program' in error
            assert max(linear for _, linear, _ in bench.commands) > 0.15  # it had begun to move
            wait_for(lambda: bench.commands[-1][1:] == (0.0, 0.0), 'a last zero command')
            bench.assert_stands()
        finally:
            process.kill()
            bench.close()


def test_frozen_executor_is_stopped_by_the_base_and_does_not_go_on_afterwards(robot):
    bench = robot()
    bench.start_moving()
    bench.process.send_signal(signal.SIGSTOP)
    bench.assert_stands(1.5)
    bench.process.send_signal(signal.SIGCONT)
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_BAD_INPUT, 'the fault')
    assert 'clock' in bench.status.message
    bench.assert_stands()


@pytest.mark.parametrize('fault', ['clock_back', 'clock_ahead', 'clock_freeze'])
def test_clock_that_jumps_or_freezes_stops_the_robot(robot, fault):
    bench = robot('-p', 'use_sim_time:=true', '-p', 'recovery_time:=0.4', base=('--speed', '1'))
    bench.start_moving()
    bench.faults.publish(String(data=fault))
    bench.wait_for_zero(within=0.5)
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_BAD_INPUT, 'the result')
    assert 'clock' in bench.status.message or 'time' in bench.status.message
    if fault == 'clock_freeze':  # the simulated base stands still with its time
        stays(lambda: bench.commands[-1][1:] == (0.0, 0.0), 'zero', 1.0)
        bench.faults.publish(String(data='ok'))
    bench.assert_stands()
    wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the recovery')
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED


def test_obstacle_ahead_blocks(robot):
    bench = robot('-p', 'stop_distance:=0.3', '-p', 'sensor_mounts:=parameters')
    scan = LaserScan(
        angle_min=-0.5,
        angle_max=0.5,
        angle_increment=0.1,
        range_min=0.1,
        range_max=10.0,
        ranges=[0.4] * 11,
    )

    def publish():
        scan.header.stamp = bench.node.get_clock().now().to_msg()
        bench.scans.publish(scan)

    timer = bench.node.create_timer(0.1, publish)
    wait_for(bench.scans.get_subscription_count, 'the scans to be heard')
    time.sleep(0.3)
    assert bench.do(2).result == MotionStatus.RESULT_SUCCEEDED
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_BLOCKED and 'obstacle' in status.message
    scan.ranges = [5.0] * 11
    time.sleep(0.3)
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED
    timer.cancel()
    time.sleep(1.0)
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_INPUT_LOST and 'scan' in status.message
    bench.assert_stands()
