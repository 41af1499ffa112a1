"""`janusvln data to-lerobot` and `from-lerobot`: what was written comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import resource
import signal

import cv2
from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import AnnotationWriter, read_annotations, read_picture
from made_lerobot import actions, trajectories
from made_pictures import picture
import numpy as np
import pytest

pytest.importorskip('pyarrow', reason='LeRobot datasets need pyarrow')


def data(capfd: pytest.CaptureFixture[str], *words: object, status: int = 0) -> str:
    """Run a command; give its notes, and errors."""
    assert main([*map(str, words)]) == status
    return capfd.readouterr().err


def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('janusvln_ros.training.data.lerobot.writer._EPISODES', 2)


def same(one: Path, other: Path) -> None:
    """Check that all but the coding of pictures is the same."""
    pairs = list(zip(read_annotations(one), read_annotations(other), strict=True))
    assert pairs
    for a, b in pairs:
        assert (a.name, a.instructions, a.actions) == (b.name, b.instructions, b.actions)
        for x, y in zip(a.pictures, b.pictures, strict=True):
            off = read_picture(a.folder / x).astype(int) - read_picture(b.folder / y)
            assert np.abs(off).mean() < 4
    stories = [sorted((folder / 'recorded').glob('*.json')) for folder in (one, other)]
    assert [path.name for path in stories[0]] == [path.name for path in stories[1]]
    for a, b in zip(*stories):
        assert a.read_text(encoding='utf-8') == b.read_text(encoding='utf-8')


@pytest.mark.parametrize('recorded', [True, False])
def test_what_is_written_comes_back(tmp_path, capfd, monkeypatch, recorded):
    small_files(monkeypatch)
    folder = trajectories(tmp_path / 'own', (5, 3, 9, 2, 130), recorded)
    notes = data(capfd, 'to-lerobot', folder, tmp_path / 'set')
    assert ('nothing was recorded but pictures' in notes) == (not recorded)
    assert data(capfd, 'from-lerobot', tmp_path / 'set', tmp_path / 'back') == ''
    same(folder, tmp_path / 'back')
    assert not list((tmp_path / 'set').rglob('*.part'))


def test_edits_are_applied(tmp_path, capfd):
    folder, edits = trajectories(tmp_path / 'own'), tmp_path / 'edits.json'
    change = {'steps': 9, 'first': 2, 'last': 6, 'instruction': '向左转', 'actions': {'3': 1}}
    told = {'drive_0': {'steps': 5, 'drop': True}, 'drive_2': change}
    edits.write_text(json.dumps({'edits': told}))
    data(capfd, 'to-lerobot', folder, tmp_path / 'set', '--edits', edits)
    data(capfd, 'from-lerobot', tmp_path / 'set', tmp_path / 'back')
    _, two = read_annotations(tmp_path / 'back')
    assert two.name == 'drive_2' and two.instructions == ('向左转',)
    assert two.actions == (*actions(9)[2:3], 1, *actions(9)[4:6], 0)
    told = json.loads((tmp_path / 'back/recorded/drive_2.json').read_text(encoding='utf-8'))
    assert [step['pose'][0] for step in told['steps']] == [i / 7 for i in range(2, 7)]
    assert told['instruction'] == '向左转'


def test_ctrl_c_keeps_what_was_done_and_the_same_command_goes_on(tmp_path, capfd):
    from janusvln_ros.training.data.lerobot.export import export

    folder, root = trajectories(tmp_path / 'own', (5, 3, 9, 4)), tmp_path / 'set'

    def interrupted():
        for one in read_annotations(folder):
            if one.name == 'drive_2':
                os.kill(os.getpid(), signal.SIGINT)
            yield one

    with pytest.raises(KeyboardInterrupt):
        export(interrupted(), folder, root)
    data(capfd, 'from-lerobot', root, tmp_path / 'half')
    assert [one.name for one in read_annotations(tmp_path / 'half')] == ['drive_0', 'drive_1']
    notes = data(capfd, 'to-lerobot', folder, root)
    assert '2 episodes are there already and left as they are' in notes
    data(capfd, 'from-lerobot', root, tmp_path / 'back')
    same(folder, tmp_path / 'back')


def test_a_killed_run_leaves_nothing_in_the_way(tmp_path, capfd):
    from janusvln_ros.training.data.lerobot.export import export
    from janusvln_ros.training.data.lerobot.writer import LeRobotWriter

    folder, root = trajectories(tmp_path / 'own'), tmp_path / 'set'
    one = next(iter(read_annotations(folder)))
    child = os.fork()
    if child == 0:
        try:
            LeRobotWriter.close = lambda self: os._exit(0)
            export([one], folder, root)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0 and list(root.rglob('*.part'))
    data(capfd, 'to-lerobot', folder, root)
    data(capfd, 'from-lerobot', root, tmp_path / 'back')
    same(folder, tmp_path / 'back')
    assert not list(root.rglob('*.part'))


def test_a_picture_that_is_missing_or_of_another_size_costs_its_episode(tmp_path, capfd):
    folder = trajectories(tmp_path / 'own')
    path = folder / 'images/drive_1/rgb/001.jpg'
    path.write_bytes(b'half')
    large = folder / 'images/drive_2/rgb/004.jpg'
    cv2.imwrite(str(large), picture(0, 80, 60))
    notes = data(capfd, 'to-lerobot', folder, tmp_path / 'set')
    assert f'drive_1 is left out: {path} is missing or no picture' in notes
    assert '004.jpg has 80x60 pixels, those of the dataset have 64x48' in notes
    data(capfd, 'from-lerobot', tmp_path / 'set', tmp_path / 'back')
    (one,) = read_annotations(tmp_path / 'back')
    assert one.name == 'drive_0'


def test_odd_pictures_lose_their_last_row(tmp_path, capfd):
    writer = AnnotationWriter(tmp_path / 'own', 'recorded')
    writer.write('odd', 'go', [picture(i, 63, 47) for i in range(2)], [1, 0])
    data(capfd, 'to-lerobot', tmp_path / 'own', tmp_path / 'set')
    data(capfd, 'from-lerobot', tmp_path / 'set', tmp_path / 'back')
    (one,) = read_annotations(tmp_path / 'back')
    assert read_picture(one.folder / one.pictures[0]).shape == (46, 62, 3)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let writing fail as on a full disk where a file grows beyond so many bytes."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


@pytest.mark.parametrize('size', [300, 6_000, 60_000])
def test_a_full_disk_costs_the_open_files_alone(tmp_path, capfd, monkeypatch, size):
    small_files(monkeypatch)
    root, noise = tmp_path / 'set', np.random.default_rng(1)
    folder = trajectories(tmp_path / 'own', (5, 3))
    writer = AnnotationWriter(folder, 'recorded')
    frames = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(30)]
    data(capfd, 'to-lerobot', folder, root)
    writer.write('noise', 'go', frames, [1] * 29 + [0])
    with files_of_at_most(size):
        error = data(capfd, 'to-lerobot', folder, root, status=2)
    assert 'janusvln data to-lerobot: ' in error and error.count('\n') == 1
    data(capfd, 'from-lerobot', root, tmp_path / 'half')
    assert [one.name for one in read_annotations(tmp_path / 'half')] == ['drive_0', 'drive_1']
    with files_of_at_most(200):
        error = data(capfd, 'from-lerobot', root, tmp_path / 'none', status=2)
    assert 'File too large' in error and error.count('\n') == 1
    data(capfd, 'to-lerobot', folder, root)
    data(capfd, 'from-lerobot', root, tmp_path / 'back')
    assert [one.name for one in read_annotations(tmp_path / 'back')][2:] == ['noise']


def test_ctrl_c_while_reading_keeps_what_was_done(tmp_path, capfd, monkeypatch):
    from janusvln_ros.training.data.lerobot.dataset import Dataset

    folder, root = trajectories(tmp_path / 'own'), tmp_path / 'set'
    data(capfd, 'to-lerobot', folder, root)
    pictures = Dataset.pictures

    def interrupted(self, episode, numbers):
        for number, rgb in enumerate(pictures(self, episode, numbers)):
            if (episode.index, number) == (1, 2):
                os.kill(os.getpid(), signal.SIGINT)
            yield rgb

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, 'pictures', interrupted)
        assert 'the same command goes on' in data(
            capfd, 'from-lerobot', root, tmp_path / 'back', status=130
        )
    assert [one.name for one in read_annotations(tmp_path / 'back')] == ['drive_0']
    data(capfd, 'from-lerobot', root, tmp_path / 'back')
    same(folder, tmp_path / 'back')
