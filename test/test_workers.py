"""Workers end with the command that started them, and it does not wait for one that is dead."""

import os
import signal
import subprocess
import sys
from threading import Timer

from janusvln_ros.workers import in_processes
import pytest
from tasks import counters, sleepers, squares
from waiting import wait_for

pytestmark = pytest.mark.slow

COMMANDS = {
    'evaluate': 'evaluate --policy expert --split val_unseen --processes 2 --output'.split(),
    'views': 'data views --tours 2000 --rooms 1 1 --processes 2'.split(),
}


@pytest.mark.parametrize('processes', [1, 2])
def test_every_task_is_done_once_by_what_each_process_makes_once(tmp_path, processes):
    results = list(in_processes(range(20), squares, tmp_path, processes=processes))
    assert sorted(results) == [task**2 for task in range(20)]
    made = {path.name for path in tmp_path.glob('made_*')}
    assert 1 <= len(made) <= processes
    assert (made == {f'made_{os.getpid()}'}) == (processes == 1)


def test_without_tasks_nothing_is_made(tmp_path):
    assert list(in_processes([], squares, tmp_path, processes=2)) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('processes', [1, 2])
def test_a_fault_of_a_worker_comes_as_it_is(tmp_path, processes):
    with pytest.raises(ValueError, match='no square of 3'):
        list(in_processes(range(6), squares, tmp_path, 3, processes=processes))


@pytest.mark.parametrize('said', [None, 1])
def test_processes_share_the_cores_unless_told_otherwise(monkeypatch, said):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: range(5))
    if said:
        monkeypatch.setenv('OMP_NUM_THREADS', str(said))
    threads = set(in_processes([0, 1, 2], counters, processes=2))
    assert threads == {said or 2}
    assert os.environ.get('OMP_NUM_THREADS') == (said and str(said))


def test_what_is_under_way_when_ctrl_c_comes_is_not_lost(tmp_path):
    given = []
    with pytest.raises(KeyboardInterrupt):
        for result in in_processes(range(60), sleepers, tmp_path, processes=2):
            given.append(result)
            if len(given) == 1:
                Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert given and sorted(given) == sorted(int(p.name) for p in tmp_path.iterdir())
    assert len(given) < 60


def _start(marked, tmp_path, words):
    """Start a command; give it, and what tells its workers, when they are at work."""
    environment, running = marked
    process = subprocess.Popen(
        [sys.executable, '-m', 'janusvln_ros.cli', *words, str(tmp_path / 'out')],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    def workers():
        return [number for number, line in running().items() if 'spawn_main' in line]

    def at_work():
        assert process.poll() is None, process.communicate()
        return len(workers()) == 2 and any(tmp_path.rglob('*.*'))

    wait_for(at_work, 'work', 120)
    return process, workers


@pytest.mark.parametrize('words', COMMANDS.values(), ids=COMMANDS)
def test_a_killed_worker_ends_the_command_with_a_word(marked, tmp_path, words):
    process, workers = _start(marked, tmp_path, words)
    os.kill(min(workers()), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (1, 2)
    assert 'a worker process was killed' in said and 'Traceback' not in said
    assert not marked[1]()


@pytest.mark.parametrize('words', COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_command_that_is_killed(marked, tmp_path, words, number):
    process, _ = _start(marked, tmp_path, words)
    process.send_signal(number)
    process.communicate(timeout=60)
    wait_for(lambda: not marked[1](), 'the end of the workers', 30)
