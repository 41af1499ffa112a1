"""The executor on a model of a base: accuracy, and a standing robot after every failure."""

from dataclasses import replace
import math
import random

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.limits import AxisLimits
from janusvln_ros.motion.testing import BaseConfig, BaseModel, ClosedLoop
from janusvln_ros.motion.tracking import Velocity
from janusvln_ros.motion.types import ExecutorConfig, Mode, Request, Result, State
import pytest

ZERO = Velocity()
CONFIG = ExecutorConfig()
CONTINUOUS = replace(CONFIG, mode=Mode.CONTINUOUS, navigator_timeout=0.0)
FORWARD, LEFT, RIGHT, STOP = 1, 2, 3, 0


class Robot(ClosedLoop):
    """A closed loop that takes actions, starting somewhere, with odometry flowing."""

    def __init__(self, config=CONFIG, base=None, pose=None):
        super().__init__(Executor(config), BaseModel(base, pose or Pose(3.0, -2.0, 2.0)))
        self.step = 0
        self.run(0.5)

    @property
    def status(self):
        return self.executor.status

    def act(self, action, stamp=None, instruction_id='a', step=None):
        """Send an action; return why it is not executed."""
        number, self.step = (self.step, self.step + 1) if step is None else (step, self.step)
        request = Request(
            Command.from_action(action, 0.25, math.radians(15.0)),
            self.now if stamp is None else stamp,
            instruction_id,
            number,
            action,
        )
        return self.executor.on_request(request, self.now)

    def do(self, action):
        """Execute an action to its end; return (m, rad): how far the base is from the ideal."""
        start = self.base.pose
        assert self.act(action) == ''
        self.run_until_standing()
        ideal = {
            FORWARD: start.moved(0.25),
            LEFT: start.moved(0.0, math.radians(15.0)),
            RIGHT: start.moved(0.0, -math.radians(15.0)),
            STOP: start,
        }[action]
        forward, left, turn = self.base.pose.seen_from(ideal)
        return math.hypot(forward, left), abs(turn)

    def assert_stands(self, seconds=3.0):
        """Assert that from now on nothing but zero is commanded, and the base comes to rest."""
        silent = False
        for i in range(round(seconds / 0.02)):
            velocity = self.tick()
            assert velocity in (None, ZERO)
            assert not (silent and velocity is not None)
            silent = velocity is None
            assert i * 0.02 < 0.7 or self.base.linear == self.base.angular == 0.0
        assert silent


@pytest.mark.parametrize(
    'base',
    [
        BaseConfig(),
        BaseConfig(delay=0.0, odometry_delay=0.0),
        BaseConfig(delay=0.2, odometry_delay=0.05),
        BaseConfig(scale=0.9, drift=0.1),
        BaseConfig(scale=1.1, drift=-0.1),
        BaseConfig(linear_acceleration=0.3, angular_acceleration=1.0),
    ],
    ids=['usual', 'ideal', 'late', 'slips', 'overdrives', 'sluggish'],
)
def test_step_mode_is_accurate_on_many_bases(base):
    robot, dice = Robot(base=base), random.Random(1)
    for _ in range(20):
        position, angle = robot.do(dice.choice([FORWARD, LEFT, RIGHT]))
        assert position < 0.012 and angle < math.radians(1.0)
        assert robot.status.result is Result.SUCCEEDED and not robot.status.message


def test_legged_base_with_minimum_speeds():
    config = ExecutorConfig(
        linear=AxisLimits(0.4, 0.8, 4.0, minimum=0.1),
        angular=AxisLimits(0.8, 2.0, 10.0, 0.25),
        actuation_delay=0.15,
        position_tolerance=0.02,
        angle_tolerance=math.radians(1.5),
    )
    robot = Robot(config, BaseConfig(delay=0.15, odometry_delay=0.04))
    commanded = []
    for action in (FORWARD, LEFT, FORWARD, RIGHT, RIGHT):
        assert robot.act(action) == ''
        start = robot.base.pose
        while not robot.executor.stands:
            commanded.append((action, robot.tick() or ZERO))
        forward, left, turn = robot.base.pose.seen_from(start)
        wanted = (
            (0.25, 0.0)
            if action == FORWARD
            else (0.0, math.radians(15.0 if action == LEFT else -15.0))
        )
        assert math.hypot(forward - wanted[0], left) < 0.02
        assert abs(turn - wanted[1]) < math.radians(1.5)
    for action, velocity in commanded:
        assert velocity.linear == 0.0 or abs(velocity.linear) >= 0.1
        if action != FORWARD:
            assert velocity.angular == 0.0 or abs(velocity.angular) >= 0.25


