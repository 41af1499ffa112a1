"""A simulated robot that takes actions, for tests of the executor."""

from __future__ import annotations

import math

from janusvln_ros.motion.commands import Command
from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.testing import BaseConfig, BaseModel, ClosedLoop
from janusvln_ros.motion.types import Request, Status, Velocity
from janusvln_ros.parameters import build

ZERO = Velocity()
STOP, FORWARD, LEFT, RIGHT = range(4)
STEP_LENGTH, STEP_ANGLE = 0.25, math.radians(15.0)
START = Pose(3.0, -2.0, 2.0)


def settings(**values: object) -> ExecutorConfig:
    """Return a configuration, with some parameters changed."""
    return build(ExecutorConfig, values)


class Robot(ClosedLoop):
    """A closed loop that takes actions, starting somewhere, with odometry flowing."""

    def __init__(self, base: BaseConfig | None = None, **values: object) -> None:
        super().__init__(Executor(settings(**values)), BaseModel(base, START))
        self.step = 0
        self.run(0.5)

    @classmethod
    def on_the_way(cls, action: int = FORWARD, **values: object) -> Robot:
        """Return a robot in the middle of an action."""
        robot = cls(**values)
        assert robot.act(action) == ''
        robot.run(0.4)
        assert robot.commanded != ZERO
        return robot

    @property
    def status(self) -> Status:
        return self.executor.status

    def act(
        self,
        action: int,
        stamp: float | None = None,
        instruction_id: str = 'a',
        step: int | None = None,
    ) -> str:
        """Send an action; return why it is not executed."""
        number, self.step = (self.step, self.step + 1) if step is None else (step, self.step)
        request = Request(
            Command.from_action(action, STEP_LENGTH, STEP_ANGLE),
            self.now if stamp is None else stamp,
            instruction_id,
            number,
            action,
        )
        return self.executor.on_request(request, self.now)

    def ask(self, command: Command) -> str:
        """Give a command by hand; return why it is not executed."""
        return self.executor.on_request(Request(command), self.now)

    def do(self, action: int) -> tuple[float, float]:
        """Execute an action to its end; return (m, rad): how far the base is from the ideal."""
        start = self.base.pose
        assert self.act(action) == ''
        self.run_until_standing()
        ideal = {
            FORWARD: start.moved(STEP_LENGTH),
            LEFT: start.moved(0.0, STEP_ANGLE),
            RIGHT: start.moved(0.0, -STEP_ANGLE),
            STOP: start,
        }[action]
        forward, left, turn = self.base.pose.seen_from(ideal)
        return math.hypot(forward, left), abs(turn)

    def assert_stands(self, seconds: float = 3.0) -> None:
        """Assert that from now on nothing but zero is commanded, and the base comes to rest."""
        silent = False
        for i in range(round(seconds / 0.02)):
            velocity = self.tick()
            assert velocity in (None, ZERO)
            assert not (silent and velocity is not None)
            silent = velocity is None
            assert i * 0.02 < 0.7 or self.base.linear == self.base.angular == 0.0
        assert silent
