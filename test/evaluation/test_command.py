"""The command line: pages, files, errors."""

import importlib.util
import math
from pathlib import Path

from janusvln_ros import evaluation
from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.episodes.splits import build_episode, find_split, VERSION
from janusvln_ros.episodes.vln_ce import read_episodes, read_ground_truth
from janusvln_ros.evaluation.command import main
import pytest
import yaml


def test_exports_vln_ce_files(tmp_path):
    assert main(['--export', str(tmp_path), '--episodes', '2', '--category', 'reach']) == 0
    name = f'val_unseen_small-{VERSION}'
    episodes = read_episodes(tmp_path / f'{name}.json.gz')
    truths = read_ground_truth(tmp_path / f'{name}_gt.json.gz')
    built = [build_episode(find_split('val_unseen_small'), number) for number in (0, 7)]
    assert [e.instruction.text for e in episodes] == [e.instruction.text for e, _ in built]
    assert truths == {str(e.episode_id): truth for e, truth in built}


def test_a_page_of_samples(tmp_path):
    page = tmp_path / 'samples.html'
    assert main(['--samples', str(page), '--per-category', '1', '--category', 'reach']) == 0
    text = page.read_text()
    assert text.count('data:image/png;base64,') == 10  # nine pictures and a map
    assert build_episode(find_split('val_unseen_small'), 0)[0].instruction.text in text


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--split', 'nowhere'], "no split 'nowhere'"),
        (['--policy', 'no/such/folder', '--device', 'cpu'], 'neither a folder with a checkpoint'),
        (['--policy', 'expert', '--ablations'], 'ablations are of a checkpoint'),
    ],
)
def test_errors_say_what_would_be_right(arguments, message, tmp_path, capsys):
    assert main([*arguments, '--output', str(tmp_path / 'x')]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_folder_is_no_checkpoint(tmp_path, capsys):
    assert (
        main(['--policy', str(tmp_path), '--device', 'cpu', '--output', str(tmp_path / 'x')]) == 2
    )
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec('habitat') is not None, reason='Habitat is here')
def test_habitat_is_asked_for_only_where_it_is_needed(tmp_path, capsys):
    words = '--env habitat --policy stop --split val_unseen'.split()
    assert main([*words, f'--output={tmp_path}']) == 2
    assert "No module named 'habitat'" in capsys.readouterr().err


@pytest.mark.parametrize('name', ['r2r', 'rxr'])
def test_habitat_configurations_are_the_published_ones(name):
    path = Path(evaluation.__file__).parent / 'habitat' / f'{name}.yaml'
    config = yaml.safe_load(path.read_text())['habitat']
    camera = config['simulator']['agents']['main_agent']['sim_sensors']['rgb_sensor']
    assert camera == {'width': 640, 'height': 480, 'hfov': 79, 'position': [0.0, 1.25, 0.0]}
    assert config['simulator']['forward_step_size'] == FORWARD_STEP
    assert config['simulator']['turn_angle'] == round(math.degrees(TURN_STEP))
    assert config['environment']['max_episode_steps'] == 500
    assert config['task']['measurements']['success']['success_distance'] == 3.0
