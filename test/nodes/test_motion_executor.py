"""motion_executor as a process, with a base as another: what moves, and that all faults stop."""

from collections import deque
import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from janusvln_ros.msg import MidLevelCommand, MotionStatus, NavigationAction
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

pytestmark = pytest.mark.ros
HERE = Path(__file__).parent
PATIENCE = 30.0  # s of wall time for what takes a moment on an idle machine
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def wait_for(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f'waited {patience} s for {what}'
        time.sleep(0.005)


class Bench:
    """Talks to executor and base, and remembers what they say."""

    def __init__(self, domain, stamped=False):
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context, domain_id=domain)
        self.node = rclpy.create_node('bench', context=self.context)
        self.commands = deque()  # (wall time, linear, angular)
        self.truth = None
        self.truth_at = 0.0
        self.statuses = deque()
        self.heard = {}
        self._step = 0
        node = self.node
        node.create_subscription(
            TwistStamped if stamped else Twist, 'cmd_vel', self._on_command, 100
        )
        node.create_subscription(Odometry, 'base_truth', self._on_truth, 10)
        node.create_subscription(
            MotionStatus, 'motion_status', lambda message: self.statuses.append(message), 10
        )
        for kind, topic, qos in (
            (DiagnosticArray, '/diagnostics', 10),
            (PathMessage, 'executed_path', LATCHED),
            (MidLevelCommand, 'mid_level_command', 10),
        ):
            node.create_subscription(
                kind, topic, lambda message, topic=topic: self.heard.update({topic: message}), qos
            )
        self.actions = node.create_publisher(NavigationAction, 'navigation_action', 1)
        self.sentences = node.create_publisher(String, 'sentence', 10)
        self.done = node.create_publisher(MidLevelCommand, 'mid_level_done', 10)
        self.e_stop = node.create_publisher(Bool, 'e_stop', 10)
        self.faults = node.create_publisher(String, 'base_fault', 10)
        self.scans = node.create_publisher(LaserScan, 'scan', qos_profile_sensor_data)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self):
        while not self._closing.is_set():
            self.executor.spin_once(timeout_sec=0.1)

    def close(self):
        self._closing.set()
        self._thread.join()
        self.context.shutdown()

    def _on_command(self, message):
        twist = getattr(message, 'twist', message)
        self.heard['cmd_vel'] = message
        self.commands.append((time.monotonic(), twist.linear.x, twist.angular.z))

    def _on_truth(self, message):
        self.truth, self.truth_at = message, time.monotonic()

    @property
    def status(self):
        return self.statuses[-1] if self.statuses else MotionStatus(message='none yet')

    @property
    def diagnosis(self):
        return {pair.key: pair.value for pair in self.heard['/diagnostics'].status[0].values}

    @property
    def pose(self):
        """Where the base really is: x, y (m), yaw (rad)."""
        pose = self.truth.pose.pose
        return (
            pose.position.x,
            pose.position.y,
            2.0 * math.atan2(pose.orientation.z, pose.orientation.w),
        )

    @property
    def base_moves(self):
        twist = self.truth.twist.twist
        return twist.linear.x != 0.0 or twist.angular.z != 0.0

    def ready(self):
        """Wait until all have found each other and the robot takes actions."""
        wait_for(
            lambda: all(
                publisher.get_subscription_count()
                for publisher in (
                    self.actions,
                    self.sentences,
                    self.done,
                    self.e_stop,
                    self.faults,
                )
            ),
            'executor and base',
        )
        wait_for(
            lambda: (
                self.truth
                and self.status.state == MotionStatus.STATE_IDLE
                and not self.status.message
            ),
            'odometry to arrive',
        )

    def act(self, action, **fields):
        fields = {'instruction_id': 'test', 'step': self._step, **fields}
        self._step += 1
        message = NavigationAction(action=action, **fields)
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.actions.publish(message)
        return message

    def ended(self, step):
        return (
            self.status.step == step
            and self.status.result != MotionStatus.RESULT_NONE
            and self.status.state not in (MotionStatus.STATE_MOVING, MotionStatus.STATE_SETTLING)
        )

    def do(self, action, **fields):
        """Execute an action; return its last status."""
        step = self.act(action, **fields).step
        wait_for(lambda: self.ended(step), f'the end of step {step}')
        return self.status

    def start_moving(self, action=1):
        self.act(action)
        wait_for(
            lambda: self.base_moves and self.commands and self.commands[-1][1] > 0.1,
            'the base to move',
        )

    def wait_for_zero(self, within):
        """Wait until zero is commanded; within: s of wall time on a machine that keeps up."""
        wait_for(
            lambda: self.commands and self.commands[-1][1:] == (0.0, 0.0),
            'a zero command',
            within + 2.0,
        )

    def assert_stands(self, seconds=0.6):
        """Assert that no motion is commanded any more, and that the base is at rest."""
        wait_for(lambda: not self.base_moves, 'the base to rest', 5.0)
        end = time.monotonic() + seconds
        self.commands.clear()
        while time.monotonic() < end:
            time.sleep(0.01)
            assert not self.base_moves
        assert all(command[1:] == (0.0, 0.0) for command in self.commands)

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(PATIENCE)
        future = client.call_async(request)
        wait_for(future.done, f'an answer of {name}')
        return future.result()

    def set_parameter(self, name, value):
        if isinstance(value, str):
            value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        elif isinstance(value, bool):
            value = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
        else:
            value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        return self.call(SetParameters, 'motion_executor/set_parameters', request).results[0]


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
        '-p',
        'stamped_cmd_vel:=true',
        '-p',
        'cmd_vel_frame:=base',
        '-p',
        'realtime_priority:=0',
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
    assert not bench.base_moves and not bench.commands
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


