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

import pytest
import rclpy
from rclpy.node import Node, NodeNameNonExistentError
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


@needs_launch
def test_wrong_choice_is_refused():
    result = ros2('launch', str(ROOT / 'launch' / 'robot.launch.py'), 'robot:=submarine')
    assert result.returncode and 'diff_drive' in result.stdout + result.stderr


@needs_launch
@pytest.mark.ros
@pytest.mark.timeout(300)
def test_simulated_robot_obeys_ros2_topic_pub(ros_domain):
    launch = subprocess.Popen(
        ['ros2', 'launch', str(ROOT / 'launch' / 'simulation.launch.py'), 'namespace:=robot1'],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(launch.stdout), daemon=True)
    reader.start()
    try:
        end = time.monotonic() + 150
        while not re.search(r'(SUCCEEDED|STUCK|TIMEOUT) after [1-9]', ''.join(lines)):
            if 'episode' not in ''.join(lines):
                ros2(
                    'topic',
                    'pub',
                    '--once',
                    '--max-wait-time-secs',
                    '5',
                    '/robot1/instruction',
                    'std_msgs/msg/String',
                    "{data: 'go to the red chair'}",
                )
            time.sleep(0.5)
            assert launch.poll() is None and time.monotonic() < end, ''.join(lines)
    finally:
        os.killpg(launch.pid, signal.SIGINT)
        launch.wait(20)
    reader.join(5)
    assert ''.join(lines).count('process has finished cleanly') == 3


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
    optional = {'/image/compressed', '/scan', '/depth', '/clock', '/parameter_events'}
    if name == 'navigator':
        script = ROOT / 'test' / 'nodes' / 'scripted_navigator.py'
        process = subprocess.Popen(
            [
                sys.executable,
                str(script),
                '--ros-args',
                '-p',
                'checkpoint:=script',
                '-p',
                'autostart:=true',
            ],
            cwd=ROOT,
        )
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
    assert {'/debug_image', '/executed_path', '/odom'} <= shown <= TOPICS


def test_foxglove_layout_is_whole_and_shows_topics_that_exist():
    layout = json.loads((CONFIG / 'foxglove.json').read_text())

    def panels(part):
        return [part] if isinstance(part, str) else panels(part['first']) + panels(part['second'])

    assert sorted(panels(layout['layout'])) == sorted(layout['configById'])
    text = json.dumps(layout['configById'])
    shown = set(re.findall(r'"(/[a-z_]+)(?:[."\[])', text)) - {'/reset_e_stop'}
    assert {'/debug_image', '/instruction', '/e_stop'} <= shown <= TOPICS


def test_profile_gives_images_room():
    text = (CONFIG / 'fastdds.xml').read_text()
    root = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', '', text))
    memory = root.find(".//transport_descriptor[transport_id='shared_memory']")
    assert int(memory.findtext('segment_size')) >= 16 * 640 * 480 * 3
    assert int(memory.findtext('maxMessageSize')) >= 4 * 640 * 480 * 3
    assert root.findtext('.//useBuiltinTransports') == 'false'