def test_status_over_one_action():
    robot = Robot()
    assert robot.status.state is State.IDLE and robot.status.motion_end == 0.0
    robot.act(FORWARD)
    seen = []
    while not robot.executor.stands:
        robot.tick()
        status = robot.status
        if not seen or seen[-1] != (status.state, status.result):
            seen.append((status.state, status.result))
    assert seen == [
        (State.MOVING, Result.NONE),
        (State.SETTLING, Result.NONE),
        (State.IDLE, Result.SUCCEEDED),
    ]
    assert robot.status.motion_end == robot.now
    assert robot.base.linear == 0.0
    assert robot.status.progress == pytest.approx(0.25, abs=0.01)
    robot.do(RIGHT)
    assert robot.status.progress == pytest.approx(math.radians(15.0), abs=0.015)


def test_big_turn_keeps_its_direction():
    robot = Robot(replace(CONFIG, angle_tolerance=math.radians(0.5)))
    start = robot.base.pose.yaw
    for amount in (math.radians(270.0), -math.tau):
        assert robot.executor.on_request(Request(Command(Kind.TURN, amount)), robot.now) == ''
        robot.run_until_standing()
        start += amount
        assert robot.base.pose.yaw == pytest.approx(start, abs=math.radians(1.5))


def test_stop_brakes_within_the_limits():
    robot = Robot()
    robot.act(FORWARD)
    robot.run(1.0)
    speed = robot.commanded.linear
    assert speed > 0.2
    assert robot.act(STOP) == ''
    while robot.tick() != ZERO:
        assert robot.commanded.linear >= speed - 0.02 * 0.5 - 1e-9
        speed = robot.commanded.linear
    assert robot.status.result is Result.NONE  # the base has not come to rest yet
    robot.assert_stands()
    assert robot.status.result is Result.SUCCEEDED and robot.status.request.action == STOP
    assert robot.status.state is State.IDLE


def test_velocity_is_zero_for_a_while_and_then_silent():
    robot = Robot()
    assert robot.commanded is None  # nothing asked for, nothing said
    robot.do(FORWARD)
    zeros = 0
    while robot.tick() is not None:
        assert robot.commanded == ZERO
        zeros += 1
    assert zeros * 0.02 == pytest.approx(CONFIG.zero_hold, abs=0.05)
    robot.assert_stands()


# ---- order of actions ----


def test_action_while_another_moves_is_dropped_in_step_mode():
    robot = Robot()
    robot.act(FORWARD)
    robot.run(0.5)
    assert robot.act(LEFT) == 'another action was moving'
    assert robot.status.result is Result.DROPPED and robot.status.state is State.MOVING
    assert robot.status.request.step == 1
    robot.run_until_standing()
    assert robot.status.result is Result.DROPPED  # still what became of step 1
    assert robot.base.pose.seen_from(Pose(3.0, -2.0, 2.0))[0] == pytest.approx(0.25, abs=0.01)


def test_duplicates_and_old_steps_are_not_executed():
    robot = Robot()
    robot.act(FORWARD, step=4)
    assert 'not newer' in robot.act(FORWARD, step=4)
    assert robot.status.result is Result.NONE  # of the one that is moving
    robot.run_until_standing()
    before = robot.status
    assert 'not newer' in robot.act(LEFT, step=4)
    assert 'not newer' in robot.act(LEFT, step=3)
    assert robot.status == before
    assert robot.act(LEFT, step=0, instruction_id='b') == ''
    robot.run_until_standing()
    assert 'replaced' in robot.act(LEFT, step=9)  # of the first instruction
    assert robot.status.request.instruction_id == 'b'
    robot.assert_stands()


def test_late_stop_of_a_replaced_instruction_stops_and_nothing_else():
    robot = Robot()
    robot.do(LEFT)
    robot.act(FORWARD, instruction_id='b', step=0)
    robot.run(0.5)
    robot.act(STOP, instruction_id='a')
    robot.run_until_standing()
    assert robot.status.request.instruction_id == 'b'
    assert robot.status.result is Result.CANCELED
    assert robot.act(FORWARD, instruction_id='b', step=1) == ''


