"""A long recording takes no more memory than a short one."""

from pathlib import Path
import subprocess
import sys

from janusvln_ros.recordings.writer import BagWriter
import numpy as np
import pytest

FRAMES = (40, 240)  # 37 and 221 MB of raw images
PROGRAM = """
import resource, sys
from janusvln_ros.replay.command import main
*words, short, long = sys.argv[1:]
for bag, seconds in (short, 1 / 3), (long, 2):  # between decisions: four of each
    assert main([bag, *words, f'--every={seconds}s', f'--output={bag}_replayed']) == 0
    print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def record(path: Path, storage: str, count: int) -> Path:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, 640 * 480 * 3, dtype=np.uint8)
    with BagWriter(path, storage) as writer:
        time = writer.message_class('builtin_interfaces/msg/Time')
        header = writer.message_class('std_msgs/msg/Header')
        image = writer.message_class('sensor_msgs/msg/Image')
        for i in range(count):
            stamp = 10**18 + i * 33_333_333
            writer.write_message(
                '/image',
                image(
                    header=header(
                        stamp=time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id=''
                    ),
                    height=480,
                    width=640,
                    encoding='rgb8',
                    is_bigendian=0,
                    step=1920,
                    data=noise,
                ),
                stamp,
            )
    return path


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_memory_is_bounded(tmp_path, checkpoint, storage):
    """One process reads the short one, then the long one; its peak hardly grows."""
    bags = [record(tmp_path / str(count), storage, count) for count in FRAMES]
    words = f'--model={checkpoint} --threads=1 --image-width=84 --device=cpu --instruction=Go.'
    run = subprocess.run(
        [sys.executable, '-c', PROGRAM, *words.split(), *map(str, bags)],
        capture_output=True,
        text=True,
        timeout=170,
        cwd=Path(__file__).parents[2],
    )
    assert run.returncode == 0, run.stderr
    short, long = (int(peak.split()[0]) for peak in run.stdout.split('PEAK ')[1:])
    # 184 MB more were read; some slack for the allocator's mood.
    assert long - short < 60, f'{short} and {long} MB'
