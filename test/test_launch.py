"""Launch files with the real launch where it exists; configuration files against the nodes."""

import importlib.util
import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

from janusvln_ros.system.processes import ros_arguments
import pytest
import rclpy
from rclpy.node import Node, NodeNameNonExistentError
from rclpy.parameter_client import AsyncParameterClient
from ros import spinning
from waiting import wait_for
import yaml

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'config'
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
needs_launch = pytest.mark.skipif(
    not importlib.util.find_spec('launch_ros') or not shutil.which('ros2'),
    reason='launch and ros2cli are not on PyPI',
)


def ros2(*words, timeout=60):
    return subprocess.run(
        ['ros2', *words], capture_output=True, text=True, timeout=timeout, check=False
    )


@needs_launch
@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_is_described(path):
    printed = ros2('launch', str(path), '--show-args').stdout
    arguments = re.findall(r"^    '(\w+)':\n        (.*)", printed, re.MULTILINE)
    assert len(arguments) >= 7, printed
    for name, description in arguments:
        assert len(description) > 5 and 'No description' not in description, name


WRONG = [
    ('robot', 'robot:=submarine', 'diff_drive'),
    ('robot', 'rowbot:=go2', 'did you mean robot?'),
    ('robot', 'robot_params:=/nosuch.yaml', 'No such file'),
    ('robot', f'robot_params:={CONFIG}/twist_mux.yaml', 'nothing in it is for /motion_executor'),
    ('robot', f'robot_params:={CONFIG}/navigator_wifi.yaml', 'there is no parameter'),
    ('robot', 'e_stop_topic:=~button', 'no name of a topic'),
    ('robot', 'namespace:=2nd', 'no namespace'),
    ('collision_monitor', f'collision_params:={CONFIG}/twist_mux.yaml', 'collision_monitor'),
    ('workstation', '', 'checkpoint is missing'),
    ('all', 'checkpoint:=/nosuch', 'no config.json'),
    ('navigator', 'checkpoint:=random adapter:=/nosuch', 'no adapter_config.json'),
    # One is named: without rosbag2 the first, else the second.
    ('all', f'checkpoint:=random record:=true record_to:={ROOT}', 'record'),
    ('all', 'checkpoint:=random computer:=abacus', 'laptop_cpu'),
    ('simulation', 'house_seed:=abc', 'house_seed is'),
    ('simulation', 'image_rate:=fast', 'image_rate is'),
    ('simulation', 'rooms:=7', 'from 1 to 6'),
    ('simulation', 'house_seed:=-1', 'from 0 to 2147483647'),
    ('simulation', 'scene:=nosuch', 'is not a house'),
    ('simulation', 'start_pose:=nowhere', 'start_pose has to be'),
    ('simulation', 'start_pose:=90,90,0', 'is not in the house'),
]


@needs_launch
@pytest.mark.parametrize(('name', 'words', 'says'), WRONG)
def test_wrong_arguments_are_refused_before_any_process_starts(name, words, says):
    result = ros2('launch', str(ROOT / 'launch' / f'{name}.launch.py'), *words.split())
    said = result.stdout + result.stderr
    assert result.returncode and says in said
    assert 'process started' not in said and 'Traceback' not in said


