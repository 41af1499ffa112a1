"""Which frames a replay decides from."""

import math

from hypothesis import given, strategies
from janusvln_ros.recordings.frames import Frame
from janusvln_ros.recordings.timeline import Motion, RecordedAction, RecordedPath, Timeline
from janusvln_ros.replay.selection import (
    AfterMotions,
    Episodes,
    EveryFrame,
    EveryPeriod,
    RecordedFrames,
)
import pytest

SECOND = 10**9


def frame(stamp: int, logged: int | None = None) -> Frame:
    return Frame(0, stamp, stamp if logged is None else logged, None)


def chosen(selection, stamps) -> list[int]:
    return [s for s in stamps if selection.choose(frame(s))]


def action(stamp: int, step: int, episode: str = 'a') -> RecordedAction:
    return RecordedAction(stamp + 5, stamp, episode, step, 1, (0.0, 1.0, 0.0, 0.0), 0.1)


@given(
    stamps=strategies.lists(strategies.integers(0, 1000), min_size=1, max_size=60, unique=True),
    motions=strategies.lists(
        strategies.tuples(strategies.integers(0, 900), strategies.integers(1, 90)), max_size=10
    ),
)
def test_the_first_frame_after_each_motion_is_taken_and_none_within(stamps, motions):
    stamps.sort()
    spans, end = [], -1
    for start, length in sorted(motions):
        if start > end:  # motions do not overlap
            spans.append(Motion(start, start + length))
            end = start + length
    taken = chosen(AfterMotions(Episodes([], 'go'), spans), stamps)
    at_rest = [s for s in stamps if not any(m.start <= s < m.end for m in spans)]
    expected = []
    for s in at_rest:  # first of those frames between which the same motions have ended
        ended = sum(m.end <= s for m in spans)
        if not expected or ended != sum(m.end <= expected[-1] for m in spans):
            expected.append(s)
    assert taken == expected


def test_a_new_instruction_takes_a_frame_without_a_motion():
    episodes = Episodes([(0, 'one'), (250, 'two')], None)
    selection = AfterMotions(episodes, [Motion(110, 150), Motion(400, 450)])
    picks = {s: selection.choose(frame(s)) for s in range(0, 600, 20)}
    assert [(s, c.episode, c.instruction) for s, found in picks.items() for c in found] == [
        (0, 0, 'one'),
        (160, 0, 'one'),
        (260, 1, 'two'),
        (460, 1, 'two'),
    ]


@given(
    stamps=strategies.lists(strategies.integers(0, 10**6), min_size=1, max_size=80),
    period=strategies.integers(1, 10**5),
)
def test_periods_are_kept_and_a_jump_back_begins_anew(stamps, period):
    taken = chosen(EveryPeriod(Episodes([], 'go'), period), stamps)
    assert taken[0] == stamps[0]
    for one, other in zip(taken, taken[1:]):
        assert other - one >= period or other < one


def test_frames_before_the_first_instruction_belong_to_no_episode():
    episodes = Episodes([(100, 'one'), (200, 'two'), (210, 'three'), (300, 'three')], None)
    selection = EveryFrame(episodes)
    picks = [
        selection.choose(frame(stamp, logged))
        for stamp, logged in ((5, 99), (6, 100), (7, 150), (8, 250), (9, 310))
    ]
    assert picks[0] == ()
    # Stamps are of the camera's clock; the time of recording says what was heard before.
    assert [(c.episode, c.instruction) for (c,) in picks[1:]] == [
        (0, 'one'),
        (0, 'one'),
        (2, 'three'),
        (2, 'three'),
    ]


def test_recorded_frames_are_matched_by_their_stamps():
    line = Timeline(
        sentences={'a': 'one', 'b': 'two'},
        actions=[action(10, 0), action(30, 1), action(50, 0, 'b')],
    )
    selection = RecordedFrames(line, None, 56)
    picks = {s: selection.choose(frame(s)) for s in (0, 10, 20, 50, 60)}
    assert [
        (s, c.episode, c.instruction, c.recorded.step) for s, found in picks.items() for c in found
    ] == [(10, 0, 'one', 0), (50, 1, 'two', 0)]
    assert [a.stamp for a in selection.missing()] == [30]
    assert selection.gaps() == []


def test_two_instructions_may_use_the_same_frame():
    line = Timeline(
        sentences={'a': 'one', 'b': 'two'},
        actions=[action(10, 0), action(10, 0, 'b'), action(20, 1, 'b')],
    )
    selection = RecordedFrames(line, None, 56)
    assert [(c.episode, c.recorded.step) for c in selection.choose(frame(10))] == [(0, 0), (1, 0)]
    assert [(c.episode, c.recorded.step) for c in selection.choose(frame(20))] == [(1, 1)]


