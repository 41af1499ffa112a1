"""A replay takes the decisions of the live run, the same bytes every time."""

from dataclasses import replace
import json
from pathlib import Path

import av
import cv2
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.recordings.messages import types_for
from janusvln_ros.replay.decisions import DecisionRecord, read_decisions
import numpy as np
import pytest
from rosbags.rosbag2 import Reader

pytestmark = pytest.mark.slow


def live(drive) -> list[tuple]:
    return [(e, s, stamp, ACTION_NAMES[a], p) for e, s, stamp, a, p in drive.decisions]


def replayed(folder: Path) -> list[tuple]:
    return [
        (d.episode, d.step, d.stamp, d.action, d.probabilities)
        for d in read_decisions(folder / 'decisions.jsonl')
    ]


def test_the_drive_is_worth_replaying(drive):
    actions = {action for *_, action, _ in drive.decisions}
    assert len(actions) >= 3, 'a policy that always answers the same proves nothing'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('camera', ['raw', 'compressed'])
def test_a_bag_gives_exactly_the_live_decisions(request, tmp_path, replay, storage, camera):
    recorded = request.getfixturevalue('drive' if camera == 'raw' else 'compressed_drive')
    bag = recorded.write(tmp_path / 'bag', storage)
    status, folder = replay(bag, '--compare', 'live')
    assert status == 0
    assert replayed(folder) == live(recorded)


def test_two_replays_write_the_same_bytes(tmp_path, replay, drive):
    bag = drive.write(tmp_path / 'bag', compress=True)
    one, other = replay(bag)[1], replay(bag, output='again')[1]
    assert (one / 'decisions.jsonl').read_bytes() == (other / 'decisions.jsonl').read_bytes()
    timing = [json.loads(line) for line in (one / 'timing.jsonl').read_text().splitlines()]
    assert [t['memory_frames'] for t in timing] == [1, 2, 3, 4, 5] * 2
    assert all(t['latency'] >= sum(t['parts'].values()) * 0.9 > 0 for t in timing)


@pytest.mark.parametrize('known_by', ['/motion_status', '/odom'])
def test_without_actions_frames_are_those_after_each_motion(tmp_path, replay, drive, known_by):
    """Motion status or odometry alone leads to the frames that the live run used."""
    gone = {'/navigation_action', '/navigator_status', '/motion_status', '/odom'} - {known_by}
    status, folder = replay(drive.write(tmp_path / 'bag', without=gone))
    assert status == 0
    assert replayed(folder) == live(drive)


def test_the_live_answer_that_is_flipped_is_found(tmp_path, replay, drive, capsys):
    """A recording that claims another answer is contradicted, and the exit status says so."""
    changed = replace(drive, messages=list(drive.messages))
    place = [i for i, (t, _, _) in enumerate(changed.messages) if t == '/navigation_action'][3]
    topic, time, action = changed.messages[place]
    changed.messages[place] = (topic, time, replace(action, action=(action.action + 1) % 4))
    bag = changed.write(tmp_path / 'bag')
    assert replay(bag, '--compare', 'live')[0] == 1
    assert '9 of 10 actions agree (90.00 %)' in capsys.readouterr().out
    assert replay(bag)[0] == 0, 'without --compare it is told, not judged'


def test_comparison_with_an_earlier_replay(tmp_path, replay, drive, capsys):
    bag = drive.write(tmp_path / 'bag')
    _, folder = replay(bag)
    file = folder / 'decisions.jsonl'
    assert replay(bag, '--compare', str(file), output='again')[0] == 0
    lines = [DecisionRecord.from_line(line) for line in file.read_text().splitlines()]
    lines[7] = replace(lines[7], action='STOP' if lines[7].action != 'STOP' else 'TURN_LEFT')
    other = tmp_path / 'other.jsonl'
    other.write_text(''.join(d.to_line() + '\n' for d in lines))
    capsys.readouterr()
    assert replay(bag, '--compare', str(other), output='again')[0] == 1
    assert 'first divergence: episode 1, step 2' in capsys.readouterr().out
    assert replay(file, '--compare', str(other))[0] == 1, 'two files need no policy'
    assert replay(file, '--compare', str(file))[0] == 0
    assert replay(bag, '--compare', str(tmp_path / 'nowhere.jsonl'))[0] == 2
    assert replay(file)[0] == 2
    assert 'give --compare' in capsys.readouterr().err


