"""Depth is judged against the simulator's, in metres and up to a factor."""

import math

from janusvln_ros.evaluation import depth
from janusvln_ros.policy.scale import Scale
import numpy as np
import pytest


def test_right_depth_has_no_error():
    truth = np.linspace(0.5, 8, 60).reshape(6, 10)
    judged = depth.judge(truth / 2.5, truth, Scale('height', 2.0, 0.1))
    assert judged.scaled_absolute == pytest.approx(0, abs=1e-9)
    assert judged.true_scale == pytest.approx(2.5)
    assert judged.absolute == pytest.approx(0.2)
    assert judged.scaled_right == 1 and judged.right == 0
    told = depth.tell([judged, judged._replace(scale=Scale(), absolute=math.nan)])
    assert '2 frames' in told and '; 1 with metres' in told
    assert 'off by 20.0 % (median)' in told and 'two deviations in 0.0 %' in told


def test_what_is_far_is_not_judged():
    truth = np.array([[1.0, 2.0], [9.0, 20.0]])
    judged = depth.judge(np.array([[1.0, 2.0], [1.0, 1.0]]), truth, Scale('height', 1.0, 0.1))
    assert judged.absolute == pytest.approx(0) and judged.right == 1


def test_the_scale_by_odometry_is_told_apart():
    truth = np.full((4, 6), 2.0)
    judged = depth.judge(truth, truth, Scale())
    odd = [
        judged,
        judged._replace(by_odometry=Scale()),
        judged._replace(by_odometry=Scale('odometry', 1.1, 0.06)),
    ]
    told = depth.tell(odd)
    assert 'scale by odometry after 2 m: known in 1 of 2 frames, off by 10.0 % (median)' in told
    assert 'two deviations in 100.0 %' in told
    assert 'known in 0 of 1 frames' in depth.tell(odd[:2])
    assert 'odometry' not in depth.tell(odd[:1])


def test_wheels_that_are_off_make_odometry_drift():
    poses = [(1.0, 2.0, 0.0), (1.25, 2.0, 0.0), (1.25, 2.0, 0.26), (1.25, 2.0, 0.0)]
    poses += [(1.25 + 0.25 * step, 2.0, 0.0) for step in range(1, 12)]
    ratios = []
    for seed in range(40):
        odometer = depth.Odometer(poses[0], seed)
        for pose in poses[1:]:
            odometer.drive(pose)
        ratios.append(np.linalg.norm(odometer.place - poses[0][:2]) / 3.0)
        assert odometer.way == pytest.approx(3.0, rel=0.1)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)
    assert 0.005 < np.std(ratios) < 0.025


@pytest.mark.slow
def test_the_command_walks_and_tells(capsys):
    arguments = ['random', '--frames', '2', '--device', 'cpu', '--memory-mode', 'windowed']
    assert depth.main(arguments) == 0
    told = capsys.readouterr().out
    assert '2 frames, pixels up to 5 m' in told and 'relative depth' in told
    assert depth.main([*arguments, '--odometry']) == 0
    assert depth.main([*arguments, '--split', 'mars']) == 2
    assert "no split 'mars'" in capsys.readouterr().err
