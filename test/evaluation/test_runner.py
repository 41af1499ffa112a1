"""Runs: resumable after any kill, shared by ranks, the same every time."""

from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from janusvln_ros.evaluation.agents import AgentSpec
from janusvln_ros.evaluation.runner import EnvironmentSpec, evaluate, read_records, Run
import pytest

pytestmark = pytest.mark.slow

HOUSE = EnvironmentSpec('val_unseen_small', width=64, height=48)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / 'run', AgentSpec('expert'), HOUSE, ('reach', 'depth'), 4)


def test_records_say_what_happened(run):
    records = evaluate(run, quiet=True)
    assert [record['key'] for record in records] == ['0', '3', '7', '10']
    for record in records:
        assert record['sr'] == 1 and record['spl'] > 0.9 and record['ndtw'] > 0.95
        assert record['stopped'] and record['actions'][-1] == 0
        assert len(record['path']) == len(record['actions']) == record['steps']
        assert record['pictures'] is None
    assert {record['category'] for record in records} == {'reach', 'depth'}


def test_baselines_fail_and_repeat(run, tmp_path):
    for policy in ('random', 'forward', 'stop'):
        runs = [
            replace(run, folder=tmp_path / f'{policy}{i}', agent=AgentSpec(policy))
            for i in range(2)
        ]
        first, second = (evaluate(r, quiet=True) for r in runs)
        assert first == second
        assert sum(record['sr'] for record in first) <= 1
    assert all(record['steps'] == 1 for record in first)  # of stop


def test_pictures_are_the_same_each_time_and_in_other_processes(run, tmp_path):
    run = replace(run, hash_pictures=True, episodes=2)
    first = evaluate(run, quiet=True)
    second = evaluate(replace(run, folder=tmp_path / 'again'), processes=2, quiet=True)
    assert first == second
    assert all(len(record['pictures']) == 64 for record in first)
    assert first[0]['pictures'] != first[1]['pictures']


def test_goes_on_behind_a_line_that_was_cut_off(run):
    whole = evaluate(run, quiet=True)
    path = run.folder / 'results-0.jsonl'
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(''.join(lines[:2]) + lines[2][:40])
    assert len(read_records(run.folder)) == 2
    assert evaluate(run, quiet=True) == whole
    assert len(path.read_text().splitlines()) == 4
    assert evaluate(run, quiet=True) == whole  # nothing left to do
    assert len(path.read_text().splitlines()) == 4


def test_a_broken_line_is_named(run):
    evaluate(replace(run, episodes=1), quiet=True)
    path = run.folder / 'results-0.jsonl'
    path.write_text('nonsense\n' + path.read_text())
    with pytest.raises(ValueError, match=r'results-0.jsonl, line 1 is no record'):
        read_records(run.folder)


def test_another_run_in_the_same_folder_is_refused(run):
    evaluate(replace(run, episodes=1), quiet=True)
    with pytest.raises(ValueError, match='other settings .agent'):
        evaluate(replace(run, agent=AgentSpec('stop')), quiet=True)


def test_ranks_share_the_episodes(run, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('RANK', '1')
    assert [record['key'] for record in evaluate(run, quiet=True)] == ['3', '10']
    monkeypatch.setenv('RANK', '0')
    assert [record['key'] for record in evaluate(run, quiet=True)] == ['0', '3', '7', '10']
    assert len((run.folder / 'results-0.jsonl').read_text().splitlines()) == 2


def command(folder, *more):
    words = '--policy expert --split val_unseen_small --episodes 9'.split()
    module = 'janusvln_ros.evaluation.command'
    return [sys.executable, '-m', module, *words, f'--output={folder}', *more]


def lines(folder):
    return [
        line for path in folder.glob('results-*.jsonl') for line in path.read_text().splitlines()
    ]


def wait_for_lines(process, folder, count):
    end = time.monotonic() + 120
    while len(lines(folder)) < count:
        assert process.poll() is None, 'the run ended before it could be killed'
        assert time.monotonic() < end, 'the run wrote nothing'
        time.sleep(0.02)


def test_survives_kill_9(tmp_path):
    folder = tmp_path / 'run'
    process = subprocess.Popen(command(folder, '--processes', '1'), stderr=subprocess.DEVNULL)
    wait_for_lines(process, folder, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = [line for line in lines(folder) if line.endswith('}')]
    again = subprocess.run(command(folder, '--processes', '2'), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    records = [json.loads(line) for line in lines(folder)]
    assert sorted(int(record['key']) for record in records) == list(range(9))
    assert [json.loads(line) for line in before] == records[: len(before)]
    assert '| all | 9 |' in again.stdout


def test_ctrl_c_keeps_what_is_done(tmp_path):
    folder = tmp_path / 'run'
    process = subprocess.Popen(
        command(folder, '--processes', '2', '--episodes', '140'),  # many: it must not end before
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_lines(process, folder, 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert 'goes on from here' in said and 'Traceback' not in said
    assert len(read_records(folder)) >= 1


def test_a_running_run_is_not_joined_by_another(run):
    run.folder.mkdir()
    other = subprocess.Popen(
        [
            sys.executable,
            '-c',
            (
                'import fcntl, sys, time; f = open(sys.argv[1], "a");'
                'fcntl.flock(f, fcntl.LOCK_EX); print("held", flush=True); time.sleep(60)'
            ),
            str(run.folder / 'results-0.jsonl'),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        other.stdout.readline()
        with pytest.raises(RuntimeError, match='being written by another process'):
            evaluate(run, quiet=True)
    finally:
        other.kill()
        other.communicate()


def test_a_videos_and_report(run, tmp_path):
    from janusvln_ros.evaluation.report import write_report

    run = replace(run, videos=1, episodes=2)
    summaries = write_report(run.folder, evaluate(run, quiet=True))
    assert summaries['all']['all']['sr']['mean'] == 1.0
    assert set(summaries['category']) == {'reach', 'depth'}
    assert (run.folder / 'episode-0.mp4').stat().st_size > 1000
    page = (run.folder / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == 2
    assert 'src="http' not in page and 'href=' not in page
    assert '| reach | 1 |' in (run.folder / 'summary.md').read_text()


def test_every_file_of_a_run_is_in_its_folder(run, tmp_path):
    evaluate(replace(run, episodes=1), quiet=True)
    assert {path.name for path in Path(tmp_path).rglob('*') if path.is_file()} == {
        'run.json',
        'results-0.jsonl',
    }
