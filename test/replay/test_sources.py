"""Bags that lack something, or have too much of it: a clear error, or what can be had."""

from dataclasses import replace

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.recordings.messages import standard_types
from janusvln_ros.replay.decisions import read_decisions
import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg

pytestmark = pytest.mark.slow

CAMERA = '/image'


def without_images(drive):
    return replace(drive, messages=[m for m in drive.messages if m[0] != CAMERA])


def renamed(drive, **names):
    """Give every topic another name: by keyword, or with a prefix."""
    prefix = names.pop('prefix', '')
    return replace(
        drive,
        messages=[
            (prefix + names.get(topic[1:], topic), time, m) for topic, time, m in drive.messages
        ],
    )


def test_an_empty_bag(tmp_path, replay, capsys):
    with Writer(tmp_path / 'none', version=8, storage_plugin=StoragePlugin.MCAP):
        pass
    assert replay(tmp_path / 'none')[0] == 2
    assert 'none is empty: it has no topics' in capsys.readouterr().err
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in ((CAMERA, 'sensor_msgs/msg/Image'), ('/say', 'std_msgs/msg/String')):
            writer.add_connection(topic, kind, typestore=standard_types())
    status, folder = replay(tmp_path / 'bag', '--instruction', 'Go.')
    assert status == 2
    assert 'the bag has no messages on /image' in capsys.readouterr().err
    assert (folder / 'decisions.jsonl').read_bytes() == b''


def test_no_images(tmp_path, replay, drive, capsys):
    assert replay(without_images(drive).write(tmp_path / 'bag'))[0] == 2
    error = capsys.readouterr().err
    assert (
        'the bag has no images (sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage)' in error
    )
    assert '/odom (nav_msgs/msg/Odometry)' in error


def test_two_cameras(tmp_path, replay, drive, capsys):
    left, right = renamed(drive, image='/left/image_raw'), renamed(drive, image='/right/image_raw')
    both = replace(
        drive,
        messages=sorted(
            [*left.messages, *(m for m in right.messages if m[0] == '/right/image_raw')],
            key=lambda m: m[1],
        ),
    )
    bag = both.write(tmp_path / 'bag')
    assert replay(bag)[0] == 2
    error = capsys.readouterr().err
    assert '/left/image_raw, /right/image_raw; choose one by --image-topic' in error
    assert replay(bag, '--image-topic', '/right/image_raw', '--compare', 'live')[0] == 0
    assert replay(bag, '--image-topic', '/middle')[0] == 2
    assert 'no topic /middle; it has: /instruction (std_msgs/msg/String), ' in (
        capsys.readouterr().err
    )
    assert replay(bag, '--image-topic', '/odom')[0] == 2
    assert '/odom is of type nav_msgs/msg/Odometry, the camera must be' in capsys.readouterr().err


def test_two_robots_are_told_apart_by_namespace(tmp_path, replay, drive, capsys):
    both = replace(
        drive,
        messages=sorted(
            renamed(drive, prefix='/red').messages + renamed(drive, prefix='/blue').messages,
            key=lambda m: m[1],
        ),
    )
    bag = both.write(tmp_path / 'bag')
    assert replay(bag)[0] == 2
    assert 'choose one by --image-topic' in capsys.readouterr().err
    assert replay(bag, '--namespace', '/blue', '--compare', 'live')[0] == 0
    assert replay(bag, '--image-topic', '/red/image', '--instruction', 'Go.')[0] == 2
    assert 'several topics that could be the actions' in capsys.readouterr().err


def test_pictures_for_people_are_no_cameras(tmp_path, replay, drive):
    """A recording of everything contains the navigator's own drawing."""
    extra = [('/debug_image', time, m) for t, time, m in drive.messages if t == CAMERA]
    bag = replace(drive, messages=sorted(drive.messages + extra, key=lambda m: m[1]))
    assert replay(bag.write(tmp_path / 'bag'), '--compare', 'live')[0] == 0


def test_no_instruction(tmp_path, replay, drive, capsys):
    gone = ('/instruction', '/navigator_status', '/navigation_action')
    bag = drive.write(tmp_path / 'bag', without=gone)
    assert replay(bag)[0] == 2
    assert 'the bag has no instruction' in capsys.readouterr().err
    status, folder = replay(bag, '--instruction', 'Go to the lamp.')
    assert status == 0
    assert {d.instruction for d in read_decisions(folder / 'decisions.jsonl')} == {
        'Go to the lamp.'
    }