def test_by_hand_without_an_instruction_every_action_counts():
    robot = Robot()
    robot.do(LEFT)
    for _ in range(2):
        assert robot.act(LEFT, instruction_id='', step=0, stamp=0.0) == ''
        robot.run_until_standing()
    assert robot.base.pose.yaw == pytest.approx(2.0 + math.radians(45.0), abs=0.03)
    assert robot.act(LEFT) == ''  # the episode goes on


@pytest.mark.parametrize('amount', [0.0, math.nan, math.inf, -math.inf, 6.0, -0.25])
def test_senseless_moves_are_refused(amount):
    robot = Robot()
    reason = robot.executor.on_request(Request(Command(Kind.MOVE, amount)), robot.now)
    assert reason and robot.status.result is Result.BAD_INPUT
    assert robot.status.message == reason
    robot.assert_stands()


def test_reverse_where_it_is_allowed():
    robot = Robot(replace(CONFIG, allow_reverse=True))
    robot.executor.on_request(Request(Command(Kind.MOVE, -0.3)), robot.now)
    robot.run_until_standing()
    assert robot.base.pose.seen_from(Pose(3.0, -2.0, 2.0))[0] == pytest.approx(-0.3, abs=0.01)
    assert robot.status.progress == pytest.approx(0.3, abs=0.01)


# ---- failures ----


def moving_robot(config=CONFIG, action=FORWARD):
    robot = Robot(config)
    robot.act(action)
    robot.run(0.4)
    assert robot.commanded != ZERO
    return robot


def test_e_stop_is_immediate_latched_and_reset_by_the_service_only():
    robot = moving_robot()
    robot.executor.on_e_stop(True, robot.now)
    assert robot.executor.velocity == ZERO
    assert robot.status.state is State.ESTOPPED and robot.status.result is Result.ESTOPPED
    robot.assert_stands()
    assert not robot.executor.reset_e_stop()[0]  # still pressed
    robot.executor.on_e_stop(False, robot.now)
    assert robot.act(FORWARD) == 'e-stop'
    robot.assert_stands()
    assert robot.executor.reset_e_stop()[0]
    robot.assert_stands()  # a reset does not take the motion up again
    assert robot.status.state is State.IDLE
    assert robot.do(FORWARD)[0] < 0.012


FAULTS = {
    'silent': (lambda stamp, pose: None, Result.INPUT_LOST, 'silent'),
    'frozen stamp': (lambda stamp, pose: (0.4, pose), Result.INPUT_LOST, 'silent'),
    'nan': (
        lambda stamp, pose: (stamp, Pose(math.nan, pose.y, pose.yaw)),
        Result.BAD_INPUT,
        'finite',
    ),
    'infinite yaw': (
        lambda stamp, pose: (stamp, Pose(pose.x, pose.y, math.inf)),
        Result.BAD_INPUT,
        'finite',
    ),
    'jump': (
        lambda stamp, pose: (stamp, Pose(pose.x, pose.y + 5.0, pose.yaw)),
        Result.BAD_INPUT,
        'jumped',
    ),
    'turn': (
        lambda stamp, pose: (stamp, Pose(pose.x, pose.y, pose.yaw + 2.0)),
        Result.BAD_INPUT,
        'jumped',
    ),
}


@pytest.mark.parametrize('action', [FORWARD, LEFT])
@pytest.mark.parametrize(('odometry', 'result', 'word'), FAULTS.values(), ids=FAULTS)
def test_bad_odometry_stops_the_robot(odometry, result, word, action):
    robot = moving_robot(action=action)
    good, robot.odometry = robot.odometry, odometry
    began = robot.now
    while robot.tick() != ZERO:
        assert robot.now - began < 0.6
    status = robot.status
    assert status.state is State.FAULT and status.result is result and word in status.message
    robot.assert_stands()
    robot.odometry = good
    robot.run(2.2)  # the way back is a jump as well
    assert robot.status.state is State.IDLE
    robot.assert_stands()
    assert robot.do(FORWARD)[0] < 0.012


def test_fault_refuses_actions_until_it_is_over():
    robot = Robot()
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    assert 'odometry is silent' in robot.act(FORWARD)
    assert robot.status.result is Result.INPUT_LOST and robot.status.state is State.FAULT
    robot.assert_stands()


