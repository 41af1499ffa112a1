"""The navigator as a process: episodes from instruction to outcome."""

import time

from action_msgs.msg import GoalStatus
from janusvln_ros.action import Navigate
from janusvln_ros.msg import MotionStatus, NavigationAction, NavigatorStatus
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from ros import seconds
from std_srvs.srv import Trigger
from waiting import stays, wait_for

pytestmark = pytest.mark.ros


def test_random_checkpoint_decides_from_frames_taken_at_rest(peers, ready):
    ready('max_steps:=8', checkpoint='random')
    said = 0
    while len(peers.actions) < 6:
        said += 1
        last = peers.statuses[-1].instruction_id
        peers.say('go to the red chair')
        wait_for(
            lambda last=last: (
                peers.statuses[-1].instruction_id != last and peers.statuses[-1].reason
            ),
            'end of the episode',
            60,
        )
        assert said <= 20, 'these random weights only stop'
    for action, end in zip(peers.actions, peers.ends):
        assert abs(sum(action.probabilities) - 1) < 1e-4 and action.action in range(4)
        assert seconds(action.header.stamp) >= end
        assert action.header.frame_id == 'camera_optical_frame'
    wait_for(lambda: peers.value('random weights') == 'True', 'diagnostics of the loaded policy')


def test_script_is_carried_out_step_by_step(peers, ready):
    ready()
    peers.say('F L R F S')
    status = peers.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    assert [action.action for action in peers.actions] == [1, 2, 3, 1, 0]
    assert [action.step for action in peers.actions] == [0, 1, 2, 3, 4]
    assert len({action.instruction_id for action in peers.actions}) == 1
    assert status.instruction == 'F L R F S' and status.step == 5
    assert status.memory_frames == 5 and status.memory_bytes == 5000
    for action, end in zip(peers.actions, peers.ends):
        assert seconds(action.header.stamp) >= end


def test_words_that_the_checkpoint_does_not_know_are_told_while_it_tries(peers, ready):
    ready()
    peers.say('F F S fridge')
    peers.wait_steps(1)
    assert peers.statuses[-1].message == 'words this checkpoint does not know: fridge'
    assert peers.statuses[-1].reason == NavigatorStatus.REASON_NONE
    assert 'know' not in peers.wait_end(NavigatorStatus.REASON_SUCCEEDED).message


def test_slow_policy_gets_the_newest_frame(peers, ready):
    ready()
    peers.motion_time = 0.01
    peers.say('.4 F')
    peers.wait_steps(5)
    for action in peers.actions[1:]:
        began = seconds(action.header.stamp)
        assert began + 0.4 <= time.time()
    stamps = [seconds(action.header.stamp) for action in peers.actions]
    # The frame is taken after the last motion and used at once: a queue would let it grow old.
    assert np.median(np.diff(stamps)) < 0.4 + 0.01 + 0.3
    wait_for(lambda: float(peers.value('latency from image stamp p95 (s)')) > 0, 'latency')
    assert float(peers.value('latency from image stamp p50 (s)')) < 0.4 + 0.15


def test_new_instruction_replaces_the_old_one(peers, ready):
    ready()
    peers.motion_time = 0.5
    peers.say('F')
    peers.wait_steps(2)
    peers.say('L L S')
    peers.wait_end(NavigatorStatus.REASON_SUCCEEDED)
    new = [
        (action.action, end)
        for action, end in zip(peers.actions, peers.ends)
        if action.instruction_id == peers.actions[-1].instruction_id
    ]
    assert [action for action, _ in new] == [2, 2, 0]
    reasons = [status.reason for status in peers.statuses]
    assert NavigatorStatus.REASON_PREEMPTED in reasons or peers.statuses[-1].step == 3
    for action, end in zip(peers.actions, peers.ends):
        assert seconds(action.header.stamp) >= end


def test_empty_instruction_changes_nothing(peers, ready):
    ready()
    peers.say('F')
    peers.wait_steps(1)
    peers.say('  ')
    peers.wait_steps(3)
    assert len({action.instruction_id for action in peers.actions}) == 1


@pytest.mark.parametrize(
    'lost, says',
    [('camera_on', 'no usable camera frame'), ('executor_on', 'no status from motion_executor')],
)
def test_lost_input_stops_the_robot(peers, ready, lost, says):
    ready()
    peers.say('F')
    peers.wait_steps(2)
    setattr(peers, lost, False)
    assert says in peers.wait_end(NavigatorStatus.REASON_INPUT_LOST).message
    wait_for(lambda: peers.actions[-1].action == NavigationAction.STOP, 'STOP')
    count = len(peers.actions)
    setattr(peers, lost, True)
    stays(lambda: len(peers.actions) == count, 'no action', 0.5)


