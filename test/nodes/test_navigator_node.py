"""The navigator as a process of its own; camera and motion_executor are played by the test."""

import array
from dataclasses import replace
from pathlib import Path
import signal
import sys
import threading
import time

from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from janusvln_ros.action import Navigate
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED, LATEST
from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.options import PolicyOptions
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

pytestmark = pytest.mark.ros
PATIENCE = 20.0  # s of wall time, on a busy machine


def seconds(stamp):
    return stamp.sec + stamp.nanosec * 1e-9


class Robot(Node):
    """Camera and executor; everything that the navigator says is written down."""

    def __init__(self, context):
        super().__init__('robot', context=context)
        self.actions, self.statuses, self.diagnostics, self.debug = [], [], [], []
        self.ends = []  # motion_end as it stood when each action came
        self.motion_time = 0.1
        self.outcome = MotionStatus.RESULT_SUCCEEDED  # of each motion
        self.camera_on = self.executor_on = True
        self.report = MotionStatus(state=MotionStatus.STATE_IDLE)
        self.pixels = array.array('B', np.zeros((48, 64, 3), np.uint8).tobytes())
        self.images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self.motion = self.create_publisher(MotionStatus, 'motion_status', LATEST)
        self.instruction = self.create_publisher(String, 'instruction', 10)
        self.create_subscription(NavigationAction, 'navigation_action', self.on_action, LATEST)
        self.create_subscription(
            NavigatorStatus, 'navigator_status', self.statuses.append, LATCHED
        )
        self.create_subscription(
            DiagnosticArray, '/diagnostics', lambda m: self.diagnostics.append(m.status[0]), 10
        )
        self.create_timer(1 / 30, self.take_picture)
        self.create_timer(0.1, self.publish_report)
        self.client = ActionClient(self, Navigate, 'navigate')
        self.moving = None

    def on_action(self, action):
        self.actions.append(action)
        self.ends.append(seconds(self.report.motion_end))
        if not self.executor_on:
            return
        if self.moving:
            self.moving.cancel()
        done = action.action == action.STOP
        self.report = MotionStatus(
            state=MotionStatus.STATE_IDLE if done else MotionStatus.STATE_MOVING,
            result=MotionStatus.RESULT_CANCELED if done else MotionStatus.RESULT_NONE,
            instruction_id=action.instruction_id,
            step=action.step,
            action=action.action,
            motion_end=self.report.motion_end,
        )
        self.publish_report()
        if not done:
            self.moving = self.create_timer(self.motion_time, self.arrive)

    def arrive(self):
        self.moving.cancel()
        self.report.state, self.report.result = MotionStatus.STATE_IDLE, self.outcome
        self.report.progress = 0.25
        self.report.motion_end = self.get_clock().now().to_msg()
        self.publish_report()

    def publish_report(self):
        if self.executor_on:
            self.report.header.stamp = self.get_clock().now().to_msg()
            self.motion.publish(self.report)

    def picture(self):
        image = Image(height=48, width=64, step=192, encoding='rgb8', data=self.pixels)
        image.header.stamp = self.get_clock().now().to_msg()
        image.header.frame_id = 'camera_optical_frame'
        return image

    def take_picture(self):
        if self.camera_on:
            self.images.publish(self.picture())

    def say(self, words):
        self.instruction.publish(String(data=words))

    def wait(self, condition, what, patience=PATIENCE):
        end = time.monotonic() + patience
        while not condition():
            last = self.statuses[-1] if self.statuses else None
            assert time.monotonic() < end, f'{what} did not come; last status {last}'
            time.sleep(0.005)

    def wait_end(self, reason):
        """Wait for the end of the episode; return its last status."""
        self.wait(
            lambda: (
                self.statuses
                and self.statuses[-1].reason == reason
                and self.statuses[-1].state == NavigatorStatus.STATE_IDLE
            ),
            f'reason {reason}',
        )
        return self.statuses[-1]

    def wait_steps(self, count):
        self.wait(lambda: len(self.actions) >= count, f'{count} actions')

    def call(self, kind, name, **fields):
        client = self.create_client(kind, name)
        assert client.wait_for_service(PATIENCE), name
        future = client.call_async(kind.Request(**fields))
        self.wait(future.done, name)
        return future.result()

    def change(self, transition):
        return self.call(
            ChangeState, 'navigator/change_state', transition=Transition(id=transition)
        ).success

    def lifecycle_state(self):
        return self.call(GetState, 'navigator/get_state').current_state.label

    def ask(self, function, *arguments):
        """Ask in the spinning thread: rclpy's action client loses answers that are too quick."""
        task = self.executor.create_task(function, *arguments)
        self.wait(lambda: task.done() and task.result().done(), 'answer')
        return task.result().result()

    def send_goal(self, words, feedback=None):
        assert self.client.wait_for_server(PATIENCE)
        return self.ask(self.client.send_goal_async, Navigate.Goal(instruction=words), feedback)

    def result(self, goal):
        return self.ask(goal.get_result_async)

    def value(self, key):
        self.wait(lambda: self.diagnostics, 'diagnostics')
        return {pair.key: pair.value for pair in self.diagnostics[-1].values}[key]


