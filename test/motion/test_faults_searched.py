"""
Faults in any order: the robot goes one step more at most, is told zero in time, and stands.

Always the same runs; `python benchmarks/fault_search.py` searches for as long as one likes.
"""

from fault_machine import FaultMachine
from faults import FAULTS
from hypothesis import settings
from janusvln_ros.motion.commands import Command, Kind
import pytest
from robot import FORWARD, LEFT

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
