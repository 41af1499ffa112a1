"""
The quick world of discrete actions: no dynamics, exact steps, collisions with a round robot.

For training and evaluation; the robot's dynamics are in janusvln_ros.sim.physics.
"""

from __future__ import annotations

import math

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.house import clearance, House, ROBOT_RADIUS
from janusvln_ros.sim.renderer import Renderer
import numpy as np

_STRIDE = 0.02  # m, between two looks for a collision


class KinematicWorld:
    """
    A round robot in a house, moved by discrete actions.

    It draws with a context that belongs to the first thread that calls render(); the context
    outlives load(), so change houses instead of worlds.

    camera: what the robot sees. slide: after a hit move on along the obstacle (R2R-CE's rule)
    instead of standing before it (RxR-CE's). step_length in metres, turn in radians.
    seed: decides the camera's noise.
    """

    def __init__(
        self,
        house: House,
        *,
        camera: CameraModel | None = None,
        slide: bool = True,
        step_length: float = FORWARD_STEP,
        turn: float = TURN_STEP,
        seed: int = 0,
    ) -> None:
        self.slide = slide
        self._camera = camera or CameraModel()
        self._step_length, self._turn = step_length, turn
        self._renderer: Renderer | None = None
        self.load(house, seed=seed)

    @property
    def house(self) -> House:
        """Give the house the robot is in."""
        return self._house

    @property
    def camera(self) -> CameraModel:
        """Give the camera."""
        return self._camera

    @property
    def pose(self) -> tuple[float, float, float]:
        """Give x, y in metres and yaw in radians, from -pi to pi."""
        return self._x, self._y, self._yaw

    def load(self, house: House, *, camera: CameraModel | None = None, seed: int = 0) -> None:
        """
        Change the house, and the camera if one is given; reset() has to follow.

        ValueError for a camera with another picture size than before.
        """
        if camera is not None:
            if (camera.width, camera.height) != (self._camera.width, self._camera.height):
                raise ValueError(
                    f'this world draws {self._camera.width} x {self._camera.height}, '
                    f'not {camera.width} x {camera.height}: make another world'
                )
            self._camera = camera
        self._house = house
        self._obstacles = house.obstacles()
        self._noise = np.random.default_rng([3, house.seed, seed])
        self._x, self._y = house.rooms[0].centre
        self._yaw = 0.0
        self._loaded = False

    def reset(self, x: float, y: float, yaw: float) -> None:
        """Put the robot somewhere; ValueError where it does not fit."""
        gap = float(clearance(self._obstacles, np.array([x, y])))
        if gap < ROBOT_RADIUS - 1e-6 or not self._house.is_inside(x, y):
            raise ValueError(
                f'the robot does not fit at ({x:.2f}, {y:.2f}) in house {self._house.seed}: '
                f'{gap:.2f} m to the nearest obstacle, {ROBOT_RADIUS} m are needed'
            )
        self._x, self._y, self._yaw = float(x), float(y), math.remainder(yaw, math.tau)

    def step(self, action: int) -> bool:
        """
        Do one action: 0 stop, 1 forward, 2 turn left, 3 turn right.

        Returns whether the robot ran into something. ValueError for any other action.
        """
        if action in (Action.TURN_LEFT, Action.TURN_RIGHT):
            turn = self._turn if action == Action.TURN_LEFT else -self._turn
            self._yaw = math.remainder(self._yaw + turn, math.tau)
        elif action == Action.MOVE_FORWARD:
            return self._forward()
        elif action != Action.STOP:
            raise ValueError(f'actions are 0 to 3, not {action}')
        return False

    def render(self) -> np.ndarray:
        """Give what the camera sees, uint8 (height, width, 3), RGB."""
        if self._renderer is None:
            self._renderer = Renderer(self._camera.width, self._camera.height)
        if not self._loaded:
            self._renderer.load(self._house)
            self._loaded = True
        rgb = self._renderer.render(self._x, self._y, self._yaw, self._camera)
        return self._camera.spoil(rgb, self._noise)

    def depth(self) -> np.ndarray:
        """Give how far what `render` gave last is: float32 (height, width), m along the axis."""
        if self._renderer is None:
            raise RuntimeError('render() comes first')
        return self._renderer.depth()

    def close(self) -> None:
        """Free the drawing context; it comes again with the next picture."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer, self._loaded = None, False

    def _forward(self) -> bool:
        """Move step_length ahead as far as the walls allow; tell whether they did not."""
        here = np.array([self._x, self._y])
        gap = float(clearance(self._obstacles, here))
        heading = np.array([math.cos(self._yaw), math.sin(self._yaw)])
        if gap - self._step_length >= ROBOT_RADIUS:
            self._x, self._y = (here + self._step_length * heading).tolist()
            return False
        collided = False
        strides = math.ceil(self._step_length / _STRIDE)
        stride = heading * (self._step_length / strides)
        for _ in range(strides):
            there = here + stride
            if float(clearance(self._obstacles, there)) < ROBOT_RADIUS:
                collided = True
                if not self.slide:
                    break
                pushed = self._pushed_out(there)
                if pushed is None or float((pushed - here) @ heading) < 1e-4:
                    break
                there = pushed
            here = there
        self._x, self._y = here.tolist()
        return collided

    def _pushed_out(self, point: np.ndarray) -> np.ndarray | None:
        """Move a point off the obstacles until the robot fits; None if it does not."""
        for _ in range(4):
            distance, away = _nearest(self._obstacles, point)
            if distance >= ROBOT_RADIUS:
                return point
            point = point + away * (ROBOT_RADIUS - distance + 1e-6)
        return point if float(clearance(self._obstacles, point)) >= ROBOT_RADIUS else None


def _nearest(obstacles: np.ndarray, point: np.ndarray) -> tuple[float, np.ndarray]:
    """Give the distance to the nearest obstacle and the unit vector that points away from it."""
    offset = point - obstacles[:, :2]
    cos, sin = np.cos(obstacles[:, 2]), np.sin(obstacles[:, 2])
    local_x = offset[:, 0] * cos + offset[:, 1] * sin
    local_y = offset[:, 1] * cos - offset[:, 0] * sin
    out_x = local_x - np.clip(local_x, -obstacles[:, 3], obstacles[:, 3])
    out_y = local_y - np.clip(local_y, -obstacles[:, 4], obstacles[:, 4])
    length = np.hypot(out_x, out_y)
    i = int((length - obstacles[:, 5]).argmin())
    if length[i] < 1e-9:
        return 0.0, np.zeros(2)  # inside: no way out is nearer than another
    out = np.array([out_x[i] * cos[i] - out_y[i] * sin[i], out_x[i] * sin[i] + out_y[i] * cos[i]])
    return max(float(length[i] - obstacles[i, 5]), 0.0), out / length[i]
