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


@pytest.mark.slow
def test_the_command_walks_and_tells(capsys):
    arguments = ['random', '--frames', '2', '--device', 'cpu', '--memory-mode', 'windowed']
    assert depth.main(arguments) == 0
    told = capsys.readouterr().out
    assert '2 frames, pixels up to 5 m' in told and 'relative depth' in told
    assert depth.main([*arguments, '--split', 'mars']) == 2
    assert "no split 'mars'" in capsys.readouterr().err
