"""How a request becomes a motion: goals that chain, open loop, and bases that take commands."""

import math

from janusvln_ros.motion.commands import Kind
from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, Robot, STOP

CONTINUOUS = {'execution_mode': 'continuous', 'navigator_timeout': 0.0}


def test_equal_actions_chain_without_a_stop():
    robot = Robot(**CONTINUOUS)
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
    robot = Robot(**CONTINUOUS)
    assert robot.act(FORWARD) == ''
    robot.run(0.7)
    stamp, pose = robot.now, robot.base.pose
    robot.run(0.6)
    assert robot.act(FORWARD, stamp=stamp) == ''
    goal = robot.executor.base.goal
    forward, left, _ = goal.seen_from(pose)
    assert (forward, left) == pytest.approx((0.25, 0.0), abs=0.005)
    robot.run_until_standing()
    assert robot.base.pose.seen_from(goal)[0] == pytest.approx(0.0, abs=0.01)


def test_turn_after_a_move_finishes_the_move_first():
    robot = Robot(**CONTINUOUS)
    start = robot.base.pose
    robot.act(FORWARD)
    robot.run(0.5)
    robot.act(LEFT)
    robot.run_until_standing()
    forward, left, turn = robot.base.pose.seen_from(start)
    assert math.hypot(forward - 0.25, left) < 0.015
    assert turn == pytest.approx(math.radians(15.0), abs=math.radians(1.0))


def test_move_after_a_turn_goes_where_the_turn_leads():
    robot = Robot(**CONTINUOUS)
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
    robot = Robot(**CONTINUOUS)
    for _ in range(10):
        robot.act(LEFT, stamp=robot.now)
        robot.tick()
    robot.run_until_standing()
    turned = robot.base.pose.yaw - 2.0  # all ten images showed (almost) the same
    assert turned == pytest.approx(math.radians(15.0), abs=math.radians(3.0))


def test_open_loop_only_when_allowed_and_it_says_so():
    robot = Robot(BaseConfig(delay=0.0), allow_open_loop=True)
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
    robot = Robot.on_the_way(allow_open_loop=True)
    robot.odometry = lambda stamp, pose: None
    robot.run(0.6)
    assert robot.status.result is Result.INPUT_LOST
    robot.assert_stands()


def test_command_is_sent_once_and_its_end_waited_for():
    robot = Robot(output='command')
    robot.odometry = lambda stamp, pose: None  # not needed
    robot.act(LEFT)
    sent = robot.executor.base.take_command()
    assert sent.command.sentence == 'turn left 15 degrees' and sent.instruction_id == 'a'
    assert robot.executor.base.take_command() is None
    robot.run(5.0)
    assert robot.status.state is State.MOVING and robot.commanded is None
    assert 'not under way' in robot.executor.on_done('a', 7, 0.26, robot.now)
    assert robot.executor.on_done('a', 0, 0.26, robot.now) == ''
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED and robot.status.progress == 0.26


def test_command_without_an_answer_times_out_and_is_stopped():
    robot = Robot(output='command', time_allowance=2.0)
    robot.act(FORWARD)
    robot.executor.base.take_command()
    robot.run_until_standing()
    assert robot.status.result is Result.TIMEOUT
    assert robot.executor.base.take_command().command.kind is Kind.STOP


@pytest.mark.parametrize('moving', [True, False])
def test_e_stop_sends_stop_to_a_base_that_takes_commands(moving):
    robot = Robot(output='command')
    if moving:
        robot.act(FORWARD)
        robot.executor.base.take_command()
    robot.executor.on_e_stop(True, robot.now)
    assert robot.executor.base.take_command().command.kind is Kind.STOP
    assert robot.status.state is State.ESTOPPED


def test_equal_actions_that_wait_merge_into_one_command():
    robot = Robot(output='command', **CONTINUOUS)
    robot.act(FORWARD)
    assert robot.executor.base.take_command().command.amount == 0.25
    for _ in range(3):
        robot.tick()
        assert robot.act(FORWARD) == ''
    assert 'waits' in robot.act(FORWARD)  # 75 cm is the most
    assert 'waits' in robot.act(LEFT)
    robot.executor.on_done('a', 0, 0.25, robot.now)
    robot.run(0.5)
    assert robot.executor.base.take_command().command.sentence == 'move forward 75 cm'
    robot.act(FORWARD)
    robot.act(STOP)
    assert robot.executor.base.take_command().command.kind is Kind.STOP
    robot.run_until_standing()
    assert robot.status.request.action == STOP and robot.status.result is Result.SUCCEEDED
    assert robot.executor.base.take_command() is None
