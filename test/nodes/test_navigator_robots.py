"""Several robots that one navigator process serves: each by itself, and what they share fairly."""

from contextlib import ExitStack
from functools import partial

from janusvln_ros.msg import NavigatorStatus
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