def test_policy_that_raises_ends_the_episode_only(peers, ready):
    ready()
    peers.say('F X')
    status = peers.wait_end(NavigatorStatus.REASON_POLICY_ERROR)
    assert status.message == 'RuntimeError: the script says so'
    peers.say('F S')
    peers.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_goal_succeeds_with_feedback(peers, ready):
    ready()
    steps = []
    goal = peers.send_goal('F L S', lambda message: steps.append(message.feedback))
    result = peers.result(goal)
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert (result.result.code, result.result.steps) == (Navigate.Result.SUCCEEDED, 3)
    assert (result.result.error_code, result.result.error_msg) == (Navigate.Result.NONE, '')
    wait_for(lambda: len(steps) == 3, 'feedback')
    assert [step.action for step in steps] == [1, 2, 0]
    assert all(0 < step.latency < 5 and step.probabilities.sum() > 0.99 for step in steps)


def test_cancel_stops_the_robot_at_once(peers, ready):
    ready()
    peers.motion_time = 60.0
    goal = peers.send_goal('F')
    peers.wait_steps(1)
    peers.ask(goal.cancel_goal_async)
    wait_for(lambda: peers.actions[-1].action == NavigationAction.STOP, 'STOP', 2.0)
    result = peers.result(goal)
    assert result.status == GoalStatus.STATUS_CANCELED
    assert result.result.code == Navigate.Result.CANCELED


def test_decision_under_way_when_canceled_never_moves_the_robot(peers, ready):
    ready()
    goal = peers.send_goal('1 F')
    wait_for(lambda: peers.statuses[-1].state == NavigatorStatus.STATE_DECIDING, 'decision')
    peers.ask(goal.cancel_goal_async)
    peers.result(goal)
    stop = [NavigationAction.STOP]
    stays(lambda: [action.action for action in peers.actions] == stop, 'no action but STOP', 1.5)


def test_newer_goal_and_newer_instruction_preempt(peers, ready):
    ready()
    first = peers.send_goal('F')
    peers.wait_steps(1)
    second = peers.send_goal('L')
    result = peers.result(first)
    assert result.status == GoalStatus.STATUS_ABORTED
    assert result.result.code == Navigate.Result.PREEMPTED
    peers.say('R S')
    assert peers.result(second).result.code == Navigate.Result.PREEMPTED
    peers.wait_end(NavigatorStatus.REASON_SUCCEEDED)


def test_goal_is_refused_when_empty_or_inactive(peers, ready):
    ready()
    assert not peers.send_goal(' ').accepted
    assert peers.change(Transition.TRANSITION_DEACTIVATE)
    assert not peers.send_goal('F').accepted


@pytest.mark.parametrize(
    'words, parameter, result, code',
    [
        ('L', 'spin_steps:=4', MotionStatus.RESULT_SUCCEEDED, Navigate.Result.STUCK),
        ('F', 'max_steps:=3', MotionStatus.RESULT_SUCCEEDED, Navigate.Result.TIMEOUT),
        ('F', 'max_failed_motions:=2', MotionStatus.RESULT_BLOCKED, Navigate.Result.BLOCKED),
        ('F', 'push_steps:=2', MotionStatus.RESULT_ESTOPPED, Navigate.Result.ESTOPPED),
    ],
)
def test_typed_results(peers, ready, words, parameter, result, code):
    ready(parameter)
    peers.outcome = result
    outcome = peers.result(peers.send_goal(words)).result
    assert (outcome.code, outcome.message != '') == (code, True)
    assert (outcome.error_code, outcome.error_msg) == (10000 + code, outcome.message)


def test_pause_resume_and_reset_memory(peers, ready):
    ready()
    assert not peers.call(Trigger, 'pause').success
    peers.say('F')
    peers.wait_steps(2)
    assert peers.call(Trigger, 'pause').success
    count = len(peers.actions)
    stays(lambda: len(peers.actions) == count, 'no action', 0.7)
    assert peers.statuses[-1].state == NavigatorStatus.STATE_PAUSED
    assert peers.call(Trigger, 'reset_memory').success
    wait_for(lambda: peers.statuses[-1].memory_frames == 0, 'empty memory')
    assert peers.call(Trigger, 'resume').success
    peers.wait_steps(count + 2)
    assert peers.actions[-1].step == count + 1
    assert not peers.call(Trigger, 'resume').success
