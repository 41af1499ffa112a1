"""Navigator, executor and simulated base together: what the robot does, also when a part dies."""

import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from janusvln_ros.msg import MotionStatus, NavigatorStatus
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import clearance
import numpy as np
import pytest
from ros import spinning
from std_msgs.msg import Bool
from watcher import Watcher

pytestmark = pytest.mark.ros
HERE = Path(__file__).parent
HOUSE = 4
IMPATIENT = (('frame_timeout', 2.0), ('status_timeout', 2.0))  # the defaults, s


def ip(*words):
    return subprocess.run(['ip', *words], capture_output=True, text=True, check=True)


@pytest.fixture
def cable(ros_domain, monkeypatch):
    """Give the name of a network namespace that a cable joins to ours; its end there is `far`."""
    name = f'far{os.getpid()}'
    try:
        ip('netns', 'add', name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f'this user cannot make network namespaces: {error}')
    try:
        ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'far', 'netns', name)
        ip('address', 'add', '10.213.0.1/30', 'dev', name)
        ip('link', 'set', name, 'up')
        ip('-n', name, 'address', 'add', '10.213.0.2/30', 'dev', 'far')
        for device in ('lo', 'far'):
            ip('-n', name, 'link', 'set', device, 'up')
        # Fast DDS looks for network devices once in the life of a process, and ours is older.
        ip('-n', name, 'route', 'add', 'default', 'via', '10.213.0.1')
        monkeypatch.setenv('ROS_STATIC_PEERS', '10.213.0.1;10.213.0.2')
        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
        monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
        monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE')
        yield name
    finally:
        ip('netns', 'delete', name)  # and the cable with it


@pytest.fixture
def watcher(ros_domain):
    with spinning(Watcher, ros_domain) as node:
        yield node


@pytest.fixture
def system(watcher, start_process, start_command):
    """
    Give a function that starts the three nodes in an empty room, ready for an instruction.

    Words before the navigator's command, and options of its process, put it elsewhere.
    """
    script = str(HERE / 'scripted_navigator.py')

    def words(parameters):
        return [
            '--ros-args',
            *(word for item in parameters.items() for word in ('-p', '{}:={}'.format(*item))),
        ]

    def system(simulator=(), executor=(), navigator=(), everyone=(), prefix=(), **options):
        processes = {
            'simulator': start_command(
                'sim_robot',
                *words(
                    {
                        'rooms': 1,
                        'house_seed': HOUSE,
                        'image_width': 64,
                        'image_height': 48,
                        **dict(simulator),
                        **dict(everyone),
                    }
                ),
            ),
            'executor': start_command(
                'motion_executor', *words({**dict(executor), **dict(everyone)})
            ),
            'navigator': start_process(
                [
                    *prefix,
                    sys.executable,
                    script,
                    *words(
                        {
                            'checkpoint': 'script',
                            'autostart': True,
                            'frame_timeout': 20.0,
                            'status_timeout': 20.0,
                            **dict(navigator),
                            **dict(everyone),
                        }
                    ),
                ],
                **options,
            ),
        }
        watcher.wait(watcher.ready, 'nodes')
        return processes

    return system


def test_robot_drives_what_the_policy_says(watcher, system):
    system()
    x, y, yaw = watcher.poses[-1]
    watcher.say('F F L L R S')
    watcher.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    watcher.assert_stands()
    end = watcher.poses[-1]
    assert end[0] - x == pytest.approx(0.5 * math.cos(yaw), abs=0.04)
    assert end[1] - y == pytest.approx(0.5 * math.sin(yaw), abs=0.04)
    assert math.remainder(end[2] - yaw, math.tau) == pytest.approx(math.radians(15), abs=0.06)


def test_killed_navigator_leaves_a_robot_that_finishes_its_step_and_stands(watcher, system):
    processes = system()
    start = watcher.poses[-1]
    watcher.say('F')
    watcher.wait_speed()
    processes['navigator'].send_signal(signal.SIGKILL)
    watcher.wait(lambda: watcher.motion.state == MotionStatus.STATE_IDLE, 'end of the step')
    assert watcher.motion.result == MotionStatus.RESULT_SUCCEEDED
    watcher.assert_stands(2.5)
    assert watcher.distance(start) == pytest.approx(0.25, abs=0.03)


