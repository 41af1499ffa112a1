"""Several robots that one navigator process serves: each by itself, and what they share fairly."""

from contextlib import ExitStack
from functools import partial
import signal
import time

from janusvln_ros.msg import NavigatorStatus
from janusvln_ros.system.processes import bundled_checkpoint
from lifecycle_msgs.msg import Transition
import pytest
from ros import Peers, spinning
from waiting import wait_for

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


@pytest.mark.slow
def test_two_simulated_robots_have_equal_shares_until_one_loses_its_executor(crew, start_command):
    """The shipped checkpoint, deciding without a pause while both robots move."""
    mode = 'execution_mode:=continuous'

    def start(name, *parameters, space=None):
        words = [word for one in parameters for word in ('-p', one)]
        return start_command(
            name, '--ros-args', *words, *(('-r', f'__ns:=/{space}') if space else ())
        )

    executors = {}
    for peers, name in zip(crew, NAMES):
        peers.camera_on = peers.executor_on = False  # the real ones are at work
        start('sim_robot', 'house_seed:=18', 'image_width:=112', 'image_height:=84', space=name)
        executors[name] = start('motion_executor', mode, space=name)
    start(
        'navigator',
        'robots:=[a, b]',
        mode,
        f'checkpoint:={bundled_checkpoint()}',
        *('autostart:=true', 'device:=cpu', 'threads:=1', 'memory_mode:=windowed'),
        *('recent_frames:=2', 'initial_frames:=1', 'decision_period:=0.0', 'frame_timeout:=20.0'),
        *('status_timeout:=5.0', 'camera_size:=112x84', 'image_width:=112'),
    )
    wait_ready(crew)

    said = {}

    def busy():
        for peers in crew:
            if peers.idle() and time.monotonic() > said.get(peers, 0.0) + 2.0:
                said[peers] = time.monotonic()
                peers.say('go to the pink ball')
        return all(len(peers.actions) > 3 for peers in crew)

    wait_for(busy, 'both at work', 60)
    before = [len(peers.actions) for peers in crew]
    wait_for(
        lambda: busy() and sum(len(peers.actions) for peers in crew) > sum(before) + 40,
        'decisions',
        120,
    )
    taken = [len(peers.actions) - count for peers, count in zip(crew, before)]
    assert abs(taken[0] - taken[1]) <= 0.1 * sum(taken), taken
    first, second = crew
    executors['a'].send_signal(signal.SIGKILL)
    count = len(second.actions)
    wait_for(lambda: first.status().reason == NavigatorStatus.REASON_INPUT_LOST, 'the end', 30)
    wait_for(lambda: busy() and len(second.actions) > count + 10, 'decisions of the other', 60)
    assert not any(one.reason == NavigatorStatus.REASON_INPUT_LOST for one in second.statuses)
