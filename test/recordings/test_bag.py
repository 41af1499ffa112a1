"""Whole bags are read by rosbags; cut, damaged and index-less ones as far as they go."""

from binascii import crc32
from pathlib import Path
import shutil
import sqlite3
import struct

from hypothesis import given, HealthCheck, settings, strategies
from janusvln_ros.recordings.bag import Bag, BagError, is_bag
from janusvln_ros.recordings.messages import standard_types
from janusvln_ros.recordings.salvage import zstd
import lz4.frame
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

TYPES = standard_types()
STRING = 'std_msgs/msg/String'
COUNT = 400


def payload(i: int) -> bytes:
    # Long enough that 400 of them fill several chunks.
    text = f'{i}:' + ''.join(chr(33 + (i * 7919 + j * j * 104729) % 90) for j in range(90)) * 100
    return bytes(TYPES.serialize_cdr(TYPES.types[STRING](data=text), STRING))


PAYLOADS = [payload(i) for i in range(COUNT)]


def write(folder: Path, storage: str, mode: CompressionMode = CompressionMode.NONE) -> Path:
    writer = Writer(folder, version=8, storage_plugin=StoragePlugin[storage.upper()])
    if mode != CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = [
            writer.add_connection(topic, STRING, typestore=TYPES) for topic in ('/even', '/odd')
        ]
        for i, data in enumerate(PAYLOADS):
            writer.write(connections[i % 2], 1_000_000_000 + i, data)
    return folder


def storage_file(folder: Path) -> Path:
    (file,) = (f for f in folder.iterdir() if f.name != 'metadata.yaml')
    return file


def read(path: Path, names: tuple[str, ...] = ()) -> tuple[list[int], list[str]]:
    with Bag(path) as bag:
        decode = bag.decoder(list(bag.topics))
        numbers = []
        for message in bag.messages(names):
            number = int(decode(message).data.partition(':')[0])
            assert message[2] == PAYLOADS[number], 'the bytes changed'
            assert message[0].name == ('/even', '/odd')[number % 2]
            assert message[1] == 1_000_000_000 + number
            numbers.append(number)
        return numbers, bag.problems


WHOLE = [
    ('mcap', CompressionMode.NONE),
    ('mcap', CompressionMode.STORAGE),
    ('mcap', CompressionMode.FILE),
    ('mcap', CompressionMode.MESSAGE),
    ('sqlite3', CompressionMode.NONE),
    ('sqlite3', CompressionMode.FILE),
    ('sqlite3', CompressionMode.MESSAGE),
]


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bags')
    return {(s, m): write(folder / f'{s}_{m.name}', s, m) for s, m in WHOLE}


@pytest.mark.parametrize('kind', WHOLE, ids=lambda k: f'{k[0]}-{k[1].name}')
def test_whole_bags_are_read_whole(bags, kind):
    assert is_bag(bags[kind])
    assert read(bags[kind]) == (list(range(COUNT)), [])
    assert read(bags[kind], ('/odd',)) == (list(range(1, COUNT, 2)), [])


@pytest.mark.parametrize('kind', WHOLE, ids=lambda k: f'{k[0]}-{k[1].name}')
def test_single_files_are_read_without_their_folder(bags, kind, tmp_path):
    file = storage_file(bags[kind])
    alone = Path(shutil.copy(file, tmp_path))
    assert is_bag(alone)
    assert read(alone)[0] == list(range(COUNT))


@pytest.mark.parametrize('kind', WHOLE, ids=lambda k: f'{k[0]}-{k[1].name}')
def test_a_cut_bag_gives_its_beginning_and_says_where_it_ends(bags, kind, tmp_path):
    cut = tmp_path / 'cut'
    shutil.copytree(bags[kind], cut)
    file = storage_file(cut)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * 0.6)])
    numbers, problems = read(cut)
    assert numbers == list(range(len(numbers)))
    assert 0.3 * COUNT < len(numbers) < 0.7 * COUNT
    assert problems and 'cut' in problems[0] or 'ended' in problems[0]


