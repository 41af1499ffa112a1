"""Start the console: a page to watch, instruct, drive and stop the robot (docs/console.md)."""

from janusvln_ros.console.options import ConsoleParameters
from janusvln_ros.parameters import flatten
from janusvln_ros.system.launching import (
    Argument,
    checked,
    common_arguments,
    from_arguments,
    parameter_argument,
    robots_argument,
    topic_arguments,
)
from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

TOPICS = {
    'odom': 'Odometry (nav_msgs/Odometry).',
    'e_stop': 'Button that stops the robot (std_msgs/Bool).',
    'manual_velocity': 'Velocity that a person holds (geometry_msgs/TwistStamped).',
}
SERVER = [
    one
    for one in flatten(ConsoleParameters).values()
    if one.name
    in ('address', 'port', 'hosts', 'certificate', 'key', 'stop_without_login', 'recording')
]
ARGUMENTS = (
    *(parameter_argument(one) for one in SERVER),
    *topic_arguments({'image': 'Camera (sensor_msgs/Image).', **TOPICS}),
    Argument(
        'image_transport',
        'raw',
        'compressed: listen to <image_topic>/compressed.',
        choices=['raw', 'compressed'],
    ),
    *common_arguments(),
    robots_argument(),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the console's process; the launch goes on without it."""
    image = LaunchConfiguration('image_topic')
    kinds = {one.name: type(one.default) for one in SERVER}
    console = Node(
        package='janusvln_ros',
        executable='console',
        name='console',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[from_arguments(**kinds, image_transport=str, use_sim_time=bool)],
        remappings=[
            ('image', image),
            ('image/compressed', [image, '/compressed']),
            *((name, LaunchConfiguration(f'{name}_topic')) for name in TOPICS),
        ],
        ros_arguments=[
            '-p',
            ['robots:=', LaunchConfiguration('robots')],
            '--enclave',
            '/janusvln/console',
        ],
    )
    return checked(__file__, [*ARGUMENTS, console])
