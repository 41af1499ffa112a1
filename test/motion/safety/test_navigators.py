"""Two navigators, and one that was restarted."""

from janusvln_ros.motion.safety.navigators import Navigators
from janusvln_ros.motion.types import Result, State
from robot import FORWARD, Robot, ZERO


def beat(robot, seconds, *sessions, at_work=True):
    """Let time pass with heartbeats of navigators."""
    for _ in range(round(seconds / 0.2)):
        for session in sessions:
            robot.executor.navigators.hear(session, at_work, robot.now)
        robot.run(0.2)


def moving(session):
    """Return a robot that does what a navigator has asked for."""
    robot = Robot.on_the_way(max_linear_speed=0.1)
    robot.executor.owner.session = session
    robot.executor.navigators.hear(session, True, robot.now)
    return robot


def test_two_at_work_move_nothing():
    robot = moving('one')
    beat(robot, 0.4, 'one')
    assert robot.commanded != ZERO
    beat(robot, 0.8, 'one', 'two')
    assert robot.commanded == ZERO
    robot.run_until_standing()
    assert robot.status.state is State.FAULT and 'two navigators' in robot.status.message
    assert robot.status.result is Result.BAD_INPUT
    assert 'two navigators' in robot.act(FORWARD)
    beat(robot, 2.2, 'two')
    robot.executor.owner.session = 'two'
    assert robot.do(FORWARD)[0] < 0.012


def test_one_that_waits_beside_another_is_no_trouble():
    robot = moving('one')
    for _ in range(5):
        beat(robot, 0.2, 'one')
        beat(robot, 0.2, 'two', at_work=False)
    assert robot.commanded != ZERO
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED


def test_restarted_navigator_ends_what_the_one_before_asked_for():
    robot = moving('one')
    robot.run(1.0)
    robot.executor.navigators.hear('two', False, robot.now)
    robot.run(0.1)
    assert robot.commanded != ZERO  # the other may be alive
    beat(robot, 1.0, 'two', at_work=False)
    assert robot.commanded == ZERO
    robot.run_until_standing()
    assert robot.status.result is Result.CANCELED and 'restarted' in robot.status.message
    robot.executor.owner.session = 'two'
    assert robot.do(FORWARD)[0] < 0.012


def test_lost_navigator_without_another_lets_the_step_end():
    robot = moving('one')
    robot.run_until_standing()
    assert robot.status.result is Result.SUCCEEDED


def test_sessions_without_number_take_no_memory():
    navigators = Navigators()
    for i in range(10_000):
        navigators.hear(f'session {i}', True, i * 1e-4)
    assert navigators.verdict(1.0) is not None
    assert len(navigators._at_work) < 10
