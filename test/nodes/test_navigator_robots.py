"""Several robots that one navigator process serves: each by itself, and what they share fairly."""

from contextlib import ExitStack
from functools import partial
import signal

from janusvln_ros.msg import NavigatorStatus
from lifecycle_msgs.msg import Transition
import pytest
from ros import Peers, spinning
from waiting import wait_for
from watcher import Watcher

pytestmark = pytest.mark.ros
NAMES = 'a', 'b'


@pytest.fixture
def crew(ros_domain):
    """Give camera, executor and user of each robot."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(spinning(partial(Peers, namespace=name), ros_domain))
            for name in NAMES
        ]


def wait_ready(crew):
    for peers in crew:
        wait_for(
            lambda peers=peers: peers.idle() and peers.instruction.get_subscription_count(),
            'active navigator',
            150,
        )


def test_what_happens_to_one_robot_does_not_touch_the_other(crew, start_navigator):
    start_navigator('robots:=[a, b]', 'frame_timeout:=1.0')
    wait_ready(crew)
    first, second = crew
    second.say('F L R')
    second.wait_steps(2)
    first.say('F X')
    status = first.wait_end(NavigatorStatus.REASON_POLICY_ERROR)
    assert 'the script says so' in status.message
    first.say('F L')
    first.wait_steps(4)
    first.camera_on = False
    first.wait_end(NavigatorStatus.REASON_INPUT_LOST)
    first.camera_on = True
    goal = second.send_goal('F R .1')  # in the place of its first
    assert goal.accepted
    assert first.change(Transition.TRANSITION_DEACTIVATE)
    assert first.change(Transition.TRANSITION_CLEANUP)
    count = len(second.actions)
    second.wait_steps(count + 3)
    assert second.lifecycle_state() == 'active' and first.lifecycle_state() == 'unconfigured'
    assert {one.reason for one in second.statuses} <= {
        NavigatorStatus.REASON_NONE,
        NavigatorStatus.REASON_PREEMPTED,
    }
    assert first.change(Transition.TRANSITION_CONFIGURE)
    assert first.change(Transition.TRANSITION_ACTIVATE)
    count = len(first.actions)
    wait_for(lambda: first.idle() and first.instruction.get_subscription_count(), 'navigator')
    first.say('S')
    first.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    assert len(first.actions) == count + 1
    assert not {one.instruction_id for one in first.actions} & {
        one.instruction_id for one in second.actions
    }


def test_a_policy_that_hangs_ends_the_process_and_stops_both(crew, start_navigator):
    process = start_navigator('robots:=[a, b]', 'decision_timeout:=1.0', 'frame_timeout:=60.0')
    wait_ready(crew)
    first, second = crew
    second.say('F L R')
    second.wait_steps(2)
    first.say('hang')
    for peers in crew:
        wait_for(lambda peers=peers: peers.actions and peers.actions[-1].action == 0, 'STOP')
    assert process.wait(20) == 1
    assert first.status().reason == NavigatorStatus.REASON_POLICY_ERROR


def test_robots_do_not_notice_that_the_processes_of_one_are_killed(
    ros_domain, start_command, start_navigator
):
    processes = {}
    for name in NAMES:
        there = '--ros-args', '-r', f'__ns:=/{name}'
        room = 'rooms:=1', 'house_seed:=4', 'image_width:=64', 'image_height:=48'
        words = [word for one in room for word in ('-p', one)]
        processes[name] = [
            start_command('sim_robot', *there, *words),
            start_command('motion_executor', *there),
        ]
    with ExitStack() as stack:
        dead, alive = [
            stack.enter_context(spinning(partial(Watcher, namespace=name), ros_domain))
            for name in NAMES
        ]
        # On one computer Fast DDS holds up others for seconds when a process is killed that held a
        # lock of its shared memory; robots have computers of their own.
        patient = 'status_timeout:=10.0', 'frame_timeout:=10.0'
        navigator = start_navigator('robots:=[a, b]', *patient)
        for watcher in (dead, alive):
            watcher.wait(watcher.ready, 'nodes', 150)
        start = alive.poses[-1]
        dead.say('F F F F F F')
        alive.say('L R L R L R F F S')
        dead.wait_speed()
        for process in processes['a']:
            process.send_signal(signal.SIGKILL)
        dead.wait_end(NavigatorStatus.REASON_INPUT_LOST)
        alive.wait_end(NavigatorStatus.REASON_SUCCEEDED)
        assert len(alive.actions) == 9
        assert abs(alive.distance(start) - 0.5) < 0.05
        alive.say('F S')
        alive.wait(lambda: len(alive.actions) == 11, 'the next instruction')
        alive.wait_end(NavigatorStatus.REASON_SUCCEEDED)
        assert navigator.poll() is None