@pytest.fixture
def robot(ros_domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = Robot(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.shutdown()


@pytest.fixture
def start(start_process):
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
        script = Path(__file__).parent / 'scripted_navigator.py'
        command = (
            [sys.executable, '-m', 'janusvln_ros.cli', 'navigator']
            if checkpoint == 'random'
            else [sys.executable, str(script)]
        )
        return start_process([*command, '--ros-args', *words])

    return start


@pytest.fixture
def ready(robot, start):
    """Give a function that starts an active navigator."""

    def ready(*parameters, **options):
        process = start(*parameters, **options)
        robot.wait(
            lambda: (
                robot.statuses
                and robot.statuses[-1].state == NavigatorStatus.STATE_IDLE
                and robot.instruction.get_subscription_count()
            ),
            'active navigator',
            150,
        )
        return process

    return ready


def test_lifecycle(robot, start):
    start(autostart=False)
    assert robot.lifecycle_state() == 'unconfigured'
    assert robot.change(Transition.TRANSITION_CONFIGURE)
    assert not robot.images.get_subscription_count()
    for _ in range(2):
        assert robot.change(Transition.TRANSITION_ACTIVATE)
        robot.wait(robot.instruction.get_subscription_count, 'subscription')
        robot.say('F')
        robot.wait_steps(2)
        robot.motion_time = 60.0
        robot.wait(lambda: robot.report.state == MotionStatus.STATE_MOVING, 'motion')
        assert robot.change(Transition.TRANSITION_DEACTIVATE)
        robot.wait(lambda: robot.actions[-1].action == NavigationAction.STOP, 'STOP')
        robot.wait(lambda: robot.statuses[-1].state == NavigatorStatus.STATE_INACTIVE, 'inactive')
        assert robot.statuses[-1].reason == NavigatorStatus.REASON_CANCELED
        robot.wait(lambda: not robot.images.get_subscription_count(), 'unsubscription')
        robot.actions.clear()
        robot.motion_time = 0.1
    assert robot.change(Transition.TRANSITION_CLEANUP)
    assert robot.lifecycle_state() == 'unconfigured'
    assert robot.change(Transition.TRANSITION_CONFIGURE)
    assert robot.change(Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert robot.lifecycle_state() == 'finalized'


def test_configure_fails_with_the_reason_and_can_be_tried_again(robot, start):
    start(checkpoint='bad', autostart=False)
    assert not robot.change(Transition.TRANSITION_CONFIGURE)
    assert robot.lifecycle_state() == 'unconfigured'
    robot.wait(lambda: robot.diagnostics and robot.value('last error'), 'error')
    assert robot.value('last error') == 'cannot configure: there is nothing in it'
    value, other = (ParameterValue(type=4, string_value=text) for text in ('script', 'other'))
    reply = robot.call(
        SetParameters,
        'navigator/set_parameters',
        parameters=[Parameter(name='checkpoint', value=value)],
    )
    assert reply.results[0].successful
    assert robot.change(Transition.TRANSITION_CONFIGURE)
    reply = robot.call(
        SetParameters,
        'navigator/set_parameters',
        parameters=[Parameter(name='checkpoint', value=other)],
    )
    assert 'deactivate and clean up first' in reply.results[0].reason


def test_autostart_that_fails_ends_the_process(start):
    assert start(checkpoint='bad').wait(PATIENCE) == 1


def test_pruning_needs_windowed_memory():
    parameters = PolicyOptions(
        checkpoint='random', device='cpu', threads=1, memory_mode='windowed', kept_fraction=0.5
    )
    assert load_policy(parameters).memory.prunes
    with pytest.raises(ValueError, match='windowed'):
        load_policy(replace(parameters, memory_mode='sampled'))


def test_random_checkpoint_decides_from_frames_taken_at_rest(robot, ready):
    ready('max_steps:=8', checkpoint='random')
    said = 0
    while len(robot.actions) < 6:
        said += 1
        last = robot.statuses[-1].instruction_id
        robot.say('go to the red chair')
        robot.wait(
            lambda last=last: (
                robot.statuses[-1].instruction_id != last and robot.statuses[-1].reason
            ),
            'end of the episode',
            60,
        )
        assert said <= 20, 'these random weights only stop'
    for action, end in zip(robot.actions, robot.ends):
        assert abs(sum(action.probabilities) - 1) < 1e-4 and action.action in range(4)
        assert seconds(action.header.stamp) >= end
        assert action.header.frame_id == 'camera_optical_frame'
    assert robot.value('random weights') == 'True'


def test_script_is_carried_out_step_by_step(robot, ready):
    ready()
    robot.say('F L R F S')
    status = robot.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    assert [action.action for action in robot.actions] == [1, 2, 3, 1, 0]
    assert [action.step for action in robot.actions] == [0, 1, 2, 3, 4]
    assert len({action.instruction_id for action in robot.actions}) == 1
    assert status.instruction == 'F L R F S' and status.step == 5
    assert status.memory_frames == 5 and status.memory_bytes == 5000
    for action, end in zip(robot.actions, robot.ends):
        assert seconds(action.header.stamp) >= end


def test_slow_policy_gets_the_newest_frame(robot, ready):
    ready()
    robot.motion_time = 0.01
    robot.say('.4 F')
    robot.wait_steps(5)
    for action in robot.actions[1:]:
        began = seconds(action.header.stamp)
        assert began + 0.4 <= time.time()
    stamps = [seconds(action.header.stamp) for action in robot.actions]
    # The frame is taken after the last motion and used at once: a queue would let it grow old.
    assert np.median(np.diff(stamps)) < 0.4 + 0.01 + 0.3
    robot.wait(lambda: float(robot.value('latency from image stamp p95 (s)')) > 0, 'latency')
    assert float(robot.value('latency from image stamp p50 (s)')) < 0.4 + 0.15


def test_new_instruction_replaces_the_old_one(robot, ready):
    ready()
    robot.motion_time = 0.5
    robot.say('F')
    robot.wait_steps(2)
    robot.say('L L S')
    robot.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    new = [
        (action.action, end)
        for action, end in zip(robot.actions, robot.ends)
        if action.instruction_id == robot.actions[-1].instruction_id
    ]
    assert [action for action, _ in new] == [2, 2, 0]
    reasons = [status.reason for status in robot.statuses]
    assert NavigatorStatus.REASON_PREEMPTED in reasons or robot.statuses[-1].step == 3
    for action, end in zip(robot.actions, robot.ends):
        assert seconds(action.header.stamp) >= end


def test_empty_instruction_changes_nothing(robot, ready):
    ready()
    robot.say('F')
    robot.wait_steps(1)
    robot.say('  ')
    robot.wait_steps(3)
    assert len({action.instruction_id for action in robot.actions}) == 1


@pytest.mark.parametrize(
    'lost, says',
    [('camera_on', 'no usable camera frame'), ('executor_on', 'no status from motion_executor')],
)
def test_lost_input_stops_the_robot(robot, ready, lost, says):
    ready()
    robot.say('F')
    robot.wait_steps(2)
    setattr(robot, lost, False)
    assert says in robot.wait_end(NavigatorStatus.REASON_INPUT_LOST).message
    robot.wait(lambda: robot.actions[-1].action == NavigationAction.STOP, 'STOP')
    count = len(robot.actions)
    setattr(robot, lost, True)
    time.sleep(0.5)
    assert len(robot.actions) == count


def test_policy_that_raises_ends_the_episode_only(robot, ready):
    ready()
    robot.say('F X')
    status = robot.wait_end(NavigatorStatus.REASON_POLICY_ERROR)
    assert status.message == 'RuntimeError: the script says so'
    robot.say('F S')
    robot.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_goal_succeeds_with_feedback(robot, ready):
    ready()
    steps = []
    goal = robot.send_goal('F L S', lambda message: steps.append(message.feedback))
    result = robot.result(goal)
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert (result.result.code, result.result.steps) == (Navigate.Result.SUCCEEDED, 3)
    assert (result.result.error_code, result.result.error_msg) == (Navigate.Result.NONE, '')
    robot.wait(lambda: len(steps) == 3, 'feedback')
    assert [step.action for step in steps] == [1, 2, 0]
    assert all(0 < step.latency < 5 and step.probabilities.sum() > 0.99 for step in steps)


def test_cancel_stops_the_robot_at_once(robot, ready):
    ready()
    robot.motion_time = 60.0
    goal = robot.send_goal('F')
    robot.wait_steps(1)
    robot.ask(goal.cancel_goal_async)
    robot.wait(lambda: robot.actions[-1].action == NavigationAction.STOP, 'STOP', 2.0)
    result = robot.result(goal)
    assert result.status == GoalStatus.STATUS_CANCELED
    assert result.result.code == Navigate.Result.CANCELED


def test_decision_under_way_when_canceled_never_moves_the_robot(robot, ready):
    ready()
    goal = robot.send_goal('1 F')
    robot.wait(lambda: robot.statuses[-1].state == NavigatorStatus.STATE_DECIDING, 'decision')
    robot.ask(goal.cancel_goal_async)
    robot.result(goal)
    time.sleep(1.5)
    assert [action.action for action in robot.actions] == [NavigationAction.STOP]


def test_newer_goal_and_newer_instruction_preempt(robot, ready):
    ready()
    first = robot.send_goal('F')
    robot.wait_steps(1)
    second = robot.send_goal('L')
    result = robot.result(first)
    assert result.status == GoalStatus.STATUS_ABORTED
    assert result.result.code == Navigate.Result.PREEMPTED
    robot.say('R S')
    assert robot.result(second).result.code == Navigate.Result.PREEMPTED
    robot.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_goal_is_refused_when_empty_or_inactive(robot, ready):
    ready()
    assert not robot.send_goal(' ').accepted
    assert robot.change(Transition.TRANSITION_DEACTIVATE)
    assert not robot.send_goal('F').accepted


@pytest.mark.parametrize(
    'words, parameter, result, code',
    [
        ('L', 'spin_steps:=4', MotionStatus.RESULT_SUCCEEDED, Navigate.Result.STUCK),
        ('F', 'max_steps:=3', MotionStatus.RESULT_SUCCEEDED, Navigate.Result.TIMEOUT),
        ('F', 'max_failed_motions:=2', MotionStatus.RESULT_BLOCKED, Navigate.Result.BLOCKED),
        ('F', 'push_steps:=2', MotionStatus.RESULT_ESTOPPED, Navigate.Result.ESTOPPED),
    ],
)
def test_typed_results(robot, ready, words, parameter, result, code):
    ready(parameter)
    robot.outcome = result
    outcome = robot.result(robot.send_goal(words)).result
    assert (outcome.code, outcome.message != '') == (code, True)
    assert (outcome.error_code, outcome.error_msg) == (10000 + code, outcome.message)


def test_pause_resume_and_reset_memory(robot, ready):
    ready()
    assert not robot.call(Trigger, 'pause').success
    robot.say('F')
    robot.wait_steps(2)
    assert robot.call(Trigger, 'pause').success
    count = len(robot.actions)
    time.sleep(0.7)
    assert len(robot.actions) == count
    assert robot.statuses[-1].state == NavigatorStatus.STATE_PAUSED
    assert robot.call(Trigger, 'reset_memory').success
    robot.wait(lambda: robot.statuses[-1].memory_frames == 0, 'empty memory')
    assert robot.call(Trigger, 'resume').success
    robot.wait_steps(count + 2)
    assert robot.actions[-1].step == count + 1
    assert not robot.call(Trigger, 'resume').success


def test_compressed_images(robot, ready):
    import cv2

    robot.camera_on = False
    robot.images = robot.create_publisher(
        CompressedImage, 'image/compressed', qos_profile_sensor_data
    )
    data = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()

    def publish():
        image = CompressedImage(format='jpeg', data=data)
        image.header.stamp = robot.get_clock().now().to_msg()
        robot.images.publish(image)

    robot.create_timer(1 / 30, publish)
    ready('image_transport:=compressed')
    robot.say('F S')
    robot.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_debug_image_is_drawn_while_someone_looks(robot, ready):
    ready()
    robot.create_subscription(Image, 'debug_image', robot.debug.append, qos_profile_sensor_data)
    robot.say('F')
    robot.wait(lambda: robot.debug, 'debug image')
    image = robot.debug[-1]
    assert image.encoding == 'rgb8' and image.width == 640 and image.height > 480
    assert len(image.data) == image.step * image.height


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_robot_and_ends_the_process(robot, ready, number):
    process = ready()
    robot.motion_time = 60.0
    robot.say('F')
    robot.wait_steps(1)
    process.send_signal(number)
    robot.wait(lambda: robot.actions[-1].action == NavigationAction.STOP, 'STOP', 3.0)
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_process_while_it_loads(robot, start, number):
    process = start(checkpoint='slow')
    robot.wait(lambda: robot.statuses, 'status of a node that loads', 20)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(5) == 0


@pytest.mark.parametrize('reliability', ['best_effort', 'reliable'])
def test_raw_vga_at_30_hz_arrives(robot, ready, reliability):
    robot.camera_on = False
    ready(f'image_reliability:={reliability}')
    policy = {
        'best_effort': ReliabilityPolicy.BEST_EFFORT,
        'reliable': ReliabilityPolicy.RELIABLE,
    }[reliability]
    camera = robot.create_publisher(Image, 'image', QoSProfile(depth=5, reliability=policy))
    robot.wait(camera.get_subscription_count, 'subscription')
    image = Image(
        height=480,
        width=640,
        step=1920,
        encoding='rgb8',
        data=array.array('B', bytes(640 * 480 * 3)),
    )
    before = int(robot.value('frames'))
    due = time.monotonic()
    for _ in range(120):
        image.header.stamp = robot.get_clock().now().to_msg()
        camera.publish(image)
        due += 1 / 30
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(1.5)
    # Without the profile 19 to 89 of 120 arrive by best effort; a busy machine may skip a few.
    assert int(robot.value('frames')) - before >= 100


def malformed(generator):
    """Make one image with something wrong in it."""
    kind = generator.integers(0, 8)
    height, width = (int(side) for side in generator.integers(1, 64, 2))
    image = Image(height=height, width=width, step=3 * width, encoding='rgb8')
    size = height * width * 3
    if kind == 0:
        size = 0
    elif kind == 1:
        size = int(generator.integers(0, 4096))
    elif kind == 2:
        image.step = int(generator.integers(0, 3 * width))
    elif kind == 3:
        image.encoding = str(generator.choice(['', '32FC1', '8UC3', 'RGB8', 'nv12', '\u00fc']))
    elif kind == 4:
        image.encoding, image.step = '32FC3', 12 * width
        data = np.full(height * width * 3, np.nan, np.float32).tobytes()
        image.data = array.array('B', data)
    elif kind == 5:
        image.height, image.width = 4320, 7680
    elif kind == 6:
        image.height = image.width = 2**32 - 1
    elif kind == 7:
        image.encoding, image.width = 'yuv422', 2 * width + 1
    if kind != 4:
        image.data = array.array('B', generator.bytes(size))
    return image


def resident_megabytes(process):
    pages = int(Path(f'/proc/{process.pid}/statm').read_text().split()[1])
    return pages * 4096 / 2**20


def test_ten_thousand_malformed_images(robot, ready):
    process = ready('frame_timeout:=60.0', 'status_timeout:=60.0')
    robot.say('F')
    robot.wait_steps(2)
    robot.camera_on = False
    generator = np.random.default_rng(0)
    memory = resident_megabytes(process)
    reliable = robot.create_publisher(Image, 'image', QoSProfile(depth=100))
    for number in range(10000):
        image = malformed(generator)
        image.header.stamp = robot.get_clock().now().to_msg()
        reliable.publish(image)
        if number % 50 == 0:
            time.sleep(0.01)
    huge = Image(
        height=4320,
        width=7680,
        step=3 * 7680,
        encoding='bgr8',
        data=array.array('B', bytes(4320 * 7680 * 3)),
    )
    huge.header.stamp = robot.get_clock().now().to_msg()
    reliable.publish(huge)  # well-formed, but of another size than the episode's frames
    del huge
    count = len(robot.actions)
    robot.camera_on = True
    robot.wait_steps(count + 3)
    assert int(robot.value('refused frames')) > 100
    assert process.poll() is None and resident_megabytes(process) < memory + 300
    assert len({action.instruction_id for action in robot.actions}) == 1
