"""Drives by depth alone: how they are counted, and the command that drives them."""

from janusvln_ros.episodes.approaches import Target
from janusvln_ros.evaluation import depth_guard
from janusvln_ros.evaluation.depth_guard import Drive, End
import pytest


def test_what_counts_as_right():
    assert Drive(Target.WALL, End.STOOD, 0.4).right
    assert not Drive(Target.WALL, End.TOUCHED, 0.0).right
    assert Drive(Target.FURNITURE, End.STOOD, 1.5).right
    assert Drive(Target.NOTHING, End.THROUGH, 3.0).right
    assert not Drive(Target.NOTHING, End.UNKNOWN, 3.0).right


def test_the_table_counts_each_kind_of_end():
    told = depth_guard.tell(
        [
            Drive(Target.WALL, End.STOOD, 0.3),
            Drive(Target.WALL, End.STOOD, 1.5),
            Drive(Target.WALL, End.TOUCHED, 0.0),
            Drive(Target.NOTHING, End.THROUGH, 3.0),
        ]
    )
    wall, nothing = told.splitlines()[2:]
    assert wall == '| wall | 2 of 3 | 2 | 1 | 0 | 0 | 1 | 0.90 (0.30 to 1.50) |'
    assert nothing == '| nothing | 1 of 1 | 0 | 0 | 0 | 1 | 0 |  |'


@pytest.mark.slow
def test_the_command_drives_and_tells(capsys):
    arguments = ['random', '--drives', '1', '--device', 'cpu', '--memory-mode', 'windowed']
    assert depth_guard.main([*arguments, '--split', 'val_unseen_small']) == 0
    told = capsys.readouterr().out
    assert '| wall | ' in told and '| nothing | ' in told and 'furniture' not in told
    assert depth_guard.main([*arguments, '--split', 'mars']) == 2
    assert "no split 'mars'" in capsys.readouterr().err