@pytest.fixture
def launched(start_process):
    """Give a function that launches a file and returns the process, and what it has printed."""

    def start(name, *arguments):
        process = start_process(
            ['ros2', 'launch', str(ROOT / 'launch' / f'{name}.launch.py'), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        return process, lambda: ''.join(lines)

    return start


@needs_launch
def test_node_that_dies_at_start_ends_the_launch_with_a_failure(launched, tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    process, said = launched('simulation', f'checkpoint:={tmp_path}')
    assert process.wait(60) == 1
    assert 'cannot configure' in said() and 'navigator has died (exit status 1)' in said()
    assert said().count('process has finished cleanly') == 2


@needs_launch
def test_robot_of_ones_own_and_its_restart(launched, ros_domain, tmp_path):
    """Parameters and topics are the user's; what died is started again where that is wanted."""
    own = tmp_path / 'own.yaml'
    own.write_text('robot1:\n  motion_executor:\n    ros__parameters: {max_linear_speed: 0.11}\n')
    process, said = launched(
        'robot',
        'namespace:=robot1',
        f'robot_params:={own}',
        'e_stop_topic:=/button',
        'odom_topic:=wheels/odom',
        'sentence_topic:=say',
        'respawn:=true',
    )
    with spinning(lambda context: Node('spy', context=context), ros_domain) as spy:
        ours = {'/button', '/robot1/wheels/odom', '/robot1/say'}
        wait_for(lambda: ours <= heard(spy, 'motion_executor', '/robot1'), 'topics')
        assert '/robot1/e_stop' not in heard(spy, 'motion_executor', '/robot1')
        client = AsyncParameterClient(spy, '/robot1/motion_executor')
        assert client.wait_for_services(20.0)
        answer = client.get_parameters(['max_linear_speed'])
        wait_for(answer.done, 'parameter')
        assert answer.result().values[0].double_value == 0.11
    first = int(re.search(r'process started with pid \[(\d+)', said())[1])
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: said().count('process started') == 2, 'restart')
    assert '(SIGKILL) and is started again, 1 of 3' in said()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 0


@needs_launch
@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('robot', ['namespace:=r1']),
        ('navigator', ['checkpoint:=random', 'robots:=[r1, r2]']),
        ('all', ['checkpoint:=random']),
    ],
)
def test_each_side_offers_the_console_and_both_start_one(launched, name, words):
    process, said = launched(name, 'console:=true', 'port:=0', *words)
    wait_for(lambda: 'console, to operate: http://127.0.0.1' in said(), 'the link', 60.0)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    assert len(re.findall(r'\[console-\d\]: process started', said())) == 1


def heard(spy, name, namespace):
    """Return what a node subscribes to."""
    try:
        return {topic for topic, _ in spy.get_subscriber_names_and_types_by_node(name, namespace)}
    except NodeNameNonExistentError:
        return set()


@needs_launch
@pytest.mark.timeout(300)
def test_simulated_robot_obeys_ros2_topic_pub(launched, ros_domain):
    process, said = launched('simulation', 'namespace:=robot1')
    end = time.monotonic() + 150
    while 'the policy answered STOP' not in said():
        if 'episode' not in said():
            pub = 'topic pub --once --max-wait-time-secs 5 /robot1/instruction std_msgs/msg/String'
            ros2(*pub.split(), "{data: 'go to the pink ball'}")
        time.sleep(0.5)
        assert process.poll() is None and time.monotonic() < end, said()
    os.killpg(process.pid, signal.SIGINT)
    process.wait(20)
    assert said().count('process has finished cleanly') == 3


def names(root, enclave, kind, item, qualifier):
    profile = root.find(f".//enclave[@path='/janusvln/{enclave}']//profile")
    node = profile.get('node')
    listed = (
        element.text
        for group in profile.findall(kind)
        if group.get(qualifier) == 'ALLOW'
        for element in group.findall(item)
    )
    return {name.replace('~', f'/{node}') if name[0] in '~/' else f'/{name}' for name in listed}