def test_stamps_that_come_again_are_told_apart_by_the_time_of_recording():
    """The simulator was started anew; both runs have a frame with stamp 10."""
    late = 500 * SECOND
    second = RecordedAction(late + 7, 10, 'b', 0, 1, (0.0, 1.0, 0.0, 0.0), 0.1)
    line = Timeline(sentences={'a': 'one', 'b': 'two'}, actions=[action(30, 0), second])
    selection = RecordedFrames(line, None, 56)
    assert selection.choose(frame(10, 10)) == []
    assert [c.instruction for c in selection.choose(frame(30, 30))] == ['one']
    assert [c.instruction for c in selection.choose(frame(10, late))] == ['two']
    assert selection.missing() == []


def test_the_sentence_is_that_of_the_id_else_the_last_before_the_action():
    line = Timeline(instructions=[(1, 'old'), (12, 'new'), (99, 'late')], actions=[action(10, 0)])
    assert RecordedFrames(line, None, 56).choose(frame(10))[0].instruction == 'new'
    assert RecordedFrames(line, 'mine', 56).choose(frame(10))[0].instruction == 'mine'
    line.sentences['a'] = 'by id'
    assert RecordedFrames(line, None, 56).choose(frame(10))[0].instruction == 'by id'
    with pytest.raises(ValueError, match='does not say what the instruction'):
        RecordedFrames(Timeline(actions=[action(10, 0)]), None, 56)


@pytest.mark.parametrize(
    'held, resets',
    [
        ({(0, 0), (1, 1), (2, 2), (5, 5)}, set()),
        ({(1, 1), (2, 2), (3, 0), (4, 1), (6, 3)}, {3}),
        ({(6, 4), (7, 4), (8, 4), (20, 4)}, set()),  # full at 4
        ({(8, 4), (9, 1), (13, 4)}, {8}),
        ({(0, 3)}, set()),  # the status still tells of the episode before
    ],
)
def test_a_memory_that_was_emptied_is_noticed(held, resets):
    line = Timeline(
        sentences={'a': 'go'}, memory={'a': held}, actions=[action(10 * i, i) for i in range(14)]
    )
    selection = RecordedFrames(line, None, 4)
    picks = [selection.choose(frame(10 * i)) for i in range(14)]
    assert {i for i, (c,) in enumerate(picks) if c.forget} == resets


def test_motions_are_found_in_odometry():
    """Two steps of different kinds, noise while standing, and one that never ends."""
    path, stamp, x, yaw = RecordedPath(), 0, 0.0, 3.1
    for seconds, speed, rate in (
        (1, 0, 0),
        (1, 0.25, 0),
        (0.5, 0, 0),
        (0.1, 0, 0.5),
        (0.1, 0, 0),
        (0.1, 0, 0.5),
        (1, 0, 0),
        (1, 0.3, 0),
    ):
        for i in range(round(seconds * 50)):
            stamp += SECOND // 50
            x += speed / 50
            yaw += rate / 50
            path.append(stamp, x + 1e-4 * (i % 2), 0.0, math.remainder(yaw, 2 * math.pi))
    spans = [(round(m.start / SECOND, 2), round(m.end / SECOND, 2)) for m in path.motions()]
    # Standing for 0.1 s does not end a motion.
    assert spans == [(1.0, 2.0), (2.5, 2.8)]


def test_poses_that_are_not_finite_are_left_out():
    path = RecordedPath()
    path.append(1, math.nan, 0.0, 0.0)
    assert len(path) == 0 and path.motions() == [] and path.pose_at(5) is None
    path.append(2, 1.0, 2.0, 3.0)
    assert path.pose_at(1) is None and path.pose_at(2) == (1.0, 2.0, 3.0)


def test_a_jump_divides_the_path_and_is_not_driven():
    path = RecordedPath()
    for i in range(20):  # odometry starts anew at the tenth pose
        path.append(i * SECOND // 10, 0.1 * (i % 10) + 3, 0.0, 0.0)
    path.append(-5, 3.9, 0.0, 0.0)  # and here its clock does
    assert path.stretches() == [range(0, 10), range(10, 20), range(20, 21)]
    assert path.length() == pytest.approx(2 * 9 * 0.1)
    assert RecordedPath().length() == 0


def test_a_silence_divides_the_path_however_far_a_robot_might_have_come():
    """A simulator that starts anew for the next episode takes seconds."""
    path = RecordedPath()
    for i in range(20):
        path.append(i * SECOND // 10 + 3 * SECOND * (i >= 10), 0.1 * (i % 10), 0.0, 0.0)
    assert path.stretches() == [range(0, 10), range(10, 20)]
    assert path.length() == pytest.approx(2 * 9 * 0.1)


def test_an_episode_begins_a_stretch():
    path = RecordedPath()
    path.begin_episode()
    for i in range(20):
        path.append(i * SECOND // 10, 0.01 * i + 0.15 * (i >= 10), 0.0, 0.0)
        if i == 9:
            path.begin_episode()
    assert path.stretches() == [range(0, 10), range(10, 20)]
    assert path.length() == pytest.approx(2 * 9 * 0.01)
