"""The segmenter on drives that are made up: steps, arcs, noise, rates, what no step does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.training.data import segmenter
from janusvln_ros.training.data.segmenter import segment
from janusvln_ros.training.data.track import Kind, Track
import numpy as np
import pytest

FORWARD, LEFT, RIGHT = Action.MOVE_FORWARD, Action.TURN_LEFT, Action.TURN_RIGHT
Leg = tuple[float, float, float, float]  # s, m/s ahead, m/s to the left, rad/s


def drive(
    legs: Sequence[Leg], rate: float = 50.0, noise: float = 0.0, seed: int = 0, yaw: float = 0.4
) -> Iterator[tuple[int, float, float, float]]:
    """Give time (ns) and pose, `rate` times a second; noise in m, and a third of it in rad."""
    rng = np.random.default_rng(seed)
    x = y = now = 0.0
    fine, shown = 0.002, -math.inf
    for seconds, ahead, left, turn in legs:
        for _ in range(round(seconds / fine)):
            if now >= shown + 1.0 / rate - 1e-9:
                shown = now
                wrong = rng.normal(0.0, noise, 3) if noise else np.zeros(3)
                yield (
                    round(now * 1e9),
                    x + wrong[0],
                    y + wrong[1],
                    math.remainder(yaw + wrong[2] / 3, math.tau),
                )
            x += fine * (ahead * math.cos(yaw) - left * math.sin(yaw))
            y += fine * (ahead * math.sin(yaw) + left * math.cos(yaw))
            yaw += fine * turn
            now += fine
    yield round(now * 1e9) + 1, x, y, math.remainder(yaw, math.tau)


def track(poses: Iterator[tuple[int, float, float, float]]) -> Track:
    found = Track()
    for pose in poses:
        found.add(*pose)
    return found


def legs_of(actions: Sequence[int], pause: float, wrong: float = 0.0, seed: int = 0) -> list[Leg]:
    """Do actions one by one at 0.4 m/s and 0.8 rad/s, each `wrong` (share) too far or short."""
    rng = np.random.default_rng(seed)
    legs: list[Leg] = [(1.0, 0.0, 0.0, 0.0)]
    for action in actions:
        much = 1.0 + wrong * rng.uniform(-1.0, 1.0)
        if action == FORWARD:
            legs.append((much * FORWARD_STEP / 0.4, 0.4, 0.0, 0.0))
        else:
            way = 0.8 if action == LEFT else -0.8
            legs.append((much * TURN_STEP / 0.8, 0.0, 0.0, way))
        legs.append((pause, 0.0, 0.0, 0.0))
    return [*legs, (1.0, 0.0, 0.0, 0.0)]


actions_of = st.lists(st.sampled_from([FORWARD, LEFT, RIGHT]), min_size=1, max_size=25)


@settings(max_examples=25, deadline=None)
@given(actions_of, st.sampled_from([5, 10, 30, 100]), st.integers(0, 99))
def test_steps_with_pauses_are_found_as_they_were(actions, rate, seed):
    found = segment(track(drive(legs_of(actions, 0.5, wrong=0.08, seed=seed), rate, 0.001, seed)))
    assert found.actions == [*actions, Action.STOP]
    assert not found.cuts


@settings(max_examples=15, deadline=None)
@given(actions_of, st.sampled_from([20, 50, 100]))
def test_steps_without_pauses_are_found_where_they_do_not_undo_each_other(actions, rate):
    kept: list[int] = []
    for action in actions:
        if not (kept and {kept[-1], action} == {LEFT, RIGHT}):
            kept.append(action)
    found = segment(track(drive(legs_of(kept, 0.0), rate)))
    assert found.actions == [*kept, Action.STOP]


legs = st.tuples(
    st.floats(0.3, 3.0), st.sampled_from([0.0, 0.2, 0.4, 0.6]), st.just(0.0), st.floats(-1.0, 1.0)
)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.lists(legs, min_size=1, max_size=8),
    st.sampled_from([5, 10, 30, 100]),
    st.sampled_from([0.0, 0.003]),
)
def test_smooth_driving_ends_near_where_the_robot_did(made, rate, noise):
    poses = list(drive([*made, (1.0, 0.0, 0.0, 0.0)], rate, noise))
    found = segment(track(iter(poses)))
    x, y, yaw = poses[0][1:]
    for action in found.actions:
        x += FORWARD_STEP * math.cos(yaw) * (action == FORWARD)
        y += FORWARD_STEP * math.sin(yaw) * (action == FORWARD)
        yaw += TURN_STEP * ((action == LEFT) - (action == RIGHT))
    assert math.dist((x, y), poses[-1][1:3]) < 0.2 + 2 * noise
    assert abs(math.remainder(yaw - poses[-1][3], math.tau)) < math.radians(10.0)
    assert found.drift.end == pytest.approx(
        (
            math.dist((x, y), found.steps[-1].pose[:2]),
            abs(math.remainder(yaw - found.steps[-1].pose[2], math.tau)),
        ),
        abs=1e-6,
    )


@settings(max_examples=10, deadline=None)
@given(st.lists(legs, min_size=1, max_size=5), st.sampled_from([10, 50]))
def test_steps_follow_each_other_in_time_and_begin_where_the_track_was(made, rate):
    found = track(drive([*made, (0.5, 0.0, 0.0, 0.0)], rate))
    steps = segment(found).steps
    assert steps[-1].action == Action.STOP
    assert all(step.action != Action.STOP for step in steps[:-1])
    for one, other in zip(steps, steps[1:]):
        assert one.start <= one.leave < other.start <= other.leave
    for step in steps:
        assert math.dist(found.at(step.start)[:2], step.pose[:2]) < 0.03
    assert steps[-1].leave == found.end[-1]


def test_the_same_drive_gives_the_same_steps_at_any_rate_and_place():
    made = [(1.0, 0.0, 0.0, 0.0), (4.0, 0.4, 0.0, 0.35), (3.0, 0.4, 0.0, -0.5), (1.0, 0, 0, 0)]
    one = segment(track(drive(made, 50.0)))
    for rate in (10.0, 100.0):
        other = segment(track(drive(made, rate, yaw=2.9)))
        assert len(other.steps) == pytest.approx(len(one.steps), abs=1)
        assert other.drift.end[0] < 0.1


def test_standing_still_is_merged_however_long():
    long = track(drive([(600.0, 0.0, 0.0, 0.0), (0.625, 0.4, 0.0, 0.0), (900.0, 0.0, 0.0, 0.0)]))
    found = segment(long)
    assert found.actions == [FORWARD, Action.STOP]
    assert found.steps[0].start == 0
    assert found.steps[0].leave == pytest.approx(600e9, abs=1e8)
    assert len(long) < 60


def test_noise_of_a_standing_robot_is_no_way():
    found = segment(track(drive([(30.0, 0.0, 0.0, 0.0)], 30.0, noise=0.004)))
    assert found.actions == [Action.STOP]


def test_reversing_is_marked_and_cut_out():
    still = (0.5, 0.0, 0.0, 0.0)
    found = segment(
        track(
            drive(
                [still, (2.5, 0.4, 0, 0), still, (2.0, -0.3, 0, 0), still, (2.5, 0.4, 0, 0), still]
            )
        )
    )
    assert [cut.kind for cut in found.cuts] == [Kind.REVERSING]
    assert found.cuts[0].moved == pytest.approx(0.6, abs=0.06)
    assert found.cuts[0].start == pytest.approx(3.5e9, abs=0.2e9)
    assert found.cuts[0].end == pytest.approx(5.5e9, abs=0.2e9)
    assert found.actions == [FORWARD] * 8 + [Action.STOP]
    assert found.drift.end[0] < 0.06  # counted from where it stood after the cut


def test_a_correction_of_some_centimetres_is_no_reversing():
    found = segment(
        track(drive([(1, 0, 0, 0), (0.7, 0.4, 0, 0), (0.1, -0.3, 0, 0), (1, 0, 0, 0)]))
    )
    assert not found.cuts
    assert found.actions == [FORWARD, Action.STOP]


def test_strafing_is_marked_and_cut_out_but_turning_beside_the_centre_is_not():
    found = segment(track(drive([(2.5, 0.4, 0, 0), (2.0, 0.0, 0.3, 0), (2.5, 0.4, 0, 0)])))
    assert {cut.kind for cut in found.cuts} == {Kind.STRAFING}
    assert sum(cut.moved for cut in found.cuts) == pytest.approx(0.6, abs=0.1)
    assert found.actions == [FORWARD] * 8 + [Action.STOP]
    # Odometry of a point 0.25 m before the point that the base turns about.
    turning = segment(
        track(drive([(0.5, 0, 0, 0), (1.5 * math.pi / 1.8, 0.0, 0.15, 0.6), (0.5, 0, 0, 0)]))
    )
    assert not turning.cuts
    assert turning.actions.count(LEFT) == pytest.approx(6, abs=1)


def test_a_jump_and_a_silence_of_odometry_are_marked():
    poses = list(drive([(2.5, 0.4, 0, 0), (2.5, 0.4, 0, 0)], yaw=0.0))
    jumped = [(t, x + (3.0 if t > 2.5e9 else 0.0), y, yaw) for t, x, y, yaw in poses]
    found = segment(track(iter(jumped)))
    assert [cut.kind for cut in found.cuts] == [Kind.JUMP]
    assert found.actions == [FORWARD] * 8 + [Action.STOP]
    silent = [pose for pose in poses if not 1.25e9 < pose[0] < 3.75e9]
    found = segment(track(iter(silent)))
    assert [cut.kind for cut in found.cuts] == [Kind.SILENCE]
    assert found.cuts[0].moved == pytest.approx(1.0, abs=0.02)
    assert found.actions == [FORWARD] * 4 + [Action.STOP]


def test_poses_that_are_none_or_come_too_late_are_refused():
    found = Track()
    assert found.add(10, 0.0, 0.0, 0.0)
    assert not found.add(10, 1.0, 0.0, 0.0)
    assert not found.add(20, math.nan, 0.0, 0.0)
    assert found.add(20, 1.0, 0.0, 3.5 * math.pi)
    assert found.yaw[-1] == pytest.approx(-0.5 * math.pi)
    assert found.at(15) == pytest.approx((0.5, 0.0, -0.25 * math.pi))
    with pytest.raises(ValueError, match='without a pose'):
        segment(Track())


def test_a_drive_longer_than_what_is_searched_at_once_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(segmenter, '_ROLL', 120)
    long = track(
        drive([(20.0, 0.4, 0.0, 0.3), (10.0, 0.4, 0.0, -0.2), (1.0, 0.0, 0.0, 0.0)], 20.0)
    )
    found = segment(long)
    assert found.drift.end[0] < 0.15
    assert len(found.steps) == pytest.approx(12.0 / FORWARD_STEP + 8.0 / TURN_STEP, rel=0.1)


@pytest.mark.parametrize('most', [25, 46])
def test_a_long_drive_is_divided_where_the_robot_stands(monkeypatch, most):
    monkeypatch.setattr(segmenter, '_ROLL', most)
    actions = [FORWARD, FORWARD, LEFT, RIGHT, FORWARD, LEFT] * 4
    found = segment(track(drive(legs_of(actions, 0.5, wrong=0.1, seed=3), 20.0)))
    assert found.actions == [*actions, Action.STOP]
