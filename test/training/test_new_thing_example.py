"""The worked example of docs/own_robot.md: what of it is quickly done."""

import importlib
import json
from pathlib import Path
import signal
import subprocess
import sys

from janusvln_ros.episodes.splits import build_episode, find_split
from janusvln_ros.evaluation.command import parser as evaluation
from janusvln_ros.evaluation.metrics import METRICS
from janusvln_ros.training.data.command import main as data
from janusvln_ros.training.stage_config import read_config
import pytest

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / 'examples'


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module('new_thing')


def test_a_recorded_drive_becomes_a_trajectory_that_leads_to_the_barrel(tmp_path, example):
    (bag,) = example.record_drives(tmp_path / 'bags', 1)
    number = int(bag.name.removeprefix('drive_'))
    assert data(['from-bag', str(bag), str(tmp_path / 'drives')]) == 0
    (drive,) = json.loads((tmp_path / 'drives' / 'annotations.json').read_text())
    episode, truth = build_episode(find_split('new_thing_train'), number)
    assert drive['instructions'] == [episode.instruction.text]
    assert drive['actions'][1] == truth.actions[0] and drive['actions'][-1] == 0
    assert abs(len(drive['actions']) - 1 - len(truth.actions)) < 12
    assert (tmp_path / 'drives' / 'pages' / f'{bag.name}_000.html').exists()


def test_recorded_drives_are_kept(tmp_path, example):
    for name in ('drive_00', 'drive_01'):
        (tmp_path / name).mkdir()
    bags = example.record_drives(tmp_path, 2)
    assert [bag.name for bag in bags] == ['drive_00', 'drive_01']


def test_every_command_is_one_that_there_is(tmp_path, example):
    options = example.parser().parse_args([str(tmp_path), '--episodes', '7'])
    steps = example.commands(options, [tmp_path / 'drive_00'])
    assert [' '.join(step[:2]) for step in steps[:3]] == [
        'data from-bag',
        'data walks',
        'train new_thing',
    ]
    evaluations = [evaluation().parse_args(step[1:]) for step in steps[3:]]
    assert [(e.split, e.episodes, 'adapter' in e) for e in evaluations] == [
        ('new_thing', 7, False),
        ('new_thing', 7, True),
        ('val_unseen', 100, False),
        ('val_unseen', 100, True),
    ]
    _, stages = read_config(EXAMPLES / 'new_thing.yaml')
    assert [*stages] == ['new_thing']


def test_the_table_has_before_and_after(tmp_path, example):
    right = dict.fromkeys(METRICS, 1.0)
    for split in ('new_thing', 'val_unseen'):
        for when, score in (('before', 0.0), ('after', 1.0)):
            folder = example.results(tmp_path, split, when)
            folder.mkdir()
            records = [{**right, 'key': str(n), 'sr': score, 'spl': score} for n in range(3)]
            lines = ''.join(json.dumps(record) + '\n' for record in records)
            (folder / 'results-0.jsonl').write_text(lines)
    lines = example.table(tmp_path).splitlines()
    assert lines[2].startswith('| new_thing | 3 | 0.000 (0.000–0.000) | 1.000 (1.000–1.000) |')
    assert lines[3].startswith('| val_unseen | 3 |')


def test_ctrl_c_stops_the_command_that_runs(tmp_path):
    code = (
        'import sys, new_thing\n'
        'new_thing.sys.executable = sys.executable\n'
        'try:\n'
        f"    new_thing.run(['data', 'walks', {str(tmp_path / 'walks')!r}, '--walks', '500'])\n"
        'except new_thing.Stopped as stopped:\n'
        '    sys.exit(stopped.args[0])\n'
    )
    process = subprocess.Popen([sys.executable, '-c', code], cwd=EXAMPLES, stderr=subprocess.PIPE)
    with process:
        seen = process.stderr.read(30)  # its progress bar
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, (seen, said)
