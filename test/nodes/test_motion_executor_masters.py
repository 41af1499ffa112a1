"""motion_executor, a base and others as processes: nobody else drives."""

import math
import os
import time

from bench import PATIENCE
from geometry_msgs.msg import Twist
from janusvln_ros.msg import MotionStatus, NavigatorStatus
from janusvln_ros.nodes.common.qos import LATCHED
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String
from waiting import stays, wait_for

pytestmark = pytest.mark.ros


def wait_idle(bench):
    wait_for(lambda: bench.status.state == MotionStatus.STATE_IDLE, 'the executor to be well')


def test_second_publisher_of_velocities_is_seen_named_and_not_driven_against(robot):
    bench = robot()
    other = bench.node.create_publisher(Twist, 'cmd_vel', 1)
    wait_for(lambda: bench.status.state == MotionStatus.STATE_FAULT, 'the fault')
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_BAD_INPUT and '/bench' in status.message
    bench.assert_stands()
    wait_for(
        lambda: '/diagnostics' in bench.heard and bench.diagnosis['state'] == 'FAULT',
        'diagnostics',
    )
    diagnosis = bench.heard['/diagnostics'].status[0]
    assert diagnosis.level == b'\x02' and '/bench' in diagnosis.message
    bench.node.destroy_publisher(other)
    wait_idle(bench)
    assert bench.set_parameter('max_linear_speed', 0.1).successful
    bench.act(1)
    wait_for(lambda: bench.base_moves, 'the base to move')
    other = bench.node.create_publisher(Twist, 'cmd_vel', 1)
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_BAD_INPUT, 'the stop')
    assert math.hypot(*bench.pose[:2]) < 0.25
    bench.assert_stands()
    # A joystick's node that is silent may be allowed, one that commands is not.
    assert bench.set_parameter('exclusive_command', False).successful
    wait_idle(bench)
    wait_for(lambda: '/bench may' in bench.heard['/diagnostics'].status[0].message, 'a warning')
    assert bench.do(2).result == MotionStatus.RESULT_SUCCEEDED
    bench.act(1)
    wait_for(lambda: bench.base_moves, 'the base to move')
    other.publish(Twist())
    stays(lambda: bench.status.state == MotionStatus.STATE_MOVING, 'the motion', 0.3)
    nudge = Twist()
    nudge.linear.x = 0.05
    wait_for(
        lambda: other.publish(nudge) or bench.status.result == MotionStatus.RESULT_BAD_INPUT,
        'the stop',
    )
    assert 'somebody else commands' in bench.status.message
    bench.assert_stands()
    wait_idle(bench)


def test_second_executor_is_seen_by_both_and_neither_drives(robot, start_command):
    bench = robot()
    second = start_command('motion_executor')
    sessions = {bench.status.session_id}

    def both_refuse():
        recent = list(bench.statuses)[-10:]
        sessions.update(status.session_id for status in recent)
        return len(sessions) == 2 and all('/motion_executor' in s.message for s in recent)

    wait_for(both_refuse, 'two faults', PATIENCE)
    step = bench.act(1).step
    wait_for(lambda: bench.ended(step), 'the answer')
    assert bench.status.result == MotionStatus.RESULT_BAD_INPUT
    bench.assert_stands()
    second.terminate()
    assert second.wait(PATIENCE) == 0
    wait_idle(bench)
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED


class Instructor:
    """Camera and user of a navigator beside a bench."""

    def __init__(self, bench):
        self._node = bench.node
        self.statuses = []  # of the navigator that is active
        self.sessions = set()  # of all
        self._image = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._words = self._node.create_publisher(String, 'instruction', 10)
        self._node.create_timer(0.1, self._take_picture)
        self._node.create_subscription(
            NavigatorStatus, 'navigator_status', self._on_status, LATCHED
        )

    def _take_picture(self):
        image = Image(height=48, width=64, step=192, encoding='rgb8', data=os.urandom(48 * 192))
        image.header.stamp = self._node.get_clock().now().to_msg()
        self._image.publish(image)

    def _on_status(self, message):
        self.sessions.add(message.session_id)
        if message.state != NavigatorStatus.STATE_INACTIVE:
            self.statuses.append(message)

    def idle(self):
        return self.statuses and self.statuses[-1].state == NavigatorStatus.STATE_IDLE

    def instruct(self):
        """Let the navigator drive forward without end; it may refuse that for a while."""

        def begun():
            if self.idle():
                self._words.publish(String(data='F'))
                time.sleep(0.5)
            return not self.idle()

        wait_for(self.idle, 'the navigator')
        wait_for(begun, 'an episode')

    def wait_failed(self, why):
        """Wait for the end of an episode that somebody else has ended."""
        wait_for(
            lambda: self.statuses[-1].reason == NavigatorStatus.REASON_MOTION_FAILED, 'the end'
        )
        assert why in self.statuses[-1].message


def test_restarted_peers_are_told_from_the_old_ones(robot, start_navigator, start_command):
    slow = ('-p', 'max_linear_speed:=0.05')  # a step is to outlast the start of an executor
    bench = robot(*slow)
    user = Instructor(bench)
    navigator = start_navigator('status_timeout:=20.0')  # or silence ends the episode first
    user.instruct()
    wait_for(lambda: bench.base_moves, 'the base to move')
    bench.act(2)  # by hand: whoever that is, the navigator has a rival
    wait_for(lambda: 'two navigators' in bench.status.message, 'the refusal')
    bench.assert_stands()
    user.wait_failed('another navigator')
    wait_idle(bench)

    user.instruct()
    wait_for(lambda: bench.base_moves, 'the base to move')
    old = bench.status.session_id
    bench.process.kill()
    bench.process.wait()
    bench.process = start_command('motion_executor', '--ros-args', *slow)
    wait_for(lambda: bench.status.session_id != old, 'the new executor', PATIENCE)
    user.wait_failed('restarted')
    bench.assert_stands()
    wait_idle(bench)

    start_navigator(autostart=False)  # it takes the place of the other, as fast as that can be
    wait_for(lambda: len(user.sessions) == 2, 'the next navigator', PATIENCE)
    x, y, _ = bench.pose
    user.instruct()
    wait_for(lambda: bench.base_moves, 'the base to move')
    navigator.kill()
    wait_for(lambda: bench.status.result == MotionStatus.RESULT_CANCELED, 'the stop', 10.0)
    assert 'restarted' in bench.status.message
    assert math.hypot(bench.pose[0] - x, bench.pose[1] - y) < 0.2
    bench.assert_stands()
