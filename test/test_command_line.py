"""The command line from outside: help, versions, and one line with status 2 for what is wrong."""

import os
from pathlib import Path
import subprocess
import sys

from janusvln_ros import cli, version
import pytest
from waiting import wait_for

ROOT = Path(__file__).parents[1]
NODES = 'navigator', 'motion_executor', 'sim_robot', 'console'
COMMAND = [sys.executable, '-m', 'janusvln_ros.cli']


def run_all(commands, **options):
    """Run processes at the same time; return status, stdout and stderr of each."""
    started = [
        subprocess.Popen(
            [*COMMAND, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            **options,
        )
        for words in commands
    ]
    found = [process.communicate(timeout=60) for process in started]
    return [(process.returncode, *texts) for process, texts in zip(started, found)]


def test_version_is_that_of_the_package(capsys):
    assert cli.main(['--version']) == 0
    assert capsys.readouterr().out == f'janusvln_ros {version()}\n'


def test_no_command_is_told_which_there_are(capsys):
    assert cli.main([]) == 2
    said = capsys.readouterr().out
    assert all(name in said for name in cli.COMMANDS)


def test_help_of_nodes_is_printed_and_ends(ros_domain):
    for name, (status, out, err) in zip(NODES, run_all([[name, '--help'] for name in NODES])):
        assert (status, err) == (0, '')
        assert out.startswith(f'usage: janusvln {name} ') and 'parameters:' in out


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['--nosuch'], "unknown argument '--nosuch'"),
        ([''], "unknown argument ''"),
        (['--ros-args', '--nosuch'], 'unknown ROS arguments'),
        (['--ros-args', '--params-file', '/nosuch.yaml'], '/nosuch.yaml'),
        (['--ros-args', '--params-file', '/'], 'params file'),
        (['--ros-args', '-p'], 'No parameter override rule'),
        (['--ros-args', '-p', 'rooms'], 'rooms'),
        (['--ros-args', '-p', 'scene:=\udcff'], 'utf-8'),
        (['--ros-args', '--log-level', 'loud'], 'loud'),
    ],
)
def test_wrong_arguments_of_a_node_are_one_line(words, text, capsys):
    assert cli.main(['sim_robot', *words]) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1
    assert err.startswith('sim_robot: ') and text in err, err


def test_wrong_parameters_end_a_node_with_one_line(ros_domain):
    wrong = [
        *((node, 'nosuch:=1', 'no parameter nosuch') for node in NODES),
        ('sim_robot', 'rooms:=-5', 'rooms'),
        ('sim_robot', 'scene:=nosuch', 'nosuch'),
        ('motion_executor', 'execution_mode:=3', 'execution_mode'),
    ]
    found = run_all([[node, '--ros-args', '-p', rule] for node, rule, _ in wrong])
    for (node, rule, text), (status, out, err) in zip(wrong, found):
        assert (status, out, err.count('\n')) == (2, '', 1), (rule, out, err)
        assert err.startswith(f'{node}: ') and text in err, err


def test_a_reader_that_goes_ends_a_command_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    for words in (['--help'], ['motion_executor', '--help']):
        done = subprocess.run(
            [*COMMAND, *words], stdout=writing, stderr=subprocess.PIPE, check=False, cwd=ROOT
        )
        assert (done.returncode, done.stderr) == (141, b'')
    os.close(writing)


@pytest.mark.parametrize('words', [[name] for name in (*NODES, 'demo')] + [['benchmark', '--ros']])
def test_without_ros_a_command_that_needs_it_says_so(words):
    code = (
        'import sys\nfor name in ("rclpy", "builtin_interfaces"): sys.modules[name] = None\n'
        f'from janusvln_ros.cli import main\nsys.exit(main({words}))'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.count('\n') == 1
    assert done.stderr.startswith(f'janusvln {words[0]}: needs ROS 2: ')


@pytest.mark.parametrize(
    ('node', 'said'),
    [
        ('navigator', 'ros2 lifecycle set /navigator configure'),
        ('motion_executor', 'takes actions from /navigation_action and odometry from /odom'),
    ],
)
def test_node_alone_says_what_it_waits_for(node, said, start_command, tmp_path):
    with open(tmp_path / 'log', 'wb') as log:
        start_command(node, stdout=log, stderr=log)
    wait_for(lambda: said in (tmp_path / 'log').read_text(), f'what {node} waits for', 30)
