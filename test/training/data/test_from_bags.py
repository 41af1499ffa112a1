"""`janusvln data from-bag` on made-up bags: every source, every fault, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path

from janusvln_ros.actions import Action
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import read_annotations, read_picture
from janusvln_ros.training.data.recorded import read_recorded, Recorded
from made_bags import EPOCH, MadeBag, number_of, poses
import numpy as np
import pytest

pytestmark = pytest.mark.slow  # together
ROOT = Path(__file__).parents[3]
STILL = (1.0, 0.0, 0.0, 0.0)
AHEAD = (2.5, 0.4, 0.0, 0.0)  # 1 m
LEFT = (0.5 * np.pi / 0.6, 0.0, 0.0, 0.6)  # 90 degrees
WALK = [STILL, AHEAD, STILL, LEFT, STILL, AHEAD, STILL]
ACTIONS = [1] * 4 + [2] * 6 + [1] * 4 + [0]


def from_bag(capfd: pytest.CaptureFixture[str], *words: object, status: int = 0) -> str:
    """Run the command; give its notes, and errors."""
    assert main(['from-bag', *map(str, words)]) == status
    return capfd.readouterr().err


def only(folder: Path) -> Recorded:
    (story,) = read_recorded(folder)
    (trajectory,) = read_annotations(folder)
    assert trajectory.instructions == (story.instruction,)
    assert list(trajectory.actions) == story.actions
    assert len(trajectory.pictures) == len(story.steps)
    return story


def numbers(folder: Path) -> list[int]:
    """Read the numbers of the pictures that were written."""
    (trajectory,) = read_annotations(folder)
    return [number_of(read_picture(trajectory.folder / name)) for name in trajectory.pictures]


@pytest.mark.parametrize(
    ('source', 'storage', 'kind'),
    [
        ('odometry', 'mcap', 'raw'),
        ('odometry', 'sqlite3', 'jpeg'),
        ('tf', 'mcap', 'jpeg'),
        ('twist', 'sqlite3', 'raw'),
        ('stamped', 'mcap', 'raw'),
    ],
)
def test_every_source_storage_and_kind_of_picture(tmp_path, capfd, source, storage, kind):
    bag = MadeBag(WALK, source=source, kind=kind)
    out = tmp_path / 'out'
    notes = from_bag(capfd, bag.write(tmp_path / 'kitchen', storage), out)
    story = only(out)
    assert story.name == 'kitchen_000' and story.instruction == 'go to the door'
    assert story.actions == ACTIONS
    assert ('velocities that were commanded' in notes) == (source in ('twist', 'stamped'))
    assert 'velocities' in story.motion or notes == ''
    assert story.drift[2][0] < 0.05


@pytest.mark.parametrize(
    ('rate', 'camera_rate', 'skew'), [(5.0, 30.0, 0.0), (100.0, 7.0, 0.0), (20.0, 15.0, 0.03)]
)
def test_pictures_are_those_of_each_steps_beginning(tmp_path, capfd, rate, camera_rate, skew):
    bag = MadeBag(WALK, rate=rate, camera_rate=camera_rate, skew=skew)
    out = tmp_path / 'out'
    from_bag(capfd, bag.write(tmp_path / 'bag'), out)
    story = only(out)
    assert story.actions == ACTIONS
    way = np.array(poses(WALK, 500.0))
    for number, step in zip(numbers(out), story.steps):
        t, x, y, yaw = way[np.searchsorted(way[:, 0], bag.times[number])][:4]
        assert np.hypot(x - step.pose[0], y - step.pose[1]) < 0.4 / camera_rate / 2 + 0.05
        assert abs(yaw - step.pose[2]) < 0.6 / camera_rate / 2 + 0.06
    assert numbers(out) == sorted(set(numbers(out)))


def test_a_slow_camera_costs_steps_and_no_picture_serves_two(tmp_path, capfd):
    out = tmp_path / 'out'
    bag = MadeBag([STILL, AHEAD, AHEAD, (3.5, 0.0, 0.0, 0.6), STILL], camera_rate=1.3)
    notes = from_bag(capfd, bag.write(tmp_path / 'bag'), out)
    assert 'steps are cut out: there is no picture' in notes
    story = only(out)
    assert 6 < len(story.steps) < 17 and story.actions[-1] == Action.STOP
    assert numbers(out) == sorted(set(numbers(out)))


def test_what_an_interrupted_run_left_is_not_mixed_in(tmp_path, capfd):
    bag, out = MadeBag([STILL, AHEAD, STILL]).write(tmp_path / 'bag'), tmp_path / 'out'
    left = out / 'images' / 'bag_000' / 'rgb' / '099.jpg'
    left.parent.mkdir(parents=True)
    left.write_bytes(b'half')
    from_bag(capfd, bag, out)
    assert only(out).actions == [1] * 4 + [0] and not left.exists()


def test_instructions_divide_a_bag_and_driving_without_one_is_told(tmp_path, capfd):
    said = [(4.2, 'turn to the window'), (8.0, 'zum Fenster gehen'), (9.5, 'zum Fenster gehen')]
    out = tmp_path / 'out'
    notes = from_bag(capfd, MadeBag(WALK, said=said).write(tmp_path / 'bag'), out)
    stories = list(read_recorded(out))
    assert [story.instruction for story in stories] == ['turn to the window', 'zum Fenster gehen']
    assert [story.actions for story in stories] == [[2] * 6 + [0], [1] * 4 + [0]]
    assert "'turn to the window' comes at 4.2 s, after 1.0 m were driven" in notes


def test_a_file_of_spans_replaces_the_topic(tmp_path, capfd):
    spans, out = tmp_path / 'spans.txt', tmp_path / 'out'
    spans.write_text('# of the second day\n0 4.4 go ahead\n4.4 - 去窗户那里\n', encoding='utf-8')
    from_bag(capfd, MadeBag(WALK).write(tmp_path / 'bag'), out, '--spans', spans)
    stories = list(read_recorded(out))
    assert [(s.instruction, s.actions) for s in stories] == [
        ('go ahead', [1] * 4 + [0]),
        ('去窗户那里', [2] * 6 + [1] * 4 + [0]),
    ]
    spans.write_text(f'{EPOCH / 1e9 + 4.4:.3f} {EPOCH / 1e9 + 8.0:.3f} turn\n')
    from_bag(capfd, tmp_path / 'bag', tmp_path / 'two', '--spans', spans)
    assert only(tmp_path / 'two').actions == [2] * 6 + [0]


@pytest.mark.parametrize(
    ('line', 'error'),
    [
        ('0 5', "'0 5' is no span"),
        ('a b c', 'a b are no seconds'),
        ('5 2 go', 'ends at 2, before it begins'),
        ('0 5 go\n4 9 on', 'line 2: the span begins at 4, within the one before it'),
        ('', 'holds no span'),
    ],
)
def test_a_wrong_line_of_spans_is_named(tmp_path, capfd, line, error):
    spans = tmp_path / 'spans.txt'
    spans.write_text(line)
    bag = MadeBag([STILL]).write(tmp_path / 'bag')
    assert error in from_bag(capfd, bag, tmp_path / 'out', '--spans', spans, status=2)


def test_a_drive_goes_on_in_the_next_bag(tmp_path, capfd):
    out = tmp_path / 'out'
    one = MadeBag([STILL, AHEAD, STILL]).write(tmp_path / 'one')
    two = MadeBag([STILL, (0.1, 0, 0, 0)], said=[], begin=4.55).write(tmp_path / 'two')
    far = MadeBag([STILL, AHEAD], said=[], begin=60.0).write(tmp_path / 'far')
    notes = from_bag(capfd, one, two, far, out)
    story = only(out)
    assert story.actions == [1] * 4 + [0]
    assert story.bags == (str(one), str(two))
    assert 'far: no drive begins in it: it has no instruction' in notes


def test_what_is_there_already_stays(tmp_path, capfd):
    bag, out = MadeBag([STILL, AHEAD, STILL]).write(tmp_path / 'bag'), tmp_path / 'out'
    from_bag(capfd, bag, out)
    before = (out / 'annotations.json').read_bytes()
    assert 'bag_000 is there already' in from_bag(capfd, bag, out)
    assert (out / 'annotations.json').read_bytes() == before


def test_a_run_of_the_real_nodes_gives_the_actions_that_were_sent(tmp_path, capfd):
    """Only the odometry of the bag is used, which has 10 Hz; pictures are those decided from."""
    notes = from_bag(capfd, ROOT / 'test' / 'replay' / 'data' / 'simulator', tmp_path)
    with Bag(ROOT / 'test' / 'replay' / 'data' / 'simulator') as bag:
        decode = bag.decoder(['/navigation_action'])
        sent = [decode(message) for message in bag.messages(['/navigation_action'])]
    stories = list(read_recorded(tmp_path))
    assert [action for story in stories for action in story.actions] == [m.action for m in sent]
    assert [story.instruction for story in stories] == [
        'Turn to the right. Walk to the plant and stop.',
        'Turn around and walk to the door.',
    ]
    assert 'cut out' not in notes
    assert all(story.drift[1][0] < 0.1 for story in stories)


# ---- what is wrong with a bag ----


def test_without_odometry_the_topics_are_listed(tmp_path, capfd):
    bag = MadeBag(WALK, source='').write(tmp_path / 'bag')
    error = from_bag(capfd, bag, tmp_path / 'out', status=2)
    assert 'does not tell where the robot was' in error and '/image (sensor_msgs' in error
    bag = MadeBag(WALK, source='tf').write(tmp_path / 'tf')
    error = from_bag(capfd, bag, tmp_path / 'out', '--frames', 'map', 'base', status=2)
    assert '/tf has no map to base; it has: base_link to wheel, odom to base_link' in error


def test_one_picture_is_no_trajectory(tmp_path, capfd):
    bag = MadeBag(WALK, keeps=lambda now: now < 0.03).write(tmp_path / 'bag')
    error = from_bag(capfd, bag, tmp_path / 'out', status=2)
    assert "bag_000 ('go to the door') is left out: it has 1 pictures" in error
    assert not (tmp_path / 'out' / 'annotations.json').exists()
    assert not [*(tmp_path / 'out').rglob('*.jpg')]


def test_a_camera_that_pauses_costs_the_steps_of_the_pause(tmp_path, capfd):
    legs = [STILL, AHEAD, AHEAD, AHEAD, AHEAD, STILL]
    bag = MadeBag(legs, keeps=lambda now: not 4.0 < now < 7.0).write(tmp_path / 'bag')
    out = tmp_path / 'out'
    notes = from_bag(capfd, bag, out)
    assert '/image pauses for 3.0 s, 4.0 s after the beginning' in notes
    assert '4 of 17 steps are cut out: there is no picture' in notes
    story = only(out)
    assert story.actions == [1] * 12 + [0]
    assert any('no picture' in note for note in story.notes)


def test_pictures_that_end_too_early_have_no_stop(tmp_path, capfd):
    bag = MadeBag([STILL, AHEAD, AHEAD, STILL], keeps=lambda now: now < 4.0)
    error = from_bag(capfd, bag.write(tmp_path / 'bag'), tmp_path / 'out', status=2)
    assert 'its pictures end 0.7 m before the drive does' in error


def test_stamps_that_go_back_are_told_and_the_rest_is_kept(tmp_path, capfd):
    def stamp(now: float) -> float:
        return now if now < 4.3 else now - 100.0  # the clock was set while the robot stood

    out = tmp_path / 'out'
    notes = from_bag(capfd, MadeBag(WALK, stamp=stamp).write(tmp_path / 'bag'), out)
    assert 'stamps of /odom go back by' in notes and 'stamps of /image go back by' in notes
    assert only(out).actions == ACTIONS


def test_clocks_that_do_not_agree_are_told_and_not_used(tmp_path, capfd):
    out = tmp_path / 'out'
    notes = from_bag(capfd, MadeBag(WALK, skew=-5000.0).write(tmp_path / 'bag'), out)
    assert 'of clocks that do not agree: the times of recording are used' in notes
    assert only(out).actions == ACTIONS


def test_an_instruction_that_comes_after_the_drive_is_named(tmp_path, capfd):
    bag = MadeBag([STILL, AHEAD, STILL], said=[(4.0, 'go to the door')]).write(tmp_path / 'bag')
    error = from_bag(capfd, bag, tmp_path / 'out', status=2)
    assert "the instruction 'go to the door' comes at 4.0 s, after 1.0 m were driven" in error
    line = error.split('give --spans with the line: ')[1].splitlines()[0]
    (tmp_path / 'spans').write_text(line.strip())
    from_bag(capfd, bag, tmp_path / 'out', '--spans', tmp_path / 'spans')
    assert only(tmp_path / 'out').actions[:4] == [1] * 4


def test_a_bag_that_is_cut_gives_what_is_left_of_it(tmp_path, capfd):
    bag, out = MadeBag(WALK).write(tmp_path / 'bag'), tmp_path / 'out'
    file = next(bag.glob('*.mcap'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    notes = from_bag(capfd, file, out, '--instruction', 'geh zur Tür')
    assert 'the file is cut' in notes
    story = only(out)
    assert story.instruction == 'geh zur Tür'
    assert story.actions[:-1] == ACTIONS[: len(story.actions) - 1]


def test_reversing_is_cut_out_and_said(tmp_path, capfd):
    back = (2.0, -0.3, 0.0, 0.0)
    bag, out = MadeBag([STILL, AHEAD, back, STILL, AHEAD, STILL]), tmp_path / 'out'
    notes = from_bag(capfd, bag.write(tmp_path / 'bag'), out)
    assert 'bag_000: reversing from' in notes
    (cut,) = only(out).cuts
    assert cut.why == 'reversing' and cut.moved == pytest.approx(0.6, abs=0.06)


def test_the_next_command_builds_examples_of_it(tmp_path, capfd):
    bag, out = MadeBag(WALK).write(tmp_path / 'bag'), tmp_path / 'out'
    from_bag(capfd, bag, out)
    assert main(['build', str(tmp_path / 'a.jsonl'), '--annotations', str(out)]) == 0
    lines = [json.loads(line) for line in (tmp_path / 'a.jsonl').read_text().splitlines()]
    said = [line['conversations'][1]['value'] for line in lines]
    assert said == [Action(action).name for action in ACTIONS]
