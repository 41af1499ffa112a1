"""The navigator as a process: its life, its parameters, its end."""

from dataclasses import replace
import signal

from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.options import PolicyOptions
from lifecycle_msgs.msg import Transition
import pytest
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from waiting import stays, wait_for

pytestmark = pytest.mark.ros
PATIENCE = 20.0  # s of wall time, on a busy machine


def test_lifecycle(peers, start_navigator):
    start_navigator(autostart=False)
    assert peers.lifecycle_state() == 'unconfigured'
    assert peers.change(Transition.TRANSITION_CONFIGURE)
    assert not peers.images.get_subscription_count()
    for _ in range(2):
        assert peers.change(Transition.TRANSITION_ACTIVATE)
        wait_for(peers.instruction.get_subscription_count, 'subscription')
        peers.say('F')
        peers.wait_steps(2)
        peers.motion_time = 60.0
        wait_for(lambda: peers.report.state == MotionStatus.STATE_MOVING, 'motion')
        assert peers.change(Transition.TRANSITION_DEACTIVATE)
        wait_for(lambda: peers.actions[-1].action == NavigationAction.STOP, 'STOP')
        wait_for(lambda: peers.statuses[-1].state == NavigatorStatus.STATE_INACTIVE, 'inactive')
        assert peers.statuses[-1].reason == NavigatorStatus.REASON_CANCELED
        wait_for(lambda: not peers.images.get_subscription_count(), 'unsubscription')
        peers.actions.clear()
        peers.motion_time = 0.1
    assert peers.change(Transition.TRANSITION_CLEANUP)
    assert peers.lifecycle_state() == 'unconfigured'
    assert peers.change(Transition.TRANSITION_CONFIGURE)
    assert peers.change(Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert peers.lifecycle_state() == 'finalized'


def test_configure_fails_with_the_reason_and_can_be_tried_again(peers, start_navigator):
    start_navigator(checkpoint='bad', autostart=False)
    assert not peers.change(Transition.TRANSITION_CONFIGURE)
    assert peers.lifecycle_state() == 'unconfigured'
    wait_for(lambda: peers.diagnostics and peers.value('last error'), 'error')
    assert peers.value('last error') == 'cannot configure: there is nothing in it'
    value, other = (ParameterValue(type=4, string_value=text) for text in ('script', 'other'))
    reply = peers.call(
        SetParameters,
        'navigator/set_parameters',
        parameters=[Parameter(name='checkpoint', value=value)],
    )
    assert reply.results[0].successful
    assert peers.change(Transition.TRANSITION_CONFIGURE)
    reply = peers.call(
        SetParameters,
        'navigator/set_parameters',
        parameters=[Parameter(name='checkpoint', value=other)],
    )
    assert 'deactivate and clean up first' in reply.results[0].reason


def test_autostart_that_fails_ends_the_process(start_navigator):
    assert start_navigator(checkpoint='bad').wait(PATIENCE) == 1


def test_pruning_needs_windowed_memory():
    parameters = PolicyOptions(
        checkpoint='random', device='cpu', threads=1, memory_mode='windowed', kept_fraction=0.5
    )
    assert load_policy(parameters).memory.prunes
    with pytest.raises(ValueError, match='windowed'):
        load_policy(replace(parameters, memory_mode='sampled'))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_robot_and_ends_the_process(peers, ready, number):
    process = ready()
    peers.motion_time = 60.0
    peers.say('F')
    peers.wait_steps(1)
    process.send_signal(number)
    wait_for(lambda: peers.actions[-1].action == NavigationAction.STOP, 'STOP', 3.0)
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_process_while_it_loads(peers, start_navigator, number):
    process = start_navigator(checkpoint='slow')
    wait_for(lambda: peers.statuses, 'status of a node that loads')
    stays(lambda: process.poll() is None, 'loading', 0.5)
    process.send_signal(number)
    assert process.wait(5) == 0
