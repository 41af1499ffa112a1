"""Bags that we write are read back by rosbags, in both storages."""

import sqlite3
import threading

from janusvln_ros.recordings.messages import standard_types, types_for, UnknownTypeError
from janusvln_ros.recordings.topics import is_latched, TOPICS
from janusvln_ros.recordings.writer import BagWriter
import numpy as np
import pytest
from rosbags.rosbag2 import Reader


def string(writer: BagWriter, text: str) -> object:
    return writer.message_class('std_msgs/msg/String')(data=text)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_written_messages_are_read_back_in_order(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        for i in range(5):
            writer.write_message('/instruction', string(writer, f'sentence {i}'), 1000 + i)
    types = standard_types()
    with Reader(tmp_path / 'bag') as reader:
        read = [
            (connection.topic, time, types.deserialize_cdr(raw, connection.msgtype).data)
            for connection, time, raw in reader.messages()
        ]
    assert read == [('/instruction', 1000 + i, f'sentence {i}') for i in range(5)]


def test_every_topic_of_the_table_can_be_announced_and_carries_its_definition(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for topic in TOPICS:
            writer.add_topic('/' + topic.name.lstrip('/'), topic.msgtype)
    with Reader(tmp_path / 'bag') as reader:
        found = {c.topic: c for c in reader.connections}
    assert set(found) == {'/' + t.name.lstrip('/') for t in TOPICS}
    action = found['/navigation_action']
    store = types_for({action.msgtype: action.msgdef.data})
    assert [name for name, _ in store.fielddefs[action.msgtype][1]] == [
        'header',
        'instruction_id',
        'step',
        'action',
        'probabilities',
        'decision_time',
        'session_id',
    ]


def test_latched_topics_are_offered_transient_local_in_any_namespace(tmp_path):
    assert is_latched('/robot1/navigator_status') and is_latched('/tf_static')
    assert not is_latched('/my_navigator_status') and not is_latched('/image')
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/robot1/navigator_status', 'janusvln_ros/msg/NavigatorStatus')
    with Reader(tmp_path / 'bag') as reader:
        (qos,) = reader.connections[0].ext.offered_qos_profiles
    assert qos.durability.name == 'TRANSIENT_LOCAL'


def test_compressed_bag_is_smaller_and_equal(tmp_path):
    raw = np.zeros(4_000_000, np.uint8).tobytes()
    sizes = {}
    for compress in (False, True):
        path = tmp_path / f'bag{compress}'
        with BagWriter(path, compress=compress) as writer:
            writer.write('/instruction', 'std_msgs/msg/String', raw, 1)
        with Reader(path) as reader:
            assert [data for _, _, data in reader.messages()] == [raw]
        sizes[compress] = (path / f'{path.name}.mcap').stat().st_size
    assert sizes[True] < sizes[False] / 100


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_messages_may_come_from_several_threads(tmp_path, storage):
    writer = BagWriter(tmp_path / 'bag', storage)

    def write(number):
        for i in range(50):
            writer.write_message(f'/topic{number}', string(writer, f'{i}'), 1000 * i + number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    with Reader(tmp_path / 'bag') as reader:
        assert {c.topic: c.msgcount for c in reader.connections} == {
            f'/topic{number}': 50 for number in range(4)
        }


def test_late_messages_are_dropped_and_closing_twice_is_fine(tmp_path):
    writer = BagWriter(tmp_path / 'bag', 'sqlite3')
    writer.write_message('/instruction', string(writer, 'a'), 1)
    writer.close()
    writer.write_message('/instruction', string(writer, 'b'), 2)
    writer.close()
    count = sqlite3.connect(tmp_path / 'bag' / 'bag.db3').execute('SELECT count(*) FROM messages')
    assert count.fetchone() == (1,)


def test_bad_use_says_what_would_be_right(tmp_path):
    with pytest.raises(ValueError, match="'rosbag1' is not one of"):
        BagWriter(tmp_path / 'bag', 'rosbag1')
    with pytest.raises(ValueError, match='needs the mcap storage'):
        BagWriter(tmp_path / 'bag', 'sqlite3', compress=True)
    with BagWriter(tmp_path / 'bag') as writer, pytest.raises(ValueError, match='add_topic'):
        writer.write('/x', 'acme_msgs/msg/Anvil', b'\0\1\0\0', 1)
    with pytest.raises(FileExistsError, match='exists already'):
        BagWriter(tmp_path / 'bag')


def test_our_messages_are_found_in_an_installed_prefix(tmp_path, monkeypatch):
    module = tmp_path / 'lib' / 'python3.12' / 'site-packages' / 'janusvln_ros' / '__init__.py'
    monkeypatch.setattr('janusvln_ros.__file__', str(module))
    with pytest.raises(FileNotFoundError, match='without its share/janusvln_ros'):
        standard_types()
    share = tmp_path / 'share' / 'janusvln_ros'
    (share / 'msg').mkdir(parents=True)
    (share / 'package.xml').touch()
    (share / 'msg' / 'NavigationAction.msg').write_text('int32 other')
    _, ((name, _),) = standard_types().fielddefs['janusvln_ros/msg/NavigationAction']
    assert name == 'other'


def test_a_type_that_nobody_defines_is_named():
    with pytest.raises(UnknownTypeError, match='acme_msgs/msg/Anvil is unknown'):
        types_for({'acme_msgs/msg/Anvil': ''})


def test_a_definition_that_cannot_be_parsed_is_replaced_by_ours():
    store = types_for({'std_msgs/msg/String': 'what is this ???\n=='})
    assert [name for name, _ in store.fielddefs['std_msgs/msg/String'][1]] == ['data']
