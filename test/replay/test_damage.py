"""Damaged bags: never a traceback, one line that says what, and what can be read is read."""

from contextlib import ExitStack
from pathlib import Path
import random
import re

from janusvln_ros.imaging.encodings import ImageError
from janusvln_ros.replay.command import make_parser
from janusvln_ros.replay.decisions import read_decisions
from janusvln_ros.replay.inputs import open_recording
import pytest

pytestmark = pytest.mark.slow

STORAGES = ('mcap', 'sqlite3')
ROUNDS = 4


def storage_file(bag: Path) -> Path:
    """Find the file beside metadata.yaml."""
    (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
    return file


def read_all(path: Path) -> tuple[int, list[str]]:
    """Read what a replay reads; return the number of good frames, and what was wrong."""
    options = make_parser().parse_args([str(path)])
    frames = 0
    with ExitStack() as resources:
        try:
            recording = open_recording(options, resources)
            recording.selection(options, 8)
            for frame in recording.frames(None):
                try:
                    frame.rgb()
                    frames += 1
                except ImageError:
                    pass
        except ValueError as error:  # what `main` prints and returns 2 for
            return 0, [str(error)]
        return frames, recording.problems()


def damaged(data: bytes, how: str, rng: random.Random) -> bytes:
    """Return the bytes of a storage file, cut or with some of them changed."""
    broken = bytearray(data)
    if how == 'cut':
        return data[: rng.choice([rng.randrange(60), rng.randrange(len(data))])]
    if how == 'flipped':
        places = [rng.randrange(len(data)) for _ in range(rng.choice([1, 3, 30]))]
    else:
        begins = [match.start() for match in re.finditer(rb'uint8 \w+|float32 \w+', data)]
        places = [rng.choice(begins) + rng.randrange(9) for _ in range(rng.choice([1, 3]))]
    for place in places:
        broken[place] = rng.randrange(256)
    return bytes(broken)


@pytest.mark.parametrize('how', ['cut', 'flipped', 'definitions'])
@pytest.mark.parametrize('storage', STORAGES)
def test_no_damage_ends_in_a_traceback(tmp_path, compressed_drive, storage, how):
    file = storage_file(compressed_drive.write(tmp_path / 'bag', storage))
    data, rng, frames = file.read_bytes(), random.Random(how + storage), []
    alone = tmp_path / file.name
    for _ in range(ROUNDS):
        alone.write_bytes(damaged(data, how, rng))
        count, problems = read_all(alone)
        assert count or problems
        assert all('\n' not in problem.partition('has:')[0] for problem in problems)
        frames.append(count)
    if how == 'definitions':
        assert min(frames) > 0, 'pictures are there whatever the definitions of ours say'


@pytest.mark.parametrize('size', [5, 20, 60])
def test_an_mcap_file_that_is_cut_at_its_beginning_is_said_to_be_cut(
    tmp_path, drive, replay, capsys, size
):
    file = storage_file(drive.write(tmp_path / 'bag'))
    file.write_bytes(file.read_bytes()[:size])
    assert replay(file)[0] == 2
    error = capsys.readouterr().err
    assert 'the file is cut' in error and 'is there another copy of it?' in error


def test_what_was_lost_may_be_what_is_missing(tmp_path, compressed_drive, replay, capsys):
    file = storage_file(compressed_drive.write(tmp_path / 'bag', without=('/instruction',)))
    file.write_bytes(file.read_bytes()[:60_000])
    assert replay(file, '--every', 'frame')[0] == 2
    error = capsys.readouterr().err
    assert 'the file is cut in a record of' in error
    assert 'In what is left, the bag has no instruction' in error


@pytest.mark.parametrize('storage', STORAGES)
def test_a_definition_that_says_nonsense_is_not_used(
    tmp_path, compressed_drive, replay, capsys, storage
):
    file = storage_file(compressed_drive.write(tmp_path / 'bag', storage))
    data = file.read_bytes()
    assert b'builtin_interfaces/Time motion_end' in data
    file.write_bytes(
        data.replace(b'builtin_interfaces/Time motion_end', b'builtin_interfaces/Tide motion_end')
    )
    status, folder = replay(file, '--compare', 'live')
    assert status == 0 and len(read_decisions(folder / 'decisions.jsonl')) == 10
    assert 'the definition of janusvln_ros/msg/MotionStatus is damaged' in capsys.readouterr().err


def test_frames_of_an_encoding_that_nobody_sees_are_not_said_to_be_missing(
    tmp_path, drive, replay, capsys
):
    file = storage_file(drive.write(tmp_path / 'bag'))
    file.write_bytes(file.read_bytes().replace(b'rgb8\0', b'xyz8\0'))
    status, _ = replay(file)
    error = capsys.readouterr().err
    assert status == 2 and "image encoding 'xyz8' is not a picture" in error
    assert 'none of the 10 chosen frames could be decided from' in error
    assert 'are there images after the instruction' not in error
