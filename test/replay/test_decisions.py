"""Decision files keep every bit, and comparison finds every difference."""

from dataclasses import replace
import json

from hypothesis import given, strategies
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.replay.compare import compare
from janusvln_ros.replay.decisions import (
    DecisionFileError,
    DecisionRecord,
    format_stamp,
    parse_stamp,
    read_decisions,
)
import numpy as np
import pytest

FLOAT32 = strategies.floats(0, 1, width=32)
DECISIONS = strategies.builds(
    DecisionRecord,
    episode=strategies.integers(0, 9),
    instruction=strategies.text(),
    step=strategies.integers(0, 500),
    frame=strategies.integers(0, 10**6),
    stamp=strategies.none() | strategies.integers(-(10**19), 10**19),
    action=strategies.sampled_from(ACTION_NAMES),
    probabilities=strategies.tuples(FLOAT32, FLOAT32, FLOAT32, FLOAT32),
)


@given(DECISIONS)
def test_a_line_gives_back_the_same_decision_and_the_same_line(decision):
    line = decision.to_line()
    assert '\n' not in line and line.isascii()
    assert DecisionRecord.from_line(line) == decision
    assert DecisionRecord.from_line(line).to_line() == line


def test_a_line_is_plain_json_with_the_shortest_exact_float32():
    p = tuple(float(np.float32(x)) for x in (0.1, 1 / 3, 1e-12, 0.5666667))
    line = DecisionRecord(0, 'go to the "red" chair', 3, 41, 1_700_000_000_000_000_005, 'STOP', p)
    values = json.loads(line.to_line())
    assert values['stamp'] == '1700000000.000000005'
    assert values['probabilities'] == {
        'STOP': 0.1,
        'MOVE_FORWARD': 0.33333334,
        'TURN_LEFT': 1e-12,
        'TURN_RIGHT': 0.5666667,
    }
    assert list(values) == [
        'episode',
        'instruction',
        'step',
        'frame',
        'stamp',
        'action',
        'probabilities',
    ]


@given(strategies.integers(-(2**63), 2**63))
def test_stamps_are_exact(stamp):
    assert parse_stamp(format_stamp(stamp)) == stamp


def test_a_bad_file_is_named_with_its_line(tmp_path):
    file = tmp_path / 'a.jsonl'
    good = series(1)[0].to_line()
    for bad in ('{"episode": 0}', 'no json', '3', good.replace('MOVE_FORWARD"', 'FLY"', 1)):
        file.write_text(f'{good}\n{bad}\n')
        with pytest.raises(DecisionFileError, match=r'a.jsonl, line 2 is no decision'):
            read_decisions(file)
    with pytest.raises(DecisionFileError, match='cannot be read'):
        read_decisions(tmp_path / 'nowhere.jsonl')


def series(count: int) -> list[DecisionRecord]:
    return [
        DecisionRecord(
            i // 300, 'go', i % 300, 3 * i, 10**9 * i, 'MOVE_FORWARD', (0.1, 0.6, 0.2, 0.1)
        )
        for i in range(count)
    ]


def test_a_single_flipped_action_in_a_thousand_is_found():
    ours = series(1000)
    theirs = list(ours)
    theirs[617] = replace(theirs[617], action='TURN_LEFT', probabilities=(0.1, 0.3, 0.5, 0.1))
    result = compare(ours, theirs)
    assert (result.steps, result.agreeing, result.percentage) == (1000, 999, 99.9)
    assert [(d.episode, d.step) for d in result.differences] == [(2, 17)]
    assert result.largest_gap == pytest.approx(0.3)
    assert 'first divergence: episode 2, step 17' in result.summary()
    head, row = result.table().splitlines()
    assert row.split() == [
        '2',
        '17',
        '617.000000000',
        'MOVE_FORWARD',
        '0.6000',
        'TURN_LEFT',
        '0.5000',
    ]


def test_equal_series_agree_and_say_so():
    result = compare(series(10), series(10))
    assert result.percentage == 100 and not result.differences
    assert result.summary() == '10 of 10 actions agree (100.00 %), probabilities exactly equal'
    assert compare([], []).percentage == 100


def test_missing_steps_and_other_frames_are_differences_of_their_own():
    ours = series(10)
    shorter = compare(ours, ours[:8])
    assert [(d.step, d.theirs) for d in shorter.differences] == [(8, None), (9, None)]
    assert '(none)' in shorter.table()
    moved = [replace(d, stamp=d.stamp + 1) for d in ours]
    result = compare(ours, moved)
    assert not result.differences and result.other_frames == 10
    assert '10 steps were decided from other frames' in result.summary()
