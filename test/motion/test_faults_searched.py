"""
Faults in any order: the robot goes one step more at most, is told zero in time, and stands.

Always the same runs; `python benchmarks/fault_search.py` searches for as long as one likes.
"""

import itertools

from fault_machine import FaultMachine
from faults import FAULTS, FaultyRobot
from hypothesis import settings
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Result
import pytest
from robot import FORWARD, LEFT

pytestmark = pytest.mark.slow
TestFaults = FaultMachine.TestCase
TestFaults.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize('mode', ['step', 'continuous'])
@pytest.mark.parametrize('name', FAULTS)
def test_each_fault_on_the_way(name, mode):
    for share, before, wish in (
        (0.0, 0.0, LEFT),
        (0.5, 0.4, FORWARD),
        (1.0, 1.2, Command(Kind.TURN, -3.0)),
        (0.3, 1.2, Command(Kind.MOVE, 3.0)),
    ):
        machine = FaultMachine()
        machine.start(mode, delay=0.05, odometry_delay=0.02, every=1, scale=1.0)
        machine.breaks_on_the_way(wish, before, name, share, seconds=4)
        machine.teardown()


@pytest.mark.parametrize('actions', [(LEFT, FORWARD), (FORWARD, LEFT, LEFT)])
@pytest.mark.parametrize('every', [0.3, 0.8])
def test_slow_turns_between_drives_are_counted(every, actions):
    machine = FaultMachine()
    machine.start('continuous', delay=0.05, odometry_delay=0.05, every=5, scale=1.0)
    machine.breaks('yaw frozen', 0.0)
    machine.alternates(actions, every, seconds=30)
    assert machine.robot.executor.stands


@pytest.mark.parametrize('mode', ['step', 'continuous'])
@pytest.mark.parametrize(('every', 'odometry_delay'), [(1, 0.05), (10, 0.02)])
def test_one_try_after_the_other_is_one_step_together(every, odometry_delay, mode):
    for share in (0.0, 0.4, 0.6):
        machine = FaultMachine()
        machine.start(mode, 0.05, odometry_delay, every, scale=1.1)
        machine.breaks('too little', share)
        machine.alternates([FORWARD], 0.1, seconds=12)


@pytest.mark.parametrize('mode', ['step', 'continuous'])
@pytest.mark.parametrize('name', ['about a half', 'too little', 'left wheel dead', 'frozen'])
@pytest.mark.parametrize(('on', 'off'), [(0.2, 0.1), (0.3, 0.6)])
def test_short_motions_add_up(on, off, name, mode):
    for action, share in itertools.product((LEFT, FORWARD), (0.5, 1.0)):
        machine = FaultMachine()
        machine.start(mode, delay=0.05, odometry_delay=0.02, every=1, scale=1.0)
        machine.breaks(name, share)
        machine.storms(action, on, off, seconds=8)
        machine.teardown()
        assert machine.robot.status.message  # why it stands


@pytest.mark.parametrize('name', ['restarting', 'too much', 'yaw frozen', 'left wheel dead'])
@pytest.mark.parametrize('every', [5, 10])
def test_wide_turns_with_rare_odometry(name, every):
    for share in (0.0, 1.0):
        machine = FaultMachine()
        machine.start('step', delay=0.1, odometry_delay=0.05, every=every, scale=1.0)
        machine.breaks_on_the_way(Command(Kind.TURN, -3.0), 1.2, name, share, seconds=4)
        machine.teardown()


@pytest.mark.parametrize(('every', 'odometry_delay'), [(10, 0.02), (1, 0.2), (5, 0.2)])
def test_rare_or_late_odometry_drives_all_the_same(every, odometry_delay):
    robot = FaultyRobot(BaseConfig(odometry_delay=odometry_delay, scale=0.8), every)
    for command in (Command(Kind.MOVE, 1.0), Command(Kind.TURN, 3.0)):
        before = robot.base.pose
        assert robot.ask(command) == ''
        robot.run_until_standing()
        forward, _, turn = robot.base.pose.seen_from(before)
        assert robot.status.result is Result.SUCCEEDED, robot.status.message
        assert forward + turn == pytest.approx(command.amount, abs=0.03)
