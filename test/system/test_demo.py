"""The demo as a user runs it, and that no process outlives it."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import av
from janusvln_ros.nodes.common.qos import LATCHED
from janusvln_ros.system.processes import NodeProcesses
import pytest
from rclpy.node import Node
from ros import spinning
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from waiting import stays, wait_for

pytestmark = pytest.mark.ros
PATIENCE = 150.0  # s of wall time, on a busy machine


@pytest.fixture
def demo(start_command, marked, tmp_path):
    environment, running = marked

    def demo(*arguments):
        log = open(tmp_path / 'demo.txt', 'wb')
        process = start_command(
            *f'demo --out={tmp_path / "out"} --device=cpu --checkpoint=random'.split(),
            *arguments,
            stdout=log,
            stderr=log,
            env={**environment, 'OMP_NUM_THREADS': '1'},
        )
        return process, running, tmp_path / 'demo.txt'

    return demo


def test_demo_runs_to_its_end_and_leaves_its_results(demo, tmp_path):
    process, running, text = demo('--max-steps', '3', '--count', '2', '--depth')
    wait_for(lambda: process.poll() is not None, 'end of the demo', PATIENCE)
    printed = text.read_text()
    assert process.returncode == 0, printed
    assert not running()
    assert 'RANDOM weights' in printed and 'does NOT follow the instruction' in printed
    assert printed.count('"') >= 8 and 'summary' in printed
    assert 'of 2 instructions followed to their goal' in printed
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['random_weights'] and len(summary['runs']) == 2
    for run in summary['runs']:
        assert run['outcome'] in ('SUCCEEDED', 'TIMEOUT') and 1 <= run['steps'] <= 3
        assert run['goal_left_m'] > 0 and run['decision_time_p50_s'] > 0
    with av.open(str(tmp_path / 'out' / 'video.mp4')) as video:
        sizes = [(one.width, one.height) for one in video.decode(video=0)]
    assert len(sizes) > 5 and set(sizes) == {(1280, 596)}  # depth beside the camera
    assert (tmp_path / 'out' / 'map.png').stat().st_size > 10000
    import rosbags.highlevel as rosbags

    with rosbags.AnyReader([tmp_path / 'out' / 'bag']) as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
    assert counts['/instruction'] == 2
    assert counts['/navigation_action'] >= sum(run['steps'] for run in summary['runs'])
    for topic in ('/image', '/odom', '/motion_status', '/navigator_status', '/camera_info'):
        assert counts[topic] > 5, counts


SMALL_DISK = """
mount -t tmpfs -o size=600k tmpfs "$1" || exit 77
exec "$2" -m janusvln_ros.cli demo --out "$1/out" --device cpu --checkpoint random
"""


def test_only_a_person_resets_an_e_stop_and_the_demo_goes_on_then(demo, tmp_path, ros_domain):
    with spinning(lambda context: Node('person', context=context), ros_domain) as person:
        press = person.create_publisher(Bool, 'e_stop', LATCHED)
        process, running, text = demo('--max-steps', '8', '--count', '2')
        wait_for(lambda: '1/2' in text.read_text(), 'the first instruction', PATIENCE)
        press.publish(Bool(data=True))
        wait_for(lambda: 'ESTOPPED' in text.read_text(), 'the end of the first', PATIENCE)
        press.publish(Bool(data=False))
        stays(lambda: '2/2' not in text.read_text(), 'the e-stop', 8)
        reset = person.create_client(Trigger, 'reset_e_stop')
        wait_for(reset.service_is_ready, 'motion_executor', 30)
        reset.call_async(Trigger.Request())
        wait_for(lambda: process.poll() is not None, 'end of the demo', PATIENCE)
    assert process.returncode == 0, text.read_text()
    first, second = json.loads((tmp_path / 'out' / 'summary.json').read_text())['runs']
    assert first['outcome'] == 'ESTOPPED' and second['outcome'] in ('SUCCEEDED', 'TIMEOUT')


def test_a_full_disk_ends_the_demo_with_a_word(start_process, marked, tmp_path):
    environment, running = marked
    process = start_process(
        ['unshare', '-Urm', 'sh', '-c', SMALL_DISK, 'sh', str(tmp_path), sys.executable],
        env={**environment, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, said = process.communicate(timeout=PATIENCE)
    if 'unshare' in said or process.returncode == 77:
        pytest.skip(f'this user cannot mount a small disk: {said}')
    assert process.returncode == 1 and 'Traceback' not in said
    assert 'cannot write below' in said and 'No space left' in said
    assert not running()


@pytest.mark.parametrize(
    'moment, number, code',
    [
        ('starting', signal.SIGTERM, 130),
        ('step', signal.SIGINT, 130),
        ('step', signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_no_process_outlives_the_demo(demo, moment, number, code):
    process, running, text = demo('--max-steps', '100')
    wait_for(lambda: len(running()) >= 4 and moment in text.read_text(), moment, PATIENCE)
    process.send_signal(number)
    assert process.wait(30) == code, text.read_text()
    wait_for(lambda: not running(), 'end of all processes', 15)


def test_the_console_is_offered_until_the_demo_is_ended(demo):
    process, running, text = demo('--console')
    wait_for(lambda: text.read_text().count('#token=') == 2, 'two links', PATIENCE)
    link = re.search(r'http://[^#]+', text.read_text())[0]
    with urllib.request.urlopen(link) as page:
        assert b'JanusVLN' in page.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    wait_for(lambda: not running(), 'end of all processes', 15)


def test_demo_says_why_a_node_failed(demo, tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    process, running, text = demo('--checkpoint', str(tmp_path))
    assert process.wait(PATIENCE) == 1
    assert 'navigator ended with status 1' in text.read_text()
    assert 'cannot configure' in text.read_text()
    assert not running()


def test_an_interruption_waits_until_it_can_be_heeded(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with NodeProcesses(tmp_path) as nodes:
        nodes.check()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            nodes.check()
    assert signal.getsignal(signal.SIGINT) is before