def test_an_instruction_on_another_topic(tmp_path, replay, drive, capsys):
    other = [('/chatter', m[1] + 1, m[2]) for m in drive.messages if m[0] == '/instruction']
    only = renamed(drive, instruction='/say').messages
    gone = ('/navigation_action', '/navigator_status')
    found = replace(drive, messages=only).write(tmp_path / 'one', without=gone)
    status, folder = replay(found)
    assert status == 0
    sentences = [d.instruction for d in read_decisions(folder / 'decisions.jsonl')]
    assert len(set(sentences)) == 2
    both = replace(drive, messages=sorted(only + other, key=lambda m: m[1]))
    bag = both.write(tmp_path / 'two', without=gone)
    assert replay(bag)[0] == 2
    assert '/chatter, /say; choose one by --instruction-topic' in capsys.readouterr().err
    assert replay(bag, '--instruction-topic', '/say')[0] == 0


def test_the_same_instruction_again_is_no_new_episode(tmp_path, replay, drive):
    """`ros2 topic pub -r 1` repeats it; only a change of the sentence splits."""
    again = [
        ('/instruction', time + n * 10**8, m)
        for t, time, m in drive.messages
        if t == '/instruction'
        for n in range(10)
    ]
    messages = [m for m in drive.messages if m[0] != '/instruction'] + again
    bag = replace(drive, messages=sorted(messages, key=lambda m: m[1])).write(
        tmp_path / 'bag', without=('/navigation_action', '/navigator_status')
    )
    _, folder = replay(bag)
    assert [d.episode for d in read_decisions(folder / 'decisions.jsonl')] == [0] * 5 + [1] * 5


def test_unknown_types_beside_the_camera_do_not_matter(tmp_path, replay, drive):
    """Neither a type without a definition nor one that ROS 2 does not have."""
    bag = drive.write(tmp_path / 'plain')
    types = standard_types()
    types.register(
        get_types_from_msg('float32 weight\nacme_msgs/Maker maker\n', 'acme_msgs/msg/Anvil')
    )
    types.register(get_types_from_msg('string name\n', 'acme_msgs/msg/Maker'))
    with (
        Reader(bag) as reader,
        Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        known = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=types)
            for c in reader.connections
        }
        anvil = writer.add_connection('/anvil', 'acme_msgs/msg/Anvil', typestore=types)
        secret = writer.add_connection(
            '/secret', 'acme_msgs/msg/Secret', msgdef='', rihs01='RIHS01_' + '0' * 64
        )
        for connection, time, data in reader.messages():
            writer.write(known[connection.topic], time, data)
            writer.write(anvil, time, b'\0\1\0\0')
            writer.write(secret, time, b'\0\1\0\0what')
    status, folder = replay(tmp_path / 'bag', '--compare', 'live', '--output-bag')
    assert status == 0
    with Reader(folder / 'bag') as reader:
        topics = {c.topic: c for c in reader.connections}
    assert 'weight' in topics['/anvil'].msgdef.data and topics['/secret'].msgdef.data == ''


def test_a_bag_without_definitions_is_read_with_ours(tmp_path, replay, drive):
    """ROS 2 Humble writes sqlite3 bags without them."""
    bag = drive.write(tmp_path / 'plain')
    with (
        Reader(bag) as reader,
        Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        new = {
            c.topic: writer.add_connection(
                c.topic, c.msgtype, msgdef='', rihs01='RIHS01_' + '0' * 64
            )
            for c in reader.connections
        }
        for connection, time, data in reader.messages():
            writer.write(new[connection.topic], time, data)
    assert replay(tmp_path / 'bag', '--compare', 'live')[0] == 0


def test_stamps_that_jump_back_are_told_and_used_in_the_order_of_recording(
    tmp_path, replay, drive, capsys
):
    """A simulator was started anew in the middle of the recording."""
    images = [(t, time, m) for t, time, m in drive.messages if t == CAMERA]
    middle, back = images[len(images) // 2][1], 3 * 10**9
    messages = []
    for topic, time, m in drive.messages:
        if topic == CAMERA and time >= middle:
            stamp = m.header.stamp
            m = replace(m, header=replace(m.header, stamp=replace(stamp, sec=stamp.sec - 3)))
        messages.append((topic, time, m))
    bag = replace(drive, messages=messages).write(tmp_path / 'bag')
    status, folder = replay(bag, '--every', '0.5s', '--instruction', 'Go.')
    assert status == 0
    note = f'stamps jump back by 2.900 s at image {len(images) // 2} of /image'
    assert note in capsys.readouterr().err and note in (folder / 'report.html').read_text()
    decisions = read_decisions(folder / 'decisions.jsonl')
    frames = [d.frame for d in decisions]
    assert frames == sorted(frames) and len(images) // 2 in frames
    steps = np.diff([d.stamp for d in decisions])
    assert (steps < 0).sum() == 1 and steps.min() > -back


def test_a_cut_bag_replays_as_far_as_it_goes(tmp_path, replay, drive, capsys):
    bag = drive.write(tmp_path / 'bag')
    (file,) = bag.glob('*.mcap')
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * 0.7)])
    status, folder = replay(bag)
    assert status == 0
    decisions = [
        (d.episode, d.step, d.stamp, d.action, d.probabilities)
        for d in read_decisions(folder / 'decisions.jsonl')
    ]
    live = [(e, s, t, ACTION_NAMES[a], p) for e, s, t, a, p in drive.decisions]
    assert 4 <= len(decisions) < 10 and decisions == live[: len(decisions)]
    note = f'{file}: reading ended at byte'
    assert note in capsys.readouterr().err and note in (folder / 'report.html').read_text()


