"""Somebody else who commands the base, or another executor."""

from janusvln_ros.motion.types import Result, State
import pytest
from robot import FORWARD, LEFT, Robot, ZERO


@pytest.mark.parametrize('who', [(['/teleop'], []), ([], ['/other/motion_executor'])])
def test_other_masters_halt_the_robot_and_are_named(who):
    robot = Robot.on_the_way()
    robot.executor.masters.see(*who)
    assert robot.tick() == ZERO
    name = (who[0] + who[1])[0]
    assert robot.status.state is State.FAULT and name in robot.status.message
    assert robot.status.result is Result.BAD_INPUT
    robot.assert_stands()
    assert name in robot.act(FORWARD)
    robot.executor.masters.see([], [])
    robot.assert_stands()
    assert robot.do(FORWARD)[0] < 0.012


def test_others_may_share_the_topic_while_they_are_silent():
    robot = Robot(exclusive_command=False)
    robot.executor.masters.see(['/teleop'], [])
    assert '/teleop' in robot.executor.masters.warning
    assert robot.do(LEFT)[1] < 0.02
    robot.act(FORWARD)
    robot.run(0.4)
    robot.executor.masters.hear(robot.now)
    assert robot.tick() == ZERO
    assert 'commands the base: /teleop' in robot.status.message
    robot.run(1.5)
    assert '/teleop' in robot.act(FORWARD)
    robot.assert_stands()
    assert robot.do(FORWARD)[0] < 0.012


def test_many_names_are_not_all_told():
    robot = Robot()
    robot.executor.masters.see([f'/node_{i}' for i in range(1000)], [])
    assert len(robot.status.message) < 300 and '/node_0' in robot.status.message
