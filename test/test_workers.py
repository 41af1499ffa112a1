"""What a command starts ends with it, even if it is killed."""

import signal
import subprocess
import sys
import time

import pytest

VIEWS = (
    'from pathlib import Path; from janusvln_ros.training.data.views import write_views;'
    'import sys; write_views(Path(sys.argv[1]), tours=2000, seed=1, '
    'rooms=(1, 1), processes=2)'
)


@pytest.mark.parametrize(
    'words',
    [
        [
            '-m',
            'janusvln_ros.cli',
            'evaluate',
            '--policy',
            'expert',
            '--split',
            'val_unseen',
            '--processes',
            '2',
            '--output',
        ],
        ['-c', VIEWS],
    ],
    ids=['evaluate', 'farm'],
)
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_command_that_is_killed(marked, tmp_path, words, number):
    environment, running = marked

    def workers():
        return [line for line in running().values() if 'spawn_main' in line]

    process = subprocess.Popen(
        [sys.executable, *words, str(tmp_path / 'out')],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 120
    while len(workers()) < 2 or not any(tmp_path.rglob('*.*')):
        assert process.poll() is None and time.monotonic() < end, 'no worker began'
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(60)
    end = time.monotonic() + 30
    while running():
        assert time.monotonic() < end, running()
        time.sleep(0.05)