def test_a_damaged_message_is_left_out(tmp_path, replay, drive, capsys):
    stamp = drive.decisions[9][2]
    with (
        Reader(drive.write(tmp_path / 'plain')) as reader,
        Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        new = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=standard_types())
            for c in reader.connections
        }
        for connection, time, data in reader.messages():
            if connection.topic == CAMERA and stamp < time < stamp + 10**8:
                data = data[:1000]
            writer.write(new[connection.topic], time, data)
    status, folder = replay(tmp_path / 'bag')
    assert status == 0
    assert len(read_decisions(folder / 'decisions.jsonl')) == 9
    assert 'is damaged and left out' in capsys.readouterr().err


@pytest.mark.parametrize(
    'source, options, message',
    [
        ('nowhere', (), 'nowhere does not exist'),
        ('a.txt', (), 'a.txt is no bag'),
        ('.', (), 'is no bag (folder with metadata.yaml'),
        ('a.mp4', ('--instruction', 'Go.'), 'cannot be opened as a video'),
        ('old.bag', (), 'is a bag of ROS 1; convert it'),
    ],
)
def test_what_is_no_recording(tmp_path, replay, capsys, source, options, message):
    for name in ('a.txt', 'a.mp4', 'old.bag'):
        (tmp_path / name).write_text('hello')
    assert replay(tmp_path / source, *options)[0] == 2
    assert message in capsys.readouterr().err


def test_options_that_do_not_fit(tmp_path, drive, replay, capsys):
    from janusvln_ros.replay.command import main

    bag = drive.write(tmp_path / 'bag')
    assert main([str(bag)]) == 2
    assert '--model DIR is needed' in capsys.readouterr().err
    assert main([str(bag), '--model', str(tmp_path / 'nowhere')]) == 2
    assert 'nowhere' in capsys.readouterr().err
    for bad in ('0s', '-1s', 'often', 'nans', '1.2.3s'):
        with pytest.raises(SystemExit) as ended:
            replay(bag, f'--every={bad}')
        assert ended.value.code == 2
        assert 'is not action, frame or a time such as 0.5s' in capsys.readouterr().err
    images = drive.write(
        tmp_path / 'images',
        without=('/odom', '/motion_status', '/navigation_action', '/navigator_status'),
    )
    assert replay(images, '--every', 'action')[0] == 2
    assert 'use --every frame or --every 0.5s' in capsys.readouterr().err
    assert replay(images, '--compare', 'live')[0] == 2
    assert '--compare live needs recorded actions' in capsys.readouterr().err


def test_messages_of_ours_from_another_time(tmp_path, replay, drive, capsys):
    """A bag older than a message's present definition."""
    bag = drive.write(tmp_path / 'plain', without=('/navigation_action',))
    old = get_types_from_msg(
        'std_msgs/Header header\nuint8 action\n', 'janusvln_ros/msg/NavigationAction'
    )
    types = standard_types()
    del types.fielddefs['janusvln_ros/msg/NavigationAction']
    types.register(old)
    with (
        Reader(bag) as reader,
        Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        new = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=types)
            for c in reader.connections
        }
        actions = writer.add_connection(
            '/navigation_action', 'janusvln_ros/msg/NavigationAction', typestore=types
        )
        for connection, time, data in reader.messages():
            writer.write(new[connection.topic], time, data)
        message = types.types['janusvln_ros/msg/NavigationAction'](
            header=drive.messages[0][2].header, action=1
        )
        writer.write(
            actions, time, types.serialize_cdr(message, 'janusvln_ros/msg/NavigationAction')
        )
    assert replay(tmp_path / 'bag')[0] == 2
    assert (
        '/navigation_action was recorded with another definition of janusvln_ros/msg/'
        'NavigationAction' in capsys.readouterr().err
    )