def test_sentences_move_the_robot(robot):
    bench = robot()
    bench.sentences.publish(String(data='turn left thirty degrees'))
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_SUCCEEDED, 'the turn')
    assert bench.pose[2] == pytest.approx(math.radians(30.0), abs=math.radians(1.5))
    assert bench.status.action == NavigationAction.TURN_LEFT


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
    steps = bench.status.step + 1  # the signal may have come just after another action
    assert bench.status.result == MotionStatus.RESULT_SUCCEEDED
    bench.assert_stands()
    assert math.hypot(*bench.pose[:2]) == pytest.approx(0.25 * steps, abs=0.02 * steps)


def test_lost_navigator_stops_a_robot_in_continuous_mode(robot, script):
    bench = robot(
        '-p',
        'execution_mode:=continuous',
        '-p',
        'navigator_timeout:=0.5',
        '-p',
        'max_linear_speed:=0.1',
    )
    source = script('action_source.py', 'continuous')
    wait_for(lambda: bench.status.step >= 3 and bench.base_moves, 'the robot to move')
    os.kill(source.pid, signal.SIGSTOP)
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_INPUT_LOST, 'the stop')
    assert 'navigator' in bench.status.message
    bench.assert_stands()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
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
    script('kinematic_base.py')
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
        time.sleep(1.0)
        assert bench.commands[-1][1:] == (0.0, 0.0)
        bench.faults.publish(String(data='ok'))
    bench.assert_stands()
    wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the recovery')
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED


def test_obstacle_ahead_blocks(robot):
    bench = robot('-p', 'stop_distance:=0.3')
    scan = LaserScan(
        angle_min=-0.5,
        angle_max=0.5,
        angle_increment=0.1,
        range_min=0.1,
        range_max=10.0,
        ranges=[0.4] * 11,
    )
    timer = bench.node.create_timer(0.1, lambda: bench.scans.publish(scan))
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


def test_base_that_takes_commands(robot):
    bench = robot('-p', 'output:=command')
    step = bench.act(2).step
    wait_for(lambda: 'mid_level_command' in bench.heard, 'the command')
    command = bench.heard['mid_level_command']
    assert command.sentence == 'turn left 15 degrees' and command.type == MidLevelCommand.TURN
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
        [
            sys.executable,
            '-m',
            'janusvln_ros.cli',
            'motion_executor',
            '--ros-args',
            '-p',
            override,
        ],
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