def test_a_memory_reset_within_an_episode_is_replayed(tmp_path, replay, make_drive):
    recorded = make_drive(reset_before=3)
    status, folder = replay(recorded.write(tmp_path / 'bag'), '--compare', 'live')
    assert (status, replayed(folder)) == (0, live(recorded))
    timing = (folder / 'timing.jsonl').read_text().splitlines()
    assert [json.loads(t)['memory_frames'] for t in timing] == [1, 2, 3, 1, 2] * 2


def test_without_status_the_instruction_comes_from_its_topic(tmp_path, replay, drive):
    bag = drive.write(tmp_path / 'bag', without=['/navigator_status'])
    status, folder = replay(bag, '--compare', 'live')
    assert (status, replayed(folder)) == (0, live(drive))


def test_another_instruction_changes_the_answers_not_the_frames(tmp_path, replay, drive):
    status, folder = replay(drive.write(tmp_path / 'bag'), '--instruction', 'Leave the house.')
    decisions = read_decisions(folder / 'decisions.jsonl')
    assert status == 0
    assert [d.stamp for d in decisions] == [stamp for _, _, stamp, _, _ in drive.decisions]
    assert {d.instruction for d in decisions} == {'Leave the house.'}
    assert [d.probabilities for d in decisions] != [p for *_, p in drive.decisions]


def test_a_lost_frame_is_told(tmp_path, replay, drive, capsys):
    stamp = drive.decisions[2][2]
    cut = replace(
        drive,
        messages=[
            m
            for m in drive.messages
            if m[0] != '/image'
            or (m[2].header.stamp.sec * 10**9 + m[2].header.stamp.nanosec) != stamp
        ],
    )
    status, folder = replay(cut.write(tmp_path / 'bag'), '--compare', 'live')
    assert status == 1
    assert (
        '1 of the frames that live decisions were taken from are not in the bag (first: step '
        '2 of episode episode-)' in capsys.readouterr().err
    )
    steps = [d.step for d in read_decisions(folder / 'decisions.jsonl')]
    assert steps == [0, 1, 3, 4, 0, 1, 2, 3, 4]


def test_a_recording_that_begins_within_an_episode_is_told(tmp_path, replay, drive, capsys):
    late = replace(drive, messages=[m for m in drive.messages if m[1] > drive.decisions[2][2]])
    replay(late.write(tmp_path / 'bag'))
    assert 'begins at its step 2' in capsys.readouterr().err


def test_every_frame_and_every_half_second(tmp_path, replay, drive):
    bag = drive.write(tmp_path / 'bag')
    begin = next(time for topic, time, _ in drive.messages if topic == '/instruction')
    images = [m for m in drive.messages if m[0] == '/image' and m[1] > begin]
    _, folder = replay(bag, '--every', '0.5s')
    stamps = [d.stamp for d in read_decisions(folder / 'decisions.jsonl')]
    gaps = np.diff(stamps) / 1e9
    assert len(stamps) > 15 and all(0.5 <= gap or gap == gaps.min() for gap in gaps)
    assert np.median(gaps) == 0.5
    short = replace(drive, messages=drive.messages[: drive.messages.index(images[11])])
    _, folder = replay(short.write(tmp_path / 'short'), '--every', 'frame', output='all')
    assert [d.frame for d in read_decisions(folder / 'decisions.jsonl')] == list(range(3, 14))


def test_the_video_shows_every_decision(tmp_path, replay, drive):
    _, folder = replay(drive.write(tmp_path / 'bag'), '--video')
    with av.open(str(folder / 'video.mp4')) as video:
        pictures = [p.to_ndarray(format='rgb24') for p in video.decode(video=0)]
    assert len(pictures) == 10 and pictures[0].shape[1] == 640
    colours = {
        'STOP': (240, 96, 88),
        'MOVE_FORWARD': (88, 200, 130),
        'TURN_LEFT': (92, 164, 250),
        'TURN_RIGHT': (250, 186, 84),
    }
    for picture, (*_, action, _) in zip(pictures, drive.decisions):
        # The panel's first rows have the action's colour; the frame above it is 480 rows high.
        strip = picture[481, 100:500].astype(int)
        assert np.abs(np.median(strip, axis=0) - colours[ACTION_NAMES[action]]).max() < 25


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_result_bag_has_the_originals_and_our_messages(tmp_path, replay, drive, storage):
    bag = drive.write(tmp_path / 'bag', storage)
    status, folder = replay(bag, '--output-bag')
    assert status == 0
    added = {'/replay/navigation_action', '/replay/navigator_status', '/replay/image/compressed'}
    with Reader(bag) as before, Reader(folder / 'bag') as after:
        old = [(c.topic, time, data) for c, time, data in before.messages()]
        new = [(c.topic, time, data) for c, time, data in after.messages()]
        definitions = {c.msgtype: c.msgdef.data for c in after.connections}
    assert [m for m in new if m[0] not in added] == old
    assert {topic for topic, _, _ in new} == {topic for topic, _, _ in old} | added
    store = types_for(definitions)
    actions = [
        store.deserialize_cdr(data, 'janusvln_ros/msg/NavigationAction')
        for topic, _, data in new
        if topic == '/replay/navigation_action'
    ]
    assert [(a.action, tuple(map(float, a.probabilities))) for a in actions] == [
        (action, p) for *_, action, p in drive.decisions
    ]
    jpeg = next(data for topic, _, data in new if topic == '/replay/image/compressed')
    picture = store.deserialize_cdr(jpeg, 'sensor_msgs/msg/CompressedImage')
    assert cv2.imdecode(picture.data, cv2.IMREAD_COLOR).shape[1] == 640
    # It replays like the original, and is not written over.
    assert replay(folder / 'bag', '--compare', 'live', output='again')[0] == 0
    assert replay(bag, '--output-bag')[0] == 2