def assert_cut_stops_the_robot(watcher, mode, cut, mend):
    """Cut the link of a driving robot, see that it comes to stand, mend it and drive again."""
    within, result = {
        'step': (3.0, MotionStatus.RESULT_SUCCEEDED),  # s; the step is finished
        'continuous': (2.0, MotionStatus.RESULT_INPUT_LOST),
    }[mode]  # navigator_timeout, braking
    watcher.say('F')
    watcher.wait_speed()
    cut()
    cut_at, actions = time.monotonic(), len(watcher.actions)
    watcher.wait(lambda: watcher.motion.result == result, 'the end of the motion')
    watcher.assert_stands(4.0)  # the navigator has ended its episode meanwhile
    assert len(watcher.actions) <= actions + 1  # one may have been on its way
    mend()
    watcher.wait_end(NavigatorStatus.REASON_INPUT_LOST)
    watcher.assert_stands()  # nor does what was held up move it
    assert watcher.driven_at - cut_at < within + 1.0  # s that a busy machine may be late
    start = watcher.poses[-1]
    watcher.say('F 3 S')  # in continuous mode S ends a motion
    watcher.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    watcher.assert_stands()
    assert watcher.distance(start) == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize('mode', ['step', 'continuous'])
def test_cut_link_leaves_a_standing_robot_that_works_again(
    watcher, system, start_process, ros_domain, other_domain, mode
):
    """A frozen link lets nothing through and tells nobody, like a cable that is pulled."""
    link = start_process(
        [sys.executable, str(HERE / 'link.py'), str(ros_domain), str(other_domain)]
    )
    parameters = {'execution_mode': mode}.items()
    system(
        executor=parameters,
        navigator=[*parameters, *IMPATIENT],
        env={**os.environ, 'ROS_DOMAIN_ID': str(other_domain)},
    )
    assert_cut_stops_the_robot(
        watcher,
        mode,
        lambda: link.send_signal(signal.SIGSTOP),
        lambda: link.send_signal(signal.SIGCONT),
    )


def test_pulled_cable_leaves_a_standing_robot_that_works_again(cable, watcher, system):
    """The navigator in a network namespace of its own, and all by UDP."""
    parameters = {'execution_mode': 'continuous'}.items()
    system(
        executor=parameters,
        navigator=[*parameters, *IMPATIENT],
        prefix=['ip', 'netns', 'exec', cable],
    )
    assert_cut_stops_the_robot(
        watcher,
        'continuous',
        lambda: ip('link', 'set', cable, 'down'),
        lambda: ip('link', 'set', cable, 'up'),
    )


def test_frozen_executor_leaves_a_base_that_stops_by_itself(watcher, system):
    processes = system()
    start = watcher.poses[-1]
    watcher.say('F F F F')
    watcher.wait_speed()
    processes['executor'].send_signal(signal.SIGSTOP)
    watcher.wait(lambda: watcher.speeds[-1][0] < 0.005, 'standstill', 10.0)
    watcher.assert_stands()
    # 0.25 m of the step, and at most the base's 0.5 s at 0.3 m/s
    assert watcher.distance(start) < 0.25 + 0.15 + 0.05


def test_e_stop_ends_the_episode(watcher, system):
    system()
    watcher.say('F')
    watcher.wait_speed()
    watcher.e_stop.publish(Bool(data=True))
    watcher.wait_end(NavigatorStatus.REASON_ESTOPPED)
    watcher.assert_stands()
    watcher.say('F')
    watcher.wait_end(NavigatorStatus.REASON_ESTOPPED)
    watcher.assert_stands()


def test_robot_that_pushes_a_wall_is_blocked(watcher, system):
    house = generate_house(HOUSE, rooms=1)
    x = house.rooms[0].x1 - 0.45
    y = next(
        y
        for y in np.arange(house.rooms[0].y0, house.rooms[0].y1, 0.1)
        if clearance(house.obstacles(), np.array([x, y])) > 0.3
    )
    system({'start_pose': f'"{x} {y} 0.0"'}.items(), navigator={'max_recoveries': 1}.items())
    watcher.say('F L R')
    watcher.wait_end(NavigatorStatus.REASON_BLOCKED)
    assert '3 forward motions did not move the robot from here' in watcher.status.message
    assert 'a wall' in watcher.status.message
    sent = [action.action for action in watcher.actions]
    assert sent.count(1) <= 5  # the wall is reached first
    watcher.assert_stands()


def test_continuous_mode_drives_without_stopping_between_equal_actions(watcher, system):
    mode = {'execution_mode': 'continuous'}.items()
    system(executor=mode, navigator=[*mode, ('decision_period', 0.4)])
    start = watcher.poses[-1]
    watcher.say('F')
    watcher.wait(lambda: watcher.distance(start) > 0.15, 'motion')
    count = len(watcher.speeds)
    watcher.wait(lambda: watcher.distance(start) > 0.7, 'motion')
    assert min(speed for speed, _ in watcher.speeds[count:]) > 0.05
    watcher.say('S')
    watcher.wait(lambda: watcher.status.instruction == 'S', 'new episode')
    watcher.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    watcher.assert_stands()


def test_faster_than_real_time(watcher, system):
    system(simulator={'real_time_factor': 3.0}.items(), everyone={'use_sim_time': True}.items())
    start = watcher.poses[-1]
    watcher.say('F F S')
    watcher.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    watcher.assert_stands()
    assert watcher.distance(start) == pytest.approx(0.5, abs=0.06)
