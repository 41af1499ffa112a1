"""
The embedded world with a real body: actions as the motion executor drives them, in physics.

What the ROS nodes do between a decision and the next picture, on one time line without them:
wheels slip, a robot that runs into something pushes until odometry says that it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.motion.commands import Command
from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.safety.rays import Lens, Mount
from janusvln_ros.motion.safety.standing import Picture
from janusvln_ros.motion.types import Mode, Request, Result, State, Status
from janusvln_ros.parameters import build
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.house import House
from janusvln_ros.sim.physics import PhysicsWorld, WheelOdometry
from janusvln_ros.sim.world import KinematicWorld
import numpy as np

PERIOD = 0.02  # s, between two updates of the executor
THINKING = 0.2  # s, from where a motion ended to the next action: picture and decision
LONGEST = 60.0  # s, of an action
# The simulator's robot has no obstacle sensor, as config/robot_simulator.yaml says.
# Nobody tells the executor here that the navigator lives.
_PARAMETERS: dict[Mode, dict[str, Any]] = {
    Mode.STEP: {'stop_distance': 0.0},
    Mode.CONTINUOUS: {'stop_distance': 0.0, 'navigator_timeout': 0.0},
}


class DrivenWorld(KinematicWorld):
    """
    A KinematicWorld whose robot is driven in physics while `driven` is set, from reset() on.

    wheel_error: see PhysicsWorld. mode: of the executor. period: in continuous mode, s from one
    picture to the next; None: the next is taken when the goal before is reached. parameters: more
    of the executor's. `watch` is called with the odometry at each of the executor's updates, also
    while a person steers.
    """

    def __init__(
        self,
        house: House,
        *,
        camera: CameraModel | None = None,
        seed: int = 0,
        driven: bool = True,
        wheel_error: float = 0.0,
        mode: Mode = Mode.STEP,
        period: float | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.driven, self._wheel_error = driven, wheel_error
        self._mode, self._period = mode, period
        values = {'execution_mode': mode.value, **_PARAMETERS[mode], **(parameters or {})}
        self._config = build(ExecutorConfig, values)
        self.watch: Callable[[WheelOdometry], None] = lambda seen: None
        super().__init__(house, camera=camera, seed=seed)

    def reset(self, x: float, y: float, yaw: float) -> None:
        """Put the robot somewhere, at rest; ValueError where it does not fit."""
        super().reset(x, y, yaw)
        if self.driven:
            self._base = PhysicsWorld(self.house, self.pose, wheel_error=self._wheel_error)
            self._executor = Executor(self._config)

    def step(self, action: int) -> bool:
        """
        Do one action; return whether it did not succeed, or ended in touch with something.

        ValueError for what is no action; RuntimeError for one that does not end.
        """
        if not self.driven or action == Action.STOP:
            return super().step(action)
        base, executor = self._base, self._executor
        picture = base.time
        for _ in range(round(THINKING / PERIOD)):
            self._tick()
        command = Command.from_action(action, FORWARD_STEP, TURN_STEP)
        executor.on_request(Request(command, picture), base.time)
        end = base.time + LONGEST
        while self._under_way(picture):
            if base.time > end:
                raise RuntimeError(f'{Action(action).name} takes longer than {LONGEST} s')
            self._tick()
        self._x, self._y, self._yaw = base.pose
        good = (Result.SUCCEEDED,) if self._mode is Mode.STEP else (Result.SUCCEEDED, Result.NONE)
        return executor.status.result not in good or base.in_contact

    @property
    def status(self) -> Status:
        """Give what the executor tells of the last action."""
        return self._executor.status

    @property
    def touches(self) -> bool:
        """Tell whether the body touches something."""
        return self._base.in_contact

    def show_depth(
        self, depth: np.ndarray, focal: tuple[float, float], centre: tuple[float, float]
    ) -> str:
        """
        Let the executor have the depth of the camera's picture of now; return what is wrong.

        depth: (H, W) m, NaN: not known; focal, centre: of these pixels, x and y.
        """
        mount = Mount.of(z=self.camera.elevation, pitch=self.camera.tilt).optical
        now = self._base.time
        return self._executor.guess.on_picture(
            'camera', now, now, lambda: Picture(depth, Lens(*focal, *centre), mount)
        )

    def _under_way(self, picture: float) -> bool:
        """Tell whether the next picture is still to come, after the one taken then (s)."""
        if self._mode is Mode.STEP:
            return not self._executor.stands
        if self._period is not None:
            return self._base.time < picture + self._period
        return self._executor.state is State.MOVING

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / PERIOD)):
            self._tick()
        self._x, self._y, self._yaw = self._base.pose

    def steer(self, speed: float, turn_rate: float) -> None:
        """Drive by hand (m/s, rad/s) for one PERIOD, past the executor."""
        self._base.set_velocity(speed, turn_rate)
        self._base.advance(PERIOD)
        self.watch(self._base.odometry)
        self._x, self._y, self._yaw = self._base.pose

    def recover(self) -> None:
        """Undo what keeps the executor from driving, as an operator does."""
        self._executor.reset()

    def _tick(self) -> None:
        """Go on by one period of the executor."""
        base, executor = self._base, self._executor
        base.advance(PERIOD)
        seen = base.odometry
        self.watch(seen)
        executor.on_odometry(seen.time, seen.x, seen.y, seen.yaw, base.time)
        velocity = executor.update(base.time)
        if velocity is not None:
            base.set_velocity(velocity.linear, velocity.angular)
