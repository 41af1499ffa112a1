"""What Nav2's collision monitor says, with its own message type, where that is installed."""

from janusvln_ros.msg import MotionStatus
import pytest
from waiting import wait_for

messages = pytest.importorskip('nav2_msgs.msg', reason='Nav2 is not on PyPI')


def test_motion_that_the_monitor_stops_is_blocked_and_the_polygon_named(robot):
    bench = robot()
    publisher = bench.node.create_publisher(
        messages.CollisionMonitorState, 'collision_monitor_state', 1
    )
    wait_for(publisher.get_subscription_count, 'the executor')
    state = messages.CollisionMonitorState(polygon_name='zone')
    state.action_type = state.STOP
    publisher.publish(state)
    status = bench.do(1)
    assert status.result == MotionStatus.RESULT_BLOCKED and '"zone"' in status.message
    bench.assert_stands()
    publisher.publish(messages.CollisionMonitorState())
    assert bench.do(1).result == MotionStatus.RESULT_SUCCEEDED
