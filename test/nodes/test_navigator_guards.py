"""The navigator as a process: what goes wrong in it and around it ends safely, and says why."""

import signal
import time

from janusvln_ros.action import Navigate
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED
from lifecycle_msgs.msg import Transition
import pytest
from waiting import stays, wait_for

pytestmark = pytest.mark.ros
LONG = 'go ' * 400_000


def test_decision_that_never_comes_ends_episode_and_process(peers, ready):
    process = ready('decision_timeout:=1.0')
    goal = peers.send_goal('F hang')
    result = peers.result(goal).result
    assert result.code == Navigate.Result.POLICY_ERROR
    assert 'decision_timeout' in result.message
    assert process.wait(5) == 1
    assert peers.actions[-1].action == NavigationAction.STOP
    assert peers.status().reason == NavigatorStatus.REASON_POLICY_ERROR


@pytest.mark.parametrize(
    'number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name
)
@pytest.mark.parametrize('words', ['F', 'F hang'])
def test_every_signal_ends_it_and_answers_the_goal(peers, ready, words, number):
    process = ready()
    goal = peers.send_goal(words)
    peers.wait_steps(1)
    if 'hang' in words:
        deciding = NavigatorStatus.STATE_DECIDING
        wait_for(lambda: peers.status().state == deciding, 'decision')
    begun = time.monotonic()
    process.send_signal(number)
    assert peers.result(goal).result.code == Navigate.Result.CANCELED
    assert process.wait(5) == 0 and time.monotonic() - begun < 5.0
    assert peers.actions[-1].action == NavigationAction.STOP


def test_system_exit_of_a_policy_ends_the_process_with_a_failure(peers, ready):
    process = ready()
    peers.say('F SystemExit')
    assert process.wait(10) == 1
    wait_for(
        lambda: peers.status().reason == NavigatorStatus.REASON_POLICY_ERROR, 'the last status'
    )


@pytest.mark.parametrize(
    'words, says', [('F nonsense', 'no decision'), ('F full', 'nobody knows')]
)
def test_other_errors_of_a_policy_end_the_episode_only(peers, ready, words, says):
    ready()
    peers.say(words)
    assert says in peers.wait_end(NavigatorStatus.REASON_POLICY_ERROR).message
    peers.say('F S')
    peers.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_long_words_are_refused_and_nothing_is_echoed_unbounded(peers, ready):
    ready()
    assert not peers.send_goal(LONG).accepted
    peers.say(LONG)
    wait_for(lambda: '2000 are taken' in peers.value('last error'), 'refusal')
    peers.say('F')
    peers.wait_steps(1)
    peers.outcome = MotionStatus.RESULT_ESTOPPED
    peers.message = LONG
    assert len(peers.wait_end(NavigatorStatus.REASON_ESTOPPED).message) < 1000
    peers.say(LONG)
    stays(lambda: len(peers.status().instruction) < 10, 'the old instruction', 0.5)


@pytest.mark.parametrize('mode', ['step', 'continuous'])
@pytest.mark.parametrize(
    'offset, says',
    [(-3600.0, 'taken 3600'), (5.0, 'ahead of the clock'), (86400.0, 'ahead of the clock')],
)
def test_frames_of_another_time_are_refused_in_every_mode(peers, ready, mode, offset, says):
    peers.stamp_offset = offset
    ready(f'execution_mode:={mode}')
    peers.say('F')
    message = peers.wait_end(NavigatorStatus.REASON_INPUT_LOST).message
    assert says in message and 'do the clocks' in message
    assert {action.action for action in peers.actions} <= {NavigationAction.STOP}


def test_modes_that_do_not_match_are_refused_before_the_first_action(peers, ready):
    peers.mode = MotionStatus.MODE_CONTINUOUS
    ready()
    wait_for(lambda: not peers.send_goal('F').accepted, 'refusal')
    wait_for(lambda: 'give both the same' in peers.value('last error'), 'reason')
    peers.mode = MotionStatus.MODE_STEP
    wait_for(lambda: peers.send_goal('F S').accepted, 'goal')


def test_mode_that_changes_ends_the_episode(peers, ready):
    ready()
    peers.say('F')
    peers.wait_steps(1)
    peers.mode = MotionStatus.MODE_CONTINUOUS
    assert 'both the same' in peers.wait_end(NavigatorStatus.REASON_MOTION_FAILED).message


def test_executor_that_is_restarted_is_noticed(peers, ready):
    ready()
    peers.say('F')
    peers.wait_steps(1)
    peers.session = 'another'
    begun = time.monotonic()
    assert 'restarted' in peers.wait_end(NavigatorStatus.REASON_MOTION_FAILED).message
    assert time.monotonic() - begun < 1.0


def test_second_navigator_is_refused(peers, ready):
    ready()
    status = peers.create_publisher(NavigatorStatus, 'navigator_status', LATCHED)
    rival = NavigatorStatus(state=NavigatorStatus.STATE_IDLE, session_id='rival')
    wait_for(lambda: status.get_subscription_count() >= 2, 'subscriptions')
    timer = peers.create_timer(0.2, lambda: status.publish(rival))
    wait_for(lambda: [s for s in peers.statuses if s.session_id == 'rival'], 'two heartbeats')
    stays(lambda: True, 'time for the navigator to hear it as well', 0.5)
    assert not peers.send_goal('F').accepted
    wait_for(lambda: 'another navigator (rival)' in peers.value('last error'), 'reason')
    assert not peers.actions
    timer.cancel()
    goal = wait_for(lambda: (g := peers.send_goal('F')).accepted and g, 'goal')
    peers.wait_steps(1)
    actions = peers.create_publisher(NavigationAction, 'navigation_action', 1)
    wait_for(lambda: actions.get_subscription_count() >= 2, 'subscriptions')
    actions.publish(NavigationAction(action=NavigationAction.TURN_LEFT))
    result = peers.result(goal).result
    assert result.code == Navigate.Result.MOTION_FAILED
    assert 'another navigator' in result.message


def test_services_answer_while_it_loads(peers, start_navigator):
    process = start_navigator(checkpoint='slow')
    assert peers.lifecycle_state() == 'configuring'
    count = len(peers.statuses)
    wait_for(lambda: len(peers.statuses) > count + 3, 'heartbeat')
    wait_for(lambda: peers.diagnostics, 'diagnostics')
    assert not peers.send_goal('F').accepted
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0


def test_configuring_by_service_blocks_no_other(peers, start_navigator):
    start_navigator(checkpoint='slow', autostart=False)
    done = peers.begin_change(Transition.TRANSITION_CONFIGURE)
    wait_for(lambda: peers.lifecycle_state() == 'configuring', 'loading')
    assert not done.done()


def test_simulated_time_without_a_clock_is_told(peers, ready):
    ready('use_sim_time:=true')
    assert not peers.send_goal('F').accepted
    wait_for(lambda: '/clock' in peers.value('last error'), 'reason')
