"""
Speed profiles of one axis: as fast as speed, acceleration and jerk limits allow.

Units are those of the axis: metres or radians, per s, s^2, s^3.
"""

from __future__ import annotations

from dataclasses import dataclass
import math


@dataclass(frozen=True)
class AxisLimits:
    """Limits of one axis; minimum is the slowest speed the base can do (legged bases)."""

    speed: float
    acceleration: float
    jerk: float
    minimum: float = 0.0

    def __post_init__(self) -> None:
        for name in ('speed', 'acceleration', 'jerk'):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ValueError(f'{name} must be a number above 0, not {getattr(self, name)}')
        if not 0.0 <= self.minimum <= self.speed:
            raise ValueError(f'minimum speed {self.minimum} must lie in 0..{self.speed}')


@dataclass(frozen=True)
class AxisState:
    """Commanded speed and its rate of change."""

    speed: float = 0.0
    acceleration: float = 0.0


def approach_speed(distance: float, limits: AxisLimits, gain: float) -> float:
    """
    Return the highest speed (>= 0) from which the axis can still stop within a distance (>= 0).

    The braking distance is v / 2 * (v / a + a / j) with jerk j and a braking acceleration a of
    0.8 of the limit: the rest is kept for correcting. Near the goal the speed falls in
    proportion to the distance (gain, 1/s), so that delays of the base do not make it hunt.
    """
    braking = 0.8 * limits.acceleration
    offset = braking * braking / (2.0 * limits.jerk)
    speed = math.sqrt(offset * offset + 2.0 * braking * distance) - offset
    return max(0.0, min(speed, gain * distance, limits.speed))


def coasting(state: AxisState, limits: AxisLimits) -> float:
    """Return the way (>= 0) that is made until an axis that speeds up can begin to slow down."""
    speed, rate = abs(state.speed), abs(state.acceleration)
    if state.speed * state.acceleration <= 0.0:
        return 0.0
    return speed * rate / limits.jerk + rate**3 / (3.0 * limits.jerk * limits.jerk)


def advance(state: AxisState, target: float, limits: AxisLimits, dt: float) -> AxisState:
    """
    Bring the commanded speed closer to a target within dt seconds.

    From |v| + a^2 / (2 j) <= speed limit it keeps that, whatever the sequence of dt: it
    never passes the speed limit, nor those of acceleration and jerk; and a target that stands
    is reached without overshoot. When the speed limit itself was lowered below the speed, it
    comes down within the other two.
    """
    if dt <= 0.0:
        return state
    target = max(-limits.speed, min(limits.speed, target))
    change = target - state.speed
    # the a for which a dt + a^2 / (2 j) = change: after it, the rate can fall to 0 in time
    jerk = limits.jerk
    wanted = math.copysign(jerk * (math.sqrt(dt * dt + 2.0 * abs(change) / jerk) - dt), change)
    wanted = max(-limits.acceleration, min(limits.acceleration, wanted))
    rate = max(state.acceleration - jerk * dt, min(state.acceleration + jerk * dt, wanted))
    return AxisState(state.speed + rate * dt, rate)
