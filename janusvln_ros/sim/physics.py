"""
The robot with its dynamics: a differential-drive base in a house, simulated by MuJoCo.

Two driven wheels and two casters under a round body, with friction, inertia and motors of limited
strength: a robot that is pressed against a wall stands, it does not spin its wheels.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.sim.gl import mujoco
from janusvln_ros.sim.house import House, ROBOT_RADIUS, WALL_HEIGHT
import numpy as np

TIMESTEP = 0.004  # s
COMMAND_TIMEOUT = 0.5  # s, after which the base stops by itself

WHEEL_RADIUS = 0.08  # m
WHEEL_SEPARATION = 0.26  # m
MAX_SPEED = 0.8  # m/s
MAX_TURN_RATE = 2.5  # rad/s
MAX_ACCELERATION = 1.5  # m/s^2
MAX_TURN_ACCELERATION = 6.0  # rad/s^2

_CASTER_RADIUS = 0.03  # m
_CASTER_OFFSET = 0.13  # m, before and behind the axle
_BODY_MASS = 11.0  # kg
_WHEEL_MASS = 0.5  # kg
_MOTOR_TORQUE = 1.6  # N m a wheel: 40 N of push, less than the wheels' grip


@dataclass(frozen=True)
class WheelOdometry:
    """What the base reports: pose by dead reckoning from its start, and velocity."""

    time: float  # s, simulated
    x: float  # m
    y: float
    yaw: float  # radians
    speed: float  # m/s, forward
    turn_rate: float  # rad/s, positive to the left


class PhysicsWorld:
    """
    A differential-drive robot in a house.

    house: where it is. start: (x, y, yaw) in metres and radians. wheel_error: by how much the
    wheels' radii differ from what the odometry believes, a relative standard deviation, drawn per
    wheel from `seed`; 0 is a well calibrated base.
    """

    def __init__(
        self,
        house: House,
        start: tuple[float, float, float],
        *,
        wheel_error: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.house = house
        self._model = mujoco.MjModel.from_xml_string(_scene_xml(house))
        self._data = mujoco.MjData(self._model)
        model = self._model
        self._wheels = [int(model.jnt_qposadr[model.joint(name).id]) for name in ('left', 'right')]
        self._wheel_speeds = [
            int(model.jnt_dofadr[model.joint(name).id]) for name in ('left', 'right')
        ]
        errors = np.random.default_rng([4, seed]).normal(0.0, wheel_error, 2)
        self._believed_radii = WHEEL_RADIUS * (1.0 + errors)
        self.reset(*start)

    @property
    def time(self) -> float:
        """Give the simulated time since the start in seconds."""
        return float(self._data.time)

    @property
    def pose(self) -> tuple[float, float, float]:
        """Give the true x, y in metres and yaw in radians."""
        x, y, _, w, i, j, k = self._data.qpos[:7].tolist()
        return x, y, math.atan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k))

    @property
    def odometry(self) -> WheelOdometry:
        """Give what the wheels' encoders tell; it starts at 0, 0, 0."""
        left, right = self._rolling()
        return WheelOdometry(
            self.time,
            self._odom_x,
            self._odom_y,
            math.remainder(self._odom_yaw, math.tau),
            (left + right) / 2,
            (right - left) / WHEEL_SEPARATION,
        )

    @property
    def in_contact(self) -> bool:
        """Tell whether the body touches a wall or a piece of furniture."""
        body = self._model.geom('body').id
        return any(body in (contact.geom1, contact.geom2) for contact in self._data.contact)

    def reset(self, x: float, y: float, yaw: float) -> None:
        """Put the robot somewhere, at rest; time goes on, odometry starts again at zero."""
        time = self._data.time
        mujoco.mj_resetData(self._model, self._data)
        self._data.time = time
        self._data.qpos[:7] = (x, y, WHEEL_RADIUS, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        mujoco.mj_forward(self._model, self._data)
        self._speed = self._turn_rate = 0.0
        self._target = (0.0, 0.0)
        self._command_time = -math.inf
        self._odom_x = self._odom_y = self._odom_yaw = 0.0
        self._angles = self._data.qpos[self._wheels].copy()

    def set_velocity(self, speed: float, turn_rate: float) -> None:
        """
        Command the base: m/s forward, rad/s to the left.

        It holds for COMMAND_TIMEOUT of simulated time. Values beyond the base's limits are cut;
        ValueError for numbers that are not finite.
        """
        if not (math.isfinite(speed) and math.isfinite(turn_rate)):
            raise ValueError(f'a velocity has to be finite, not ({speed}, {turn_rate})')
        self._target = (
            min(max(speed, -MAX_SPEED), MAX_SPEED),
            min(max(turn_rate, -MAX_TURN_RATE), MAX_TURN_RATE),
        )
        self._command_time = self.time

    def step(self) -> None:
        """Simulate one TIMESTEP."""
        speed, turn_rate = self._target
        if self.time - self._command_time > COMMAND_TIMEOUT:
            speed = turn_rate = 0.0
        self._speed = _towards(self._speed, speed, MAX_ACCELERATION * TIMESTEP)
        self._turn_rate = _towards(self._turn_rate, turn_rate, MAX_TURN_ACCELERATION * TIMESTEP)
        half = self._turn_rate * WHEEL_SEPARATION / 2
        self._data.ctrl[:] = (
            (self._speed - half) / WHEEL_RADIUS,
            (self._speed + half) / WHEEL_RADIUS,
        )
        mujoco.mj_step(self._model, self._data)
        self._reckon()

    def advance(self, duration: float) -> None:
        """Simulate `duration` seconds, rounded to whole steps."""
        for _ in range(round(duration / TIMESTEP)):
            self.step()

    def _rolling(self) -> tuple[float, float]:
        """Give the speeds of the left and right wheel's rims as the encoders see them, m/s."""
        left, right = (self._data.qvel[self._wheel_speeds] * self._believed_radii).tolist()
        return left, right

    def _reckon(self) -> None:
        """Integrate the wheels' turning into the odometry's pose."""
        angles = self._data.qpos[self._wheels]
        left, right = ((angles - self._angles) * self._believed_radii).tolist()
        self._angles = angles.copy()
        distance, turn = (left + right) / 2, (right - left) / WHEEL_SEPARATION
        middle = self._odom_yaw + turn / 2
        self._odom_x += distance * math.cos(middle)
        self._odom_y += distance * math.sin(middle)
        self._odom_yaw += turn


def _towards(value: float, target: float, most: float) -> float:
    """Move a value towards a target by at most `most`."""
    return value + min(max(target - value, -most), most)


def _scene_xml(house: House) -> str:
    """Write the MuJoCo model of a house's obstacles and the robot."""
    heights = [WALL_HEIGHT] * (len(house.obstacles()) - len(house.furniture))
    heights += [piece.height for piece in house.furniture]
    geoms = []
    for (x, y, yaw, half_x, half_y, radius), height in zip(house.obstacles().tolist(), heights):
        place = f'pos="{x} {y} {height / 2}" euler="0 0 {yaw}"'
        if radius > 0.0:
            geoms.append(f'<geom type="cylinder" size="{radius} {height / 2}" {place}/>')
        else:
            geoms.append(f'<geom type="box" size="{half_x} {half_y} {height / 2}" {place}/>')
    wheels = ''.join(
        f"""<body pos="0 {side * WHEEL_SEPARATION / 2} 0">
             <joint name="{name}" type="hinge" axis="0 1 0" armature="0.005" damping="0.01"/>
             <geom type="ellipsoid" size="{WHEEL_RADIUS} 0.02 {WHEEL_RADIUS}" mass="{_WHEEL_MASS}"
               friction="1.0 0.005 0.0001" priority="1"/>
           </body>"""
        for name, side in (('left', 1), ('right', -1))
    )
    # Without priority the floor's friction, the larger of the two, would brake the casters.
    casters = ''.join(
        f"""<geom type="sphere" size="{_CASTER_RADIUS}" mass="0.1"
             pos="{side * _CASTER_OFFSET} 0 {_CASTER_RADIUS - WHEEL_RADIUS + 0.001}"
             friction="0.005 0 0" priority="1"/>"""
        for side in (1, -1)
    )
    return f"""<mujoco>
      <compiler angle="radian"/>
      <option timestep="{TIMESTEP}" integrator="implicitfast" cone="elliptic"/>
      <default><geom friction="0.6 0.005 0.0001"/></default>
      <worldbody>
        <geom type="plane" size="50 50 1"/>
        {''.join(geoms)}
        <body name="base" pos="0 0 {WHEEL_RADIUS}">
          <freejoint/>
          <geom name="body" type="cylinder" size="{ROBOT_RADIUS} 0.09" pos="0 0 0.06"
            mass="{_BODY_MASS}" friction="0.3 0 0"/>
          {casters}
          {wheels}
        </body>
      </worldbody>
      <actuator>
        <velocity joint="left" kv="2" forcerange="-{_MOTOR_TORQUE} {_MOTOR_TORQUE}"/>
        <velocity joint="right" kv="2" forcerange="-{_MOTOR_TORQUE} {_MOTOR_TORQUE}"/>
      </actuator>
    </mujoco>"""
