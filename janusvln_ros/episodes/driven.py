"""
The embedded world with a real body: actions as the motion executor drives them, in physics.

What the ROS nodes do between a decision and the next picture, on one time line without them:
wheels slip, a robot that runs into something pushes until odometry says that it stands.
"""

from __future__ import annotations

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.motion.commands import Command
from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.types import Request, Result
from janusvln_ros.parameters import build
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.house import House
from janusvln_ros.sim.physics import PhysicsWorld
from janusvln_ros.sim.world import KinematicWorld

PERIOD = 0.02  # s, between two updates of the executor
THINKING = 0.2  # s, from where a motion ended to the next action: picture and decision
LONGEST = 60.0  # s, of an action
# The simulator's robot has no obstacle sensor, as config/robot_simulator.yaml says.
_CONFIG = build(ExecutorConfig, {'stop_distance': 0.0})


class DrivenWorld(KinematicWorld):
    """
    A KinematicWorld whose robot is driven in physics while `driven` is set, from reset() on.

    wheel_error: see PhysicsWorld.
    """

    def __init__(
        self,
        house: House,
        *,
        camera: CameraModel | None = None,
        seed: int = 0,
        driven: bool = True,
        wheel_error: float = 0.0,
    ) -> None:
        self.driven, self._wheel_error = driven, wheel_error
        super().__init__(house, camera=camera, seed=seed)

    def reset(self, x: float, y: float, yaw: float) -> None:
        """Put the robot somewhere, at rest; ValueError where it does not fit."""
        super().reset(x, y, yaw)
        if self.driven:
            self._base = PhysicsWorld(self.house, self.pose, wheel_error=self._wheel_error)
            self._executor = Executor(_CONFIG)

    def step(self, action: int) -> bool:
        """
        Do one action; return whether it did not succeed, or ended in touch with something.

        ValueError for what is no action; RuntimeError for one that does not end.
        """
        if not self.driven or action == Action.STOP:
            return super().step(action)
        base, executor = self._base, self._executor
        for _ in range(round(THINKING / PERIOD)):
            self._tick()
        command = Command.from_action(action, FORWARD_STEP, TURN_STEP)
        executor.on_request(Request(command), base.time)
        end = base.time + LONGEST
        while not executor.stands:
            if base.time > end:
                raise RuntimeError(f'{Action(action).name} takes longer than {LONGEST} s')
            self._tick()
        self._x, self._y, self._yaw = base.pose
        return executor.status.result is not Result.SUCCEEDED or base.in_contact

    def recover(self) -> None:
        """Undo what keeps the executor from driving, as an operator does."""
        self._executor.reset()

    def _tick(self) -> None:
        """Go on by one period of the executor."""
        base, executor = self._base, self._executor
        base.advance(PERIOD)
        seen = base.odometry
        executor.on_odometry(seen.time, seen.x, seen.y, seen.yaw, base.time)
        velocity = executor.update(base.time)
        if velocity is not None:
            base.set_velocity(velocity.linear, velocity.angular)