@pytest.mark.ros
@pytest.mark.parametrize('name', ['navigator', 'motion_executor'])
def test_security_policy_is_what_the_node_needs(name, ros_domain, start_command):
    """The policy is compared with the graph; only what parameters switch on may be missing."""
    sensors = {'/scan', '/scan2', '/depth', '/depth_camera_info', '/points', '/tf', '/tf_static'}
    optional = {'/image/compressed', '/clock', '/parameter_events', *sensors}
    optional |= {'/collision_monitor_state'}  # where Nav2 is installed
    optional |= {'/depth/image', '/depth/camera_info'}  # with heads; with guessed_depth
    optional |= {'/cmd_vel', '/mid_level_command'}  # heard only while others publish there
    if name == 'navigator':
        tells = ('relative', 'confidence', 'points')
        optional |= {'/camera_info', '/odom', *(f'/depth/{each}' for each in tells)}  # with heads
        script = ROOT / 'test' / 'nodes' / 'scripted_navigator.py'
        words = ros_arguments({'checkpoint': 'script', 'autostart': True})
        process = subprocess.Popen([sys.executable, str(script), *words], cwd=ROOT)
    else:
        process = start_command(name)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    spy = Node('spy', context=context)
    policy = ElementTree.parse(CONFIG / 'sros2_policy.xml').getroot()
    allowed = [
        names(policy, name, *words)
        for words in (
            ('topics', 'topic', 'publish'),
            ('topics', 'topic', 'subscribe'),
            ('services', 'service', 'reply'),
            ('actions', 'action', 'execute'),
        )
    ]
    optional |= {f'/{name}/get_type_description'}
    used = []
    try:
        end = time.monotonic() + 30
        while not used or any(listed - graph - optional for graph, listed in zip(used, allowed)):
            used = used_by(spy, name)  # discovery brings one after the other
            assert time.monotonic() < end, (used, allowed)
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
        spy.destroy_node()
        context.shutdown()
    for graph, listed in zip(used, allowed):
        assert graph <= listed


def used_by(spy, name):
    """Return what a node publishes, hears, serves and executes, as far as it is known yet."""
    try:
        said, heard, served = (
            {topic for topic, _ in ask(name, '/')}
            for ask in (
                spy.get_publisher_names_and_types_by_node,
                spy.get_subscriber_names_and_types_by_node,
                spy.get_service_names_and_types_by_node,
            )
        )
    except NodeNameNonExistentError:
        return []
    actions = {topic.partition('/_action/')[0] for topic in served if '/_action/' in topic}
    return [
        *(
            {topic for topic in topics if '/_action/' not in topic}
            for topics in (said, heard, served)
        ),
        actions,
    ]


TOPICS = {
    '/odom',
    '/image',
    '/executed_path',
    '/debug_image',
    '/depth/image',
    '/depth/points',
    '/navigation_action',
    '/cmd_vel',
    '/navigator_status',
    '/diagnostics',
    '/instruction',
    '/e_stop',
}


def test_rviz_shows_topics_that_exist():
    content = yaml.safe_load((CONFIG / 'navigation.rviz').read_text())
    displays = content['Visualization Manager']['Displays']
    shown = {f'/{display["Topic"]["Value"]}' for display in displays if 'Topic' in display}
    assert shown <= TOPICS
    assert {'/debug_image', '/executed_path', '/odom', '/depth/image', '/depth/points'} <= shown


def test_foxglove_layout_is_whole_and_shows_topics_that_exist():
    layout = json.loads((CONFIG / 'foxglove.json').read_text())

    def panels(part):
        return [part] if isinstance(part, str) else panels(part['first']) + panels(part['second'])

    assert sorted(panels(layout['layout'])) == sorted(layout['configById'])
    text = json.dumps(layout['configById'])
    shown = set(re.findall(r'"(/[a-z_/]+)(?:[."\[])', text)) - {'/reset_e_stop'}
    assert shown <= TOPICS
    assert {'/debug_image', '/instruction', '/e_stop', '/depth/image', '/depth/points'} <= shown


def test_profile_gives_images_room():
    text = (CONFIG / 'fastdds.xml').read_text()
    root = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', '', text))
    memory = root.find(".//transport_descriptor[transport_id='shared_memory']")
    assert int(memory.findtext('segment_size')) >= 16 * 640 * 480 * 3
    assert int(memory.findtext('maxMessageSize')) >= 4 * 640 * 480 * 3
    assert root.findtext('.//useBuiltinTransports') == 'false'