def test_pictures_and_videos_replay_too(tmp_path, replay, drive, policy, capsys):
    frames = [m[2].data.reshape(120, 160, 3) for m in drive.messages if m[0] == '/image'][:4]
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for i, rgb in zip((9, 10, 1, 2), frames):
        cv2.imwrite(str(pictures / f'frame_{i}.png'), rgb[..., ::-1])
    (pictures / 'notes.txt').write_text('not a picture')
    policy.reset('Go on.')
    expected = [policy.step(frames[i]).probabilities.values() for i in (2, 3, 0, 1)]
    status, folder = replay(pictures, '--instruction', 'Go on.')
    decisions = read_decisions(folder / 'decisions.jsonl')
    assert status == 0
    assert [d.probabilities for d in decisions] == [
        tuple(float(np.float32(v)) for v in p) for p in expected
    ]
    assert [d.stamp for d in decisions] == [None] * 4

    with av.open(str(tmp_path / 'a.mp4'), 'w') as video:
        stream = video.add_stream('libx264', rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 120, 'yuv420p'
        for rgb in frames * 2:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
        video.mux(stream.encode())
    status, folder = replay(tmp_path / 'a.mp4', '--instruction', 'Go on.', '--every', '0.4s')
    assert status == 0
    stamps = [d.stamp for d in read_decisions(folder / 'decisions.jsonl')]
    assert stamps == [0, 400_000_000, 800_000_000, 1_200_000_000]

    capsys.readouterr()
    for options, message in (
        ((), 'give --instruction'),
        (('--instruction', 'x', '--every', '0.5s'), 'has no times'),
        (('--instruction', 'x', '--every', 'action'), 'carry no actions'),
        (('--instruction', 'x', '--output-bag'), 'needs a bag'),
    ):
        assert replay(pictures, *options)[0] == 2
        assert message in capsys.readouterr().err


def test_a_damaged_picture_is_left_out(tmp_path, replay, drive, capsys):
    frames = [m[2].data.reshape(120, 160, 3) for m in drive.messages if m[0] == '/image'][:3]
    for i, rgb in enumerate(frames):
        cv2.imwrite(str(tmp_path / f'{i}.png'), rgb)
    (tmp_path / '1.png').write_bytes(b'\x89PNG and no more')
    cv2.imwrite(str(tmp_path / '3.png'), frames[0][:100])
    status, folder = replay(tmp_path, '--instruction', 'Go on.')
    assert status == 0
    assert [d.frame for d in read_decisions(folder / 'decisions.jsonl')] == [0, 2]
    error = capsys.readouterr().err
    assert '1.png is no picture that can be read' in error
    assert 'frame 3 is left out: frame of 160x100 pixels in an episode of 160x120' in error


def test_ctrl_c_keeps_what_was_decided(tmp_path, replay, drive, monkeypatch):
    from janusvln_ros.policy import JanusPolicy

    step, count = JanusPolicy.step, 0

    def interrupted(self, rgb):
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return step(self, rgb)

    monkeypatch.setattr(JanusPolicy, 'step', interrupted)
    status, folder = replay(drive.write(tmp_path / 'bag'), '--video')
    assert status == 130
    assert replayed(folder) == live(drive)[:3]
    assert 'interrupted' in (folder / 'report.html').read_text()
