"""Speed profiles: limits hold for every sequence of targets and time steps."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.motion.limits import advance, approach_speed, AxisLimits, AxisState
import pytest

LIMITS = st.builds(
    AxisLimits,
    speed=st.floats(0.05, 3.0),
    acceleration=st.floats(0.05, 10.0),
    jerk=st.floats(0.1, 100.0),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(LIMITS, st.lists(st.tuples(st.floats(-5.0, 5.0), st.floats(0.001, 0.2)), max_size=80))
def test_no_limit_is_ever_passed(limits, commands):
    state = AxisState()
    for target, dt in commands:
        new = advance(state, target, limits, dt)
        assert abs(new.speed) <= limits.speed + 1e-9
        assert abs(new.acceleration) <= limits.acceleration + 1e-9
        assert abs(new.acceleration - state.acceleration) <= limits.jerk * dt + 1e-9
        assert new.speed == pytest.approx(state.speed + new.acceleration * dt, abs=1e-12)
        state = new


@settings(max_examples=100, deadline=None)
@given(LIMITS, st.floats(-1.0, 1.0), st.floats(0.005, 0.05))
def test_a_standing_target_is_reached_without_overshoot(limits, part, dt):
    target, state = part * limits.speed, AxisState()
    for _ in range(
        math.ceil(
            (
                limits.speed / limits.acceleration
                + 3.0 * math.sqrt(limits.speed / limits.jerk)
                + limits.acceleration / limits.jerk
                + 2.0
            )
            / dt
        )
    ):
        state = advance(state, target, limits, dt)
        assert abs(state.speed) <= abs(target) + 1e-9
    assert state.speed == pytest.approx(target, abs=0.01 * limits.speed)


@settings(max_examples=100, deadline=None)
@given(LIMITS, st.floats(0.001, 5.0))
def test_from_the_approach_speed_one_can_stop_in_time(limits, distance):
    speed, dt = approach_speed(distance, limits, gain=1e9), 0.001
    state, travelled = AxisState(speed), 0.0
    while state.speed > 1e-6:
        state = advance(state, 0.0, limits, dt)
        travelled += state.speed * dt
    assert travelled <= distance + speed * dt + 1e-4


def test_a_lowered_speed_limit_is_reached_within_the_other_limits():
    slow, state = AxisLimits(0.1, 0.5, 2.5), AxisState(0.3)
    for _ in range(100):
        new = advance(state, 0.3, slow, 0.02)
        assert abs(new.acceleration) <= 0.5 + 1e-9
        assert abs(new.acceleration - state.acceleration) <= 2.5 * 0.02 + 1e-9
        state = new
    assert state.speed == pytest.approx(0.1, abs=1e-3)


def test_time_that_does_not_go_on_changes_nothing():
    limits = AxisLimits(1.0, 1.0, 1.0)
    assert advance(AxisState(0.2, 0.1), 1.0, limits, 0.0) == AxisState(0.2, 0.1)


@pytest.mark.parametrize(
    'values',
    [(0.0, 1.0, 1.0, 0.0), (1.0, -1.0, 1.0, 0.0), (1.0, 1.0, math.nan, 0.0), (1.0, 1.0, 1.0, 2.0)],
)
def test_senseless_limits_are_refused(values):
    with pytest.raises(ValueError):
        AxisLimits(*values)
