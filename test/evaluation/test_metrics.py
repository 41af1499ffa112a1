"""Metrics against values computed by hand and against the definitions by brute force."""

from dataclasses import asdict
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.evaluation.metrics import (
    bootstrap_interval,
    dtw,
    ndtw,
    path_length,
    score_episode,
    spl,
    summarise,
    summarise_by,
)
import numpy as np
import pytest

LINE = [[0, 0], [1, 0], [2, 0], [3, 0]]


def score(positions, distances, reference=LINE, **changes):
    options = {
        'stopped': True,
        'shortest': 3.0,
        'radius': 1.0,
        'steps': len(positions),
        'collisions': 0,
    }
    return score_episode(
        np.array(positions, float), distances, np.array(reference, float), **(options | changes)
    )


def test_case_1_perfect_path():
    got = score(LINE, [3, 2, 1, 0])
    assert asdict(got) == {
        'ne': 0,
        'os': 1,
        'sr': 1,
        'spl': 1,
        'ndtw': 1,
        'sdtw': 1,
        'steps': 4,
        'collisions': 0,
        'path_length': 3,
    }


def test_case_2_right_place_without_stop():
    got = score(LINE, [3, 2, 1, 0], stopped=False)
    assert (got.sr, got.os, got.spl, got.ndtw, got.sdtw) == (0, 1, 0, 1, 0)


def test_case_3_stop_on_the_boundary_fails():
    """The comparison is strict, as in Habitat: 1.0 m is not within 1.0 m."""
    got = score(LINE[:3], [3, 2, 1.0])
    assert (got.sr, got.os, got.ne) == (0, 0, 1.0)


def test_case_4_stop_just_inside_the_boundary():
    got = score(LINE[:3], [3, 2, math.nextafter(1.0, 0.0)])
    assert (got.sr, got.os) == (1, 1)
    # Travelled 2 m of 3 m: the longer of both is the divisor, so SPL stays 1.
    assert got.spl == 1
    # The reference's last point is 1 m from the path's last: DTW = 1, |R| = 4.
    assert got.ndtw == pytest.approx(math.exp(-1 / 4))


def test_case_5_passed_the_goal_and_stopped_too_far():
    got = score([*LINE, [4, 0], [5, 0]], [3, 2, 1, 0, 1, 2])
    assert (got.sr, got.os, got.ne, got.path_length) == (0, 1, 2, 5)
    assert got.ndtw == pytest.approx(math.exp(-3 / 4))


def test_case_6_detour_halves_spl():
    # Out and back along a side way: 6 m for a goal 3 m away.
    path = [[0, 0], [0, 1.5], [0, 0], [3, 0]]
    got = score(path, [3, 4.5, 3, 0])
    assert (got.sr, got.path_length, got.spl) == (1, 6, 0.5)


def test_case_7_zero_length_path_far_from_the_goal():
    got = score([[0, 0]], [3], steps=1)
    assert (got.ne, got.sr, got.os, got.spl, got.path_length) == (3, 0, 0, 0, 0)
    # One point matched with all four of the reference: 0 + 1 + 2 + 3.
    assert got.ndtw == pytest.approx(math.exp(-6 / 4))


def test_case_8_zero_length_path_on_the_goal():
    got = score([[0, 0]], [0], reference=[[0, 0]], shortest=0.0, steps=1)
    assert (got.sr, got.spl, got.ndtw, got.sdtw) == (1, 1, 1, 1)


def test_case_9_turns_and_blocked_steps_do_not_change_ndtw():
    repeated = [LINE[0], LINE[0], LINE[0], LINE[1], LINE[1], LINE[2], LINE[3], LINE[3]]
    got = score(repeated, [3, 3, 3, 2, 2, 1, 0, 0], collisions=2)
    assert (got.ndtw, got.steps, got.collisions) == (1, 8, 2)


def test_case_10_reference_repeats_count_in_its_length():
    # DTW = 1 (path stops 1 m short, that point matched twice = 2), |R| = 5.
    got = score(LINE[:3], [3, 2, 0.9], reference=[*LINE, LINE[-1]])
    assert got.ndtw == pytest.approx(math.exp(-2 / 5))