def test_without_any_odometry_the_robot_does_not_move():
    robot = ClosedLoop(Executor(CONFIG), BaseModel())
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    reason = robot.executor.on_request(Request(Command(Kind.MOVE, 0.25)), robot.now)
    assert reason == 'no odometry yet' == robot.executor.status.message
    robot.run(1.0)
    assert robot.base.pose == Pose()


def test_open_loop_only_when_allowed_and_it_says_so():
    robot = Robot(replace(CONFIG, allow_open_loop=True), BaseConfig(delay=0.0))
    assert robot.do(FORWARD)[0] < 0.012 and not robot.status.open_loop  # odometry is there
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    position, _ = robot.do(FORWARD)
    assert robot.status.open_loop and robot.status.result is Result.SUCCEEDED
    assert position < 0.02  # this base does what it is told
    _, angle = robot.do(LEFT)
    assert angle < math.radians(2.0)
    robot.assert_stands()


def test_open_loop_does_not_take_over_a_motion_whose_odometry_is_lost():
    robot = moving_robot(replace(CONFIG, allow_open_loop=True))
    robot.odometry = lambda stamp, pose: None
    robot.run(0.6)
    assert robot.status.result is Result.INPUT_LOST
    robot.assert_stands()


@pytest.mark.parametrize('jump', [-100.0, -0.01, 5.0, 1e6])
def test_clock_that_jumps_stops_the_robot(jump):
    robot = moving_robot()
    now = robot.now + jump
    assert robot.executor.update(now) == ZERO
    assert robot.status.state is State.FAULT and robot.status.result is Result.BAD_INPUT
    assert 'clock' in robot.status.message
    for i in range(1, 200):
        time, pose = now + 0.02 * i, robot.base.pose
        robot.executor.on_odometry(time, pose.x, pose.y, pose.yaw, time)
        assert robot.executor.update(time) in (None, ZERO)
    assert robot.status.state is State.IDLE
    assert robot.status.motion_end <= time


def test_motion_end_is_never_in_the_future_after_the_clock_was_set_back():
    robot = Robot()
    robot.do(FORWARD)
    robot.executor.update(robot.now - 3.0)
    assert robot.status.motion_end == robot.now - 3.0


@pytest.mark.parametrize('moving', [True, False])
def test_clock_that_is_set_back_while_the_base_comes_to_rest_does_not_hold_anything_up(moving):
    robot = Robot()
    robot.do(FORWARD)
    if moving:
        robot.act(FORWARD)
        robot.run(0.5)
        robot.executor.on_e_stop(True, robot.now)
    now = robot.now - 100.0
    silent = 0
    for i in range(1, 200):
        time = now + 0.02 * i
        robot.executor.on_odometry(time, 0.0, 0.0, 0.0, time)
        silent += robot.executor.update(time) is None
    assert silent > 20 and robot.executor.stands


def test_message_names_what_is_wrong_now():
    robot = Robot()
    robot.act(FORWARD, instruction_id='b')
    robot.run(0.2)
    robot.act(LEFT, instruction_id='b')  # dropped
    robot.run_until_standing()
    assert robot.status.message == 'another action was moving'
    robot.odometry = lambda stamp, pose: None
    robot.run(1.0)
    assert robot.status.state is State.FAULT and 'odometry is silent' in robot.status.message


def test_fault_told_from_outside_stops_the_robot():
    robot = moving_robot()
    robot.executor.fail('ROS time stands still')
    assert robot.executor.velocity == ZERO
    assert robot.status.message == 'ROS time stands still'
    robot.assert_stands()


def test_time_allowance_ends_a_motion_that_does_not_get_anywhere():
    robot = Robot(replace(CONFIG, time_allowance=2.0), BaseConfig(scale=0.0))
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.TIMEOUT and 'time allowance' in robot.status.message
    assert robot.status.state is State.IDLE and robot.now < 5.5
    robot.assert_stands()


def test_lost_navigator_in_step_mode_finishes_the_step_and_stands():
    robot = Robot()
    robot.executor.on_navigator(robot.now)
    assert robot.do(FORWARD)[0] < 0.012
    robot.assert_stands()


def test_lost_navigator_in_continuous_mode_stops_the_robot():
    robot = Robot(replace(CONTINUOUS, navigator_timeout=0.3))
    robot.act(FORWARD)
    robot.run(0.3)
    robot.executor.on_navigator(robot.now)
    robot.run(0.3)
    assert robot.commanded.linear > 0.1
    robot.run(0.6)
    assert robot.commanded == ZERO
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST and 'navigator' in robot.status.message
    robot.assert_stands()


