"""Where in a house the pixels of a frame lie."""

import json
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.evaluation.command import main
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.evaluation.places import HousePlaces
from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.pinhole import as_encoder_sees
from janusvln_ros.sim.camera import CameraModel
import numpy as np
import pytest

pytestmark = pytest.mark.slow
SHIPPED = Path(__file__).parents[2] / 'models' / 'janusvln-tiny'


@pytest.fixture(params=[0.0, 0.3], ids=['level', 'tilted'])
def environment(request):
    environment = HouseEnvironment(
        find_split('val_unseen_small'), camera=CameraModel(112, 84, tilt=request.param)
    )
    yield environment
    environment.close()


def test_things_stay_where_they_are_while_the_robot_moves(environment):
    environment.reset(2)
    places, frames = HousePlaces(), []
    places.begin(environment)
    for action in (Action.TURN_LEFT, Action.MOVE_FORWARD, Action.TURN_LEFT, Action.STOP):
        environment.render()
        depth = as_encoder_sees(environment.world.depth(), 112) / 1.25  # heights of the camera
        frames.append(places(FrameGeometry(depth, np.full(depth.shape, 2.0, np.float32))))
        environment.step(action)
    earlier, later = (frame.reshape(-1, 3) for frame in (frames[0], frames[2]))
    assert earlier[:, 2].min() == pytest.approx(-1.25, abs=0.05)  # the floor
    apart = np.abs(earlier[::7, None] - later).max(axis=-1).min(axis=1)
    # a turn and a step later most of it is in view, where it was
    assert np.median(apart) < 0.04
    assert np.median(np.abs(earlier - later).max(axis=1)) > 0.2


def test_elsewhere_than_in_our_houses_the_pose_is_not_told():
    with pytest.raises(TypeError, match="geometry_heads 'points' does elsewhere"):
        HousePlaces().begin(object())


def test_the_command_prunes_by_voxels_where_it_has_places(tmp_path, capsys):
    arguments = f'--policy {SHIPPED} --device cpu --episodes 1 --max-steps 3 --output {tmp_path} '
    arguments += '--memory-mode windowed --kept-fraction 0.25 --pruning voxels'
    assert main(arguments.split()) == 2
    assert "geometry_heads 'points', or 'depth'" in capsys.readouterr().err
    (tmp_path / 'run.json').unlink()
    assert main([*arguments.split(), '--geometry-heads', 'depth']) == 0
    agent = json.loads((tmp_path / 'run.json').read_text())['agent']
    assert agent['geometry_heads'] == 'depth' and agent['memory']['pruning'] == 'voxels'
