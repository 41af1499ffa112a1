"""A person with a joystick: smooth arcs along a route, not the policy's steps."""

from __future__ import annotations

from collections.abc import Sequence
import math

from janusvln_ros.episodes.driven import DrivenWorld, PERIOD
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.free_space import FreeSpace
import numpy as np

_SPEED = 0.5  # m/s, at most
_TURN_RATE = 1.0  # rad/s
_ACCELERATION = 0.8  # m/s^2
_TURN_ACCELERATION = 2.5  # rad/s^2
_LOOK = 0.7  # m ahead that a person looks
_WAVER = 0.12  # rad/s: how much the hand wavers
_PAUSES = 0.03  # probability in a second that the person stops to think
_ARRIVED = 0.3  # m before a place where it counts as reached, and the hand lets go at the last
_PATIENCE = 240.0  # s


def drive(
    world: DrivenWorld, space: FreeSpace, route: Sequence[np.ndarray], rng: np.random.Generator
) -> bool:
    """
    Steer along a route, as of Expert, from where the robot is, until it stands at the goal.

    Return whether it arrived: false when it got caught, or took longer than four minutes.
    """
    expert = Expert(space, route, stop_distance=_ARRIVED)
    guides = [space.field(place, comfortable=True) for place in route]
    speed = turn_rate = waver = pause = 0.0
    pace = _SPEED * rng.uniform(0.6, 1.0)
    stuck = 0.0
    for _ in range(round(_PATIENCE / PERIOD)):
        x, y, yaw = world.pose
        expert.observe(x, y)
        last = expert.reached == len(expert.fields) - 1
        if last and expert.fields[-1].distance(x, y) < _ARRIVED:
            break
        way = guides[expert.reached].trace(x, y, _LOOK)
        error = math.remainder(math.atan2(*(way[-1] - (x, y))[::-1]) - yaw, math.tau)
        if pause <= 0.0 and rng.random() < _PAUSES * PERIOD:
            pause = rng.uniform(0.5, 2.0)
        pause -= PERIOD
        waver += -waver * PERIOD + _WAVER * math.sqrt(2 * PERIOD) * rng.normal()
        wanted = 0.0 if pause > 0.0 else pace * max(0.0, math.cos(error)) ** 2
        turning = 0.0 if pause > 0.0 else min(max(2.0 * error + waver, -_TURN_RATE), _TURN_RATE)
        speed = _towards(speed, wanted, _ACCELERATION * PERIOD)
        turn_rate = _towards(turn_rate, turning, _TURN_ACCELERATION * PERIOD)
        world.steer(speed, turn_rate)
        moved = math.hypot(world.pose[0] - x, world.pose[1] - y)
        stuck = stuck + PERIOD if speed > 0.1 and moved < 0.3 * speed * PERIOD else 0.0
        if stuck > 2.0:
            break
    arrived = last and stuck <= 2.0
    while speed or turn_rate:
        speed = _towards(speed, 0.0, _ACCELERATION * PERIOD)
        turn_rate = _towards(turn_rate, 0.0, _TURN_ACCELERATION * PERIOD)
        world.steer(speed, turn_rate)
    for _ in range(round(0.5 / PERIOD)):
        world.steer(0.0, 0.0)
    return arrived and expert.fields[-1].distance(*world.pose[:2]) < _ARRIVED


def _towards(value: float, target: float, most: float) -> float:
    return value + min(max(target - value, -most), most)