def test_case_11_parallel_path():
    # Every point 0.5 m beside its partner: DTW = 4 * 0.5, nDTW = exp(-2 / (4 * 3)).
    beside = np.array(LINE, float) + [0, 0.5]
    assert dtw(beside, LINE) == pytest.approx(2.0)
    assert ndtw(beside, LINE, 3.0) == pytest.approx(math.exp(-2 / 12))


def test_case_12_ties_in_the_alignment():
    # The middle point of the reference is equally near to both points of the path.
    assert dtw([[0, 0], [2, 0]], [[0, 0], [1, 0], [2, 0]]) == pytest.approx(1.0)


def test_case_13_a_demanded_visit_was_skipped():
    got = score(LINE, [3, 2, 1, 0], visited_at=None)
    assert (got.sr, got.os, got.spl, got.sdtw, got.ne) == (0, 0, 0, 0, 0)


def test_case_13b_there_and_back():
    """Standing on the goal counts only after the visit."""
    path = [[0, 0], [1, 0], [2, 0]]
    assert score(path, [0, 1, 2], visited_at=2).os == 0
    there_and_back = [*path, [1, 0], [0, 0]]
    got = score(there_and_back, [0, 1, 2, 1, 0], visited_at=2, shortest=4.0)
    assert (got.os, got.sr, got.spl) == (1, 1, 1)


def test_case_14_published_example_of_spl():
    # Success on 2 of 3 with l/p of 10/10, 10/20 and a failure: (1 + 0.5 + 0) / 3.
    assert np.mean([spl(True, 10, 10), spl(True, 10, 20), spl(False, 10, 10)]) == 0.5


def test_three_dimensions_and_length():
    assert path_length([[0, 0, 0], [0, 3, 4], [0, 3, 4]]) == 5


points = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=5).map(
    np.array
)


@settings(max_examples=60, deadline=None)
@given(points, points)
def test_dtw_is_the_least_over_all_alignments(path, reference):
    cost = np.linalg.norm(path[:, None] - reference[None], axis=2)

    def least(i, j):
        before = [
            least(a, b) for a, b in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if a >= 0 and b >= 0
        ]
        return cost[i, j] + (min(before) if before else 0.0)

    assert dtw(path, reference) == pytest.approx(least(len(path) - 1, len(reference) - 1))
    assert dtw(path, reference) == pytest.approx(dtw(reference, path))
    assert 0.0 < ndtw(path, reference, 1.0) <= 1.0


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.floats(0, 50), st.floats(0, 50))
def test_spl_stays_between_zero_and_success(success, shortest, travelled):
    assert 0.0 <= spl(success, shortest, travelled) <= float(success)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match='2 distances for 4 positions'):
        score(LINE, [3, 2])
    with pytest.raises(ValueError, match=r'positions of shape \(0,\)'):
        path_length([])
    with pytest.raises(ValueError, match='no values'):
        bootstrap_interval([])


def test_bootstrap_interval_of_a_rate():
    values = [1.0] * 60 + [0.0] * 40
    low, high = bootstrap_interval(values)
    # Normal approximation: 0.6 +- 1.96 * sqrt(0.24 / 100) = 0.504 .. 0.696.
    assert low == pytest.approx(0.504, abs=0.015)
    assert high == pytest.approx(0.696, abs=0.015)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval([1.0, 1.0]) == bootstrap_interval([1.0]) == (1.0, 1.0)


def test_summary_by_category():
    records = [
        asdict(score(LINE, [3, 2, 1, 0])) | {'category': 'reach'},
        asdict(score(LINE, [3, 2, 1, 0], stopped=False)) | {'category': 'depth'},
    ]
    assert summarise(records)['sr']['mean'] == 0.5
    groups = summarise_by(records, 'category')
    assert list(groups) == ['depth', 'reach']
    assert groups['reach']['sr'] == {'mean': 1.0, 'low': 1.0, 'high': 1.0}
    assert summarise([]) == {'episodes': {'mean': 0}}
