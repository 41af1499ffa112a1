"""What to record of a run, so that it can be replayed and looked at later."""

from __future__ import annotations

from dataclasses import dataclass

NAVIGATION_ACTION = 'janusvln_ros/msg/NavigationAction'
NAVIGATOR_STATUS = 'janusvln_ros/msg/NavigatorStatus'
MOTION_STATUS = 'janusvln_ros/msg/MotionStatus'
IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
CLOUD = 'sensor_msgs/msg/PointCloud2'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
INSTRUCTION = 'std_msgs/msg/String'
ODOMETRY = 'nav_msgs/msg/Odometry'
TF = 'tf2_msgs/msg/TFMessage'
TWIST = 'geometry_msgs/msg/Twist'
TWIST_STAMPED = 'geometry_msgs/msg/TwistStamped'
SETTINGS = 'diagnostic_msgs/msg/DiagnosticStatus'


@dataclass(frozen=True)
class RecordedTopic:
    """
    One topic worth recording.

    `name` is relative as in the package's other names: a namespace moves it. `latched` topics are
    published transient local, so that a late subscriber gets the last message.
    """

    name: str
    msgtype: str
    purpose: str
    latched: bool = False


# The first seven decide what a replay does; the others are for the eye.
TOPICS = (
    RecordedTopic('image', IMAGE, 'what the policy sees (or image/compressed, the one in use)'),
    RecordedTopic('instruction', INSTRUCTION, 'where an episode starts, and its sentence'),
    RecordedTopic('navigation_action', NAVIGATION_ACTION, 'which frames were used; the answers'),
    RecordedTopic('navigator_status', NAVIGATOR_STATUS, 'episodes by id and sentence', True),
    RecordedTopic('motion_status', MOTION_STATUS, 'when each motion ended'),
    RecordedTopic('odom', ODOMETRY, 'the path'),
    RecordedTopic('policy_settings', SETTINGS, 'what the policy ran with', True),
    RecordedTopic('camera_info', CAMERA_INFO, 'the lens, for projections and depth'),
    RecordedTopic('cmd_vel', TWIST, 'what the base was told'),
    RecordedTopic('mid_level_command', 'janusvln_ros/msg/MidLevelCommand', 'the same in words'),
    RecordedTopic('e_stop', 'std_msgs/msg/Bool', 'the e-stop button'),
    RecordedTopic('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', 'rates, latencies'),
    RecordedTopic('/tf', TF, 'frames, for RViz and Foxglove'),
    RecordedTopic('/tf_static', TF, 'fixed frames', True),
    RecordedTopic('/clock', 'rosgraph_msgs/msg/Clock', 'simulated time, where it is used'),
)


def is_latched(topic: str) -> bool:
    """Tell whether a topic (full name, any namespace) is published transient local."""
    return any(
        t.latched and (topic == t.name or topic.endswith('/' + t.name.lstrip('/'))) for t in TOPICS
    )