@pytest.mark.parametrize('kind', WHOLE[:2], ids=lambda k: f'{k[0]}-{k[1].name}')
def test_a_recorder_that_was_killed_left_no_metadata(bags, kind, tmp_path):
    """A killed recorder leaves an MCAP file that ends anywhere, and no metadata.yaml."""
    data = storage_file(bags[kind]).read_bytes()
    folder = tmp_path / 'bag'
    folder.mkdir()
    (folder / 'bag_0.mcap').write_bytes(data)
    assert read(folder) == (list(range(COUNT)), [])
    (folder / 'bag_0.mcap').write_bytes(data[: len(data) // 2])
    numbers, (problem,) = read(folder)
    assert numbers == list(range(len(numbers))) and len(numbers) > 100
    assert 'reading ended at byte' in problem and 'bag_0.mcap' in problem


def test_files_of_a_split_bag_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / 'bag'
    folder.mkdir()
    for number in range(12):
        part = mcap(
            [
                *HEADER,
                *(message(1, i, PAYLOADS[i]) for i in range(number * 4, number * 4 + 4, 2)),
                *END,
            ]
        )
        (folder / f'bag_{number}.mcap').write_bytes(part)
    assert read(folder)[0] == list(range(0, 48, 2))
    (folder / 'bag_5.mcap').write_bytes(b'')
    numbers, (problem,) = read(folder)
    assert numbers == list(range(0, 20, 2)) and 'bag_5.mcap is empty' in problem


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=strategies.sampled_from(WHOLE),
    cut=strategies.floats(0, 1),
    flips=strategies.lists(
        strategies.tuples(strategies.floats(0, 1), strategies.integers(1, 255)), max_size=3
    ),
)
def test_no_damage_makes_it_crash(bags, tmp_path, kind, cut, flips):
    """Whatever is broken: messages, or a BagError, and never anything else."""
    data = bytearray(storage_file(bags[kind]).read_bytes())
    del data[int(cut * len(data)) :]
    for place, value in flips:
        if data:
            data[int(place * (len(data) - 1))] ^= value
    file = tmp_path / storage_file(bags[kind]).name
    file.write_bytes(data)
    try:
        with Bag(file) as bag:
            for _ in bag.messages():
                pass
    except BagError as error:
        assert str(file.name) in str(error) or 'empty' in str(error)


# MCAP as other recorders write it: rosbags' own writer always makes an index and no checksum.


def record(opcode: int, body: bytes) -> bytes:
    return struct.pack('<BQ', opcode, len(body)) + body


def text(value: str) -> bytes:
    return struct.pack('<I', len(value.encode())) + value.encode()


def message(channel: int, i: int, data: bytes) -> bytes:
    time = 1_000_000_000 + i
    return record(5, struct.pack('<HIQQ', channel, i, time, time) + data)


def chunk(content: bytes, compression: str = '', checksum: int | None = None) -> bytes:
    packed = {'': bytes, 'lz4': lz4.frame.compress, 'zstd': zstd.compress}[compression](content)
    crc = crc32(content) if checksum is None else checksum
    head = struct.pack('<QQQI', 0, 2**62, len(content), crc)
    return record(6, head + text(compression) + struct.pack('<Q', len(packed)) + packed)


def mcap(records: list[bytes]) -> bytes:
    return b'\x89MCAP0\r\n' + b''.join(records)


HEADER = [
    record(1, text('ros2') + text('test')),
    record(3, struct.pack('<H', 1) + text(STRING) + text('ros2msg') + text('string data\n')),
    record(4, struct.pack('<HH', 1, 1) + text('/even') + text('cdr') + struct.pack('<I', 0)),
    record(4, struct.pack('<HH', 2, 1) + text('/odd') + text('cdr') + struct.pack('<I', 0)),
]
END = [record(15, struct.pack('<I', 0)), record(2, struct.pack('<QQI', 0, 0, 0)), b'\x89MCAP0\r\n']
MESSAGES = [message(1 + i % 2, i, PAYLOADS[i]) for i in range(100)]


@pytest.mark.parametrize('compression', ['none', '', 'lz4', 'zstd'])
def test_mcap_without_an_index_is_read(tmp_path, compression):
    """Also when its times are not in order, which rosbags refuses without an index."""
    order = [0, 2, 1, *range(3, 100)]
    messages = [MESSAGES[i] for i in order]
    if compression != 'none':
        messages = [
            chunk(b''.join(messages[:50]), compression),
            chunk(b''.join(messages[50:]), compression),
        ]
    file = tmp_path / 'a.mcap'
    file.write_bytes(mcap([*HEADER, *messages, *END]))
    assert read(file) == (order, [])


@pytest.mark.parametrize('compression', ['', 'lz4', 'zstd'])
def test_mcap_cut_in_the_middle_of_a_chunk_gives_the_messages_before_the_cut(
    tmp_path, compression
):
    file = tmp_path / 'a.mcap'
    first, second = (chunk(b''.join(part), compression) for part in (MESSAGES[:50], MESSAGES[50:]))
    data = mcap([*HEADER, first, second[: len(second) // 2]])
    file.write_bytes(data)
    numbers, (problem,) = read(file)
    assert numbers == list(range(len(numbers)))
    assert 55 < len(numbers) < 80, 'nothing of the cut chunk was used, or too much'
    assert f'reading ended at byte {len(mcap([*HEADER, first]))}' in problem


def test_a_wrong_checksum_ends_reading_before_its_chunk(tmp_path):
    file = tmp_path / 'a.mcap'
    first, second = (b''.join(part) for part in (MESSAGES[:50], MESSAGES[50:]))
    file.write_bytes(mcap([*HEADER, chunk(first), chunk(second, checksum=1), *END]))
    numbers, (problem,) = read(file)
    assert numbers == list(range(50)) and 'checksum' in problem


@pytest.mark.parametrize(
    'damaged',
    [record(4, struct.pack('<HHI', 3, 1, 2**30) + b'/third'), record(5, b'short')],
    ids=['channel', 'message'],
)
def test_fields_that_do_not_fit_into_their_record_end_the_reading(tmp_path, damaged):
    file = tmp_path / 'a.mcap'
    before = mcap([*HEADER, *MESSAGES[:50], damaged])
    file.write_bytes(before + b''.join(MESSAGES[50:]))
    numbers, (problem,) = read(file)
    assert numbers == list(range(50))
    assert f'reading ended before byte {len(before)}: a record is damaged' in problem


def test_a_tail_of_zeros_is_noticed(tmp_path):
    """A file system that lost power leaves zeros."""
    file = tmp_path / 'a.mcap'
    file.write_bytes(mcap([*HEADER, *MESSAGES]) + bytes(5000))
    numbers, (problem,) = read(file)
    assert numbers == list(range(100)) and '0x00 begins no MCAP record' in problem


def test_damage_in_the_middle_of_a_whole_bag_ends_reading_there(bags, tmp_path):
    folder = tmp_path / 'bag'
    shutil.copytree(bags['mcap', CompressionMode.STORAGE], folder)
    file = storage_file(folder)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1000] = bytes(1000)
    file.write_bytes(data)
    numbers, (problem,) = read(folder)
    assert numbers == list(range(len(numbers))) and 50 < len(numbers) < 250
    assert f'reading ended after {len(numbers)} messages' in problem


def test_what_is_no_bag_gets_a_clear_error(tmp_path):
    with pytest.raises(BagError, match='does not exist'):
        Bag(tmp_path / 'nowhere')
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(BagError, match='rosbags-convert --src'):
        Bag(tmp_path / 'old.bag')
    (tmp_path / 'folder').mkdir()
    assert not is_bag(tmp_path / 'folder')
    with pytest.raises(BagError, match=r'holds no .mcap or .db3 file'):
        Bag(tmp_path / 'folder')
    for name in ('a.mcap', 'a.db3'):
        (tmp_path / name).write_bytes(b'')
        with pytest.raises(BagError, match=f'{name} is empty'):
            Bag(tmp_path / name)
        (tmp_path / name).write_bytes(b'hello, I am a text file' * 100)
        with pytest.raises(BagError, match=name):
            Bag(tmp_path / name)
    sqlite3.connect(tmp_path / 'other.db3').execute('CREATE TABLE t (x)').connection.close()
    with pytest.raises(BagError, match='not even the list of topics'):
        Bag(tmp_path / 'other.db3')


def test_a_bag_without_messages_opens_and_gives_none(tmp_path):
    for storage in ('mcap', 'sqlite3'):
        folder = tmp_path / storage
        with Writer(folder, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
            writer.add_connection('/even', STRING, typestore=TYPES)
        assert read(folder) == ([], [])
