"""What fails while the machine stalls is tried again; what is wrong fails, and fails at once."""

import os
from pathlib import Path
import subprocess
import sys

import pytest
from stalls import Stalls, TRIES
from waiting import wait_for

pytestmark = pytest.mark.slow
SUPPORT = Path(__file__).parent / 'support'
TEST = """
import ctypes
from pathlib import Path
import pytest

@pytest.fixture
def tries():
    with open('tries', 'a') as file:
        print(file=file)  # a fixture is made anew for each try
    return len(Path('tries').read_text())

{mark}
def test(tries):
    ctypes.PyDLL(None).usleep(400_000)  # holds the interpreter: none of its threads runs
    assert {right}
"""


@pytest.mark.parametrize(
    ('mark', 'longest', 'right', 'tries', 'end'),
    [
        ('@pytest.mark.ros', 0.1, 'tries > 1', 2, '1 passed, 1 warning'),
        ('@pytest.mark.ros', 0.1, False, TRIES, '1 failed, 2 warnings'),
        ('@pytest.mark.ros', 100, 'tries > 1', 1, '1 failed in'),
        ('@pytest.mark.ros', 0.1, True, 1, '1 passed in'),
        ('', 0.1, 'tries > 1', 1, '1 failed in'),
    ],
    ids=['stalled', 'wrong', 'did not stall', 'right', 'not of real processes'],
)
def test_how_often_a_test_is_tried(tmp_path, mark, longest, right, tries, end):
    (tmp_path / 'conftest.py').write_text(f'import stalls\nstalls.LONGEST = {longest}\n')
    (tmp_path / 'test_one.py').write_text(TEST.format(mark=mark, right=right))
    words = '-q -p stalls -p no:cacheprovider -o markers=ros test_one.py'
    run = subprocess.run(
        [sys.executable, '-m', 'pytest', *words.split()],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(SUPPORT)},
        capture_output=True,
        text=True,
    )
    assert end in run.stdout.splitlines()[-1], run.stdout
    assert len((tmp_path / 'tries').read_text()) == tries
    assert run.stdout.count('failed while this machine stalled for 0.') == tries - 1


def test_a_process_that_is_given_no_time_is_noticed():
    busy = [sys.executable, '-c', 'while True: pass']
    one = min(os.sched_getaffinity(0))
    with Stalls() as stalls, subprocess.Popen(busy) as first, subprocess.Popen(busy) as second:
        try:
            for process in first, second:
                os.sched_setaffinity(process.pid, {one})
            os.sched_setscheduler(second.pid, os.SCHED_IDLE, os.sched_param(0))
            wait_for(lambda: stalls.worst > 0.3, 'the stall')
        finally:
            first.kill()
            second.kill()
