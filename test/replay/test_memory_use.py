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
status = main(sys.argv[1:])
print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(status)
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
    peaks = []
    for count in FRAMES:
        bag = record(tmp_path / str(count), storage, count)
        seconds = count / 30 / 4  # four decisions either way
        words = f'--every={seconds}s --threads=1 --image-width=84 --device=cpu --instruction=Go.'
        folders = f'--model={checkpoint}', f'--output={tmp_path}/out{count}'
        run = subprocess.run(
            [sys.executable, '-c', PROGRAM, str(bag), *words.split(), *folders],
            capture_output=True,
            text=True,
            timeout=170,
            cwd=Path(__file__).parents[2],
        )
        assert run.returncode == 0, run.stderr
        peaks.append(int(run.stdout.split('PEAK ')[1]))
    # 184 MB more were read; some slack for the allocator's mood.
    assert peaks[1] - peaks[0] < 60, f'{peaks} MB'