# ---- obstacles ----


class Wall:
    """Something across the way, seen by a scanner at 10 Hz."""

    def __init__(self, robot, distance):
        self.robot, self.distance = robot, distance
        self.start, self._tick = robot.base.pose, 0
        robot.executor.on_clear_distance('scan', distance, robot.now)
        self._odometry = robot.odometry
        robot.odometry = self.look

    @property
    def clear(self):
        return self.distance - self.robot.base.pose.seen_from(self.start)[0]

    def look(self, stamp, pose):
        self._tick += 1
        if self._tick % 5 == 0:
            self.robot.executor.on_clear_distance('scan', self.clear, self.robot.now)
        return self._odometry(stamp, pose)


SAFE = replace(CONFIG, stop_distance=0.3)


def test_obstacle_ahead_blocks_forward_motion_only():
    robot = Robot(SAFE)
    Wall(robot, 0.25)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED and robot.status.state is State.IDLE
    assert robot.base.pose.seen_from(Pose(3.0, -2.0, 2.0))[0] == 0.0
    assert robot.do(LEFT)[1] < math.radians(1.0)


def test_robot_comes_to_rest_before_an_obstacle():
    robot = Robot(SAFE)
    wall = Wall(robot, 0.42)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.BLOCKED
    assert wall.clear == pytest.approx(0.3, abs=0.015)
    robot.assert_stands()


def test_far_obstacle_does_not_matter():
    robot = Robot(SAFE)
    Wall(robot, 0.6)
    assert robot.do(FORWARD)[0] < 0.012


def test_without_a_fresh_scan_there_is_no_forward_motion():
    robot = Robot(SAFE)
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST and 'scan' in robot.status.message
    robot.executor.on_clear_distance('scan', math.nan, robot.now)  # says nothing
    robot.act(FORWARD)
    robot.run_until_standing()
    assert robot.status.result is Result.INPUT_LOST
    robot.executor.on_clear_distance('scan', math.inf, robot.now)
    robot.act(FORWARD)
    robot.run(0.4)
    assert robot.commanded.linear > 0.0
    robot.run(0.2)  # the scan of the start is too old by now
    assert robot.commanded == ZERO
    robot.assert_stands()


# ---- continuous mode ----


def test_equal_actions_chain_without_a_stop():
    robot = Robot(CONTINUOUS)
    start, slowest, images = robot.base.pose, math.inf, []
    for i in range(100):
        if i % 10 == 0:  # a decision every 0.2 s, from an image 0.2 s ago
            assert robot.act(FORWARD, stamp=robot.now - 0.2) == ''
            images.append(robot.base.pose)
        robot.tick()
        if i > 40:
            slowest = min(slowest, robot.commanded.linear)
    assert slowest > 0.28
    robot.run_until_standing()
    travelled = robot.base.pose.seen_from(start)[0]
    last_image = images[-2].seen_from(start)[0]  # where it was 0.2 s before the last decision
    assert travelled == pytest.approx(last_image + 0.25, abs=0.02)


def test_goal_is_anchored_at_the_stamp_of_the_image():
    robot = Robot(CONTINUOUS)
    assert robot.act(FORWARD) == ''
    robot.run(0.7)
    stamp, pose = robot.now, robot.base.pose
    robot.run(0.6)
    assert robot.act(FORWARD, stamp=stamp) == ''
    goal = robot.executor.goal
    forward, left, _ = goal.seen_from(pose)
    assert (forward, left) == pytest.approx((0.25, 0.0), abs=0.005)
    robot.run_until_standing()
    assert robot.base.pose.seen_from(goal)[0] == pytest.approx(0.0, abs=0.01)


def test_turn_after_a_move_finishes_the_move_first():
    robot = Robot(CONTINUOUS)
    start = robot.base.pose
    robot.act(FORWARD)
    robot.run(0.5)
    robot.act(LEFT)
    robot.run_until_standing()
    forward, left, turn = robot.base.pose.seen_from(start)
    assert math.hypot(forward - 0.25, left) < 0.015
    assert turn == pytest.approx(math.radians(15.0), abs=math.radians(1.0))


