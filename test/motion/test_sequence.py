"""Several steps of one sentence: each through the guards, and none after a failure."""

import math

from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.sentences import parse_steps
from janusvln_ros.motion.sequence import Sequence
from janusvln_ros.motion.testing import BaseModel, ClosedLoop
from janusvln_ros.motion.types import Request, Result, State
from janusvln_ros.parameters import build
import pytest


class Robot:
    """An executor in closed loop that obeys sentences, as the node does."""

    def __init__(self, **values):
        config = build(ExecutorConfig, values)
        self.loop = ClosedLoop(Executor(config), BaseModel())
        self.sequence = Sequence()
        self.taken = []
        self.loop.run(2.0)

    @property
    def status(self):
        return self.loop.executor.status

    def say(self, sentence):
        self._take(self.sequence.begin(map(Request, parse_steps(sentence))))

    def _take(self, request):
        self.taken.append(request.command.sentence)
        self.loop.executor.on_request(request, self.loop.now)

    def run(self, seconds):
        end = self.loop.now + seconds
        while self.loop.now < end:
            self.loop.tick()
            following = self.sequence.advance(self.status)
            if following is not None:
                self._take(following)


def test_steps_are_driven_one_after_another():
    robot = Robot()
    robot.say('go forward 50 cm, then turn left 90 degrees and go forward 50 cm')
    robot.run(30.0)
    assert robot.taken == ['move forward 50 cm', 'turn left 90 degrees', 'move forward 50 cm']
    assert robot.status.result is Result.SUCCEEDED and robot.loop.executor.stands
    pose = robot.loop.base.pose
    assert (pose.x, pose.y) == pytest.approx((0.5, 0.5), abs=0.04)
    assert pose.yaw == pytest.approx(math.pi / 2, abs=0.04)


def test_nothing_follows_an_e_stop():
    robot = Robot()
    robot.say('go forward 1 m, then turn left')
    robot.run(1.0)
    robot.loop.executor.on_e_stop(True, robot.loop.now)
    robot.run(2.0)
    robot.loop.executor.on_e_stop(False, robot.loop.now)
    robot.loop.executor.e_stop.reset()
    robot.run(5.0)
    assert robot.taken == ['move forward 100 cm'] and robot.status.state is State.IDLE


def test_nothing_follows_a_step_that_is_refused():
    robot = Robot()
    robot.say('turn left, then go back 50 cm, then turn right')
    robot.run(20.0)
    assert len(robot.taken) == 2
    assert robot.status.result is Result.BAD_INPUT and 'allow_reverse' in robot.status.message


@pytest.mark.parametrize('other', ['stop', 'turn right'])
def test_a_new_request_ends_the_sentence(other):
    robot = Robot()
    robot.say('go forward 25 cm, then turn left, then turn left')
    robot.run(0.5)
    (command,) = parse_steps(other)
    robot.loop.executor.on_request(Request(command, instruction_id='a', step=1), robot.loop.now)
    robot.run(20.0)
    assert robot.taken == ['move forward 25 cm'] and robot.loop.executor.stands


def test_a_new_sentence_replaces_the_rest():
    robot = Robot()
    robot.say('turn left, then turn left')
    robot.say('stop')
    robot.run(20.0)
    assert robot.taken == ['turn left 15 degrees', 'stop']