def test_move_after_a_turn_goes_where_the_turn_leads():
    robot = Robot(CONTINUOUS)
    start = robot.base.pose
    robot.act(LEFT)
    robot.run(0.4)
    assert 0.02 < robot.base.pose.yaw - start.yaw < 0.2  # in the middle of it
    robot.act(FORWARD)
    robot.run_until_standing()
    forward, left, turn = robot.base.pose.seen_from(start.moved(0.0, math.radians(15.0)))
    assert turn == pytest.approx(0.0, abs=math.radians(1.0))
    assert math.hypot(forward - 0.25, left) < 0.015


def test_turns_do_not_run_away_when_decisions_are_faster_than_the_base():
    robot = Robot(CONTINUOUS)
    for _ in range(10):
        robot.act(LEFT, stamp=robot.now)
        robot.tick()
    robot.run_until_standing()
    turned = robot.base.pose.yaw - 2.0  # all ten images showed (almost) the same
    assert turned == pytest.approx(math.radians(15.0), abs=math.radians(3.0))


@pytest.mark.parametrize(
    ('age', 'result', 'word'), [(2.5, Result.DROPPED, 'old'), (-1.0, Result.BAD_INPUT, 'future')]
)
def test_decision_from_a_wrong_time_is_not_executed(age, result, word):
    robot = Robot(CONTINUOUS)
    robot.run(3.0)
    assert word in robot.act(FORWARD, stamp=robot.now - age)
    assert robot.status.result is result
    robot.assert_stands()


def test_decision_from_before_the_odometry_is_dropped():
    robot = Robot(replace(CONTINUOUS, max_decision_age=50.0))
    robot.run(12.0)
    assert 'no odometry from the time' in robot.act(FORWARD, stamp=robot.now - 11.9)


def test_mode_changes_only_while_the_robot_stands():
    robot = moving_robot()
    with pytest.raises(ValueError, match='while the robot stands'):
        robot.executor.configure(CONTINUOUS)
    robot.run_until_standing()
    robot.executor.configure(CONTINUOUS)
    assert robot.executor.config.mode is Mode.CONTINUOUS


# ---- bases that take commands ----

COMMANDS = replace(CONFIG, commands=True)


def test_command_is_sent_once_and_its_end_waited_for():
    robot = Robot(COMMANDS)
    robot.odometry = lambda stamp, pose: None  # not needed
    robot.act(LEFT)
    sent = robot.executor.take_command()
    assert sent.command.sentence == 'turn left 15 degrees' and sent.instruction_id == 'a'
    assert robot.executor.take_command() is None
    robot.run(5.0)
    assert robot.status.state is State.MOVING and robot.commanded is None
    assert 'not under way' in robot.executor.on_done('a', 7, 0.26, robot.now)
    assert robot.executor.on_done('a', 0, 0.26, robot.now) == ''
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED and robot.status.progress == 0.26


def test_command_without_an_answer_times_out_and_is_stopped():
    robot = Robot(replace(COMMANDS, time_allowance=2.0))
    robot.act(FORWARD)
    robot.executor.take_command()
    robot.run_until_standing()
    assert robot.status.result is Result.TIMEOUT
    assert robot.executor.take_command().command.kind is Kind.STOP


@pytest.mark.parametrize('moving', [True, False])
def test_e_stop_sends_stop_to_a_base_that_takes_commands(moving):
    robot = Robot(COMMANDS)
    if moving:
        robot.act(FORWARD)
        robot.executor.take_command()
    robot.executor.on_e_stop(True, robot.now)
    assert robot.executor.take_command().command.kind is Kind.STOP
    assert robot.status.state is State.ESTOPPED


def test_equal_actions_that_wait_merge_into_one_command():
    robot = Robot(replace(COMMANDS, mode=Mode.CONTINUOUS, navigator_timeout=0.0))
    robot.act(FORWARD)
    assert robot.executor.take_command().command.amount == 0.25
    for _ in range(3):
        robot.tick()
        assert robot.act(FORWARD) == ''
    assert 'waits' in robot.act(FORWARD)  # 75 cm is the most
    assert 'waits' in robot.act(LEFT)
    robot.executor.on_done('a', 0, 0.25, robot.now)
    robot.run(0.5)
    assert robot.executor.take_command().command.sentence == 'move forward 75 cm'
    robot.act(FORWARD)
    robot.act(STOP)
    assert robot.executor.take_command().command.kind is Kind.STOP
    robot.run_until_standing()
    assert robot.status.request.action == STOP and robot.status.result is Result.SUCCEEDED
    assert robot.executor.take_command() is None
