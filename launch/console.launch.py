"""Start the console: a page to watch, instruct, drive and stop the robot (docs/console.md)."""

from janusvln_ros.console.options import ConsoleParameters
from janusvln_ros.parameters import flatten
from janusvln_ros.system.launching import (
    Argument,
    checked,
    is_namespace,
    parameter_argument,
    switch,
    topic_arguments,
)
from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TOPICS = {
    'odom': 'Odometry (nav_msgs/Odometry).',
    'e_stop': 'Button that stops the robot (std_msgs/Bool).',
    'manual_velocity': 'Velocity that a person holds (geometry_msgs/TwistStamped).',
}
SERVER = [
    one
    for one in flatten(ConsoleParameters).values()
    if one.name in ('address', 'port', 'hosts', 'certificate', 'key', 'stop_without_login')
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
    Argument('namespace', '', 'Namespace of the robot; moves all topics.', check=is_namespace),
    switch('use_sim_time', 'Take the time from /clock.'),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the console's process; the launch goes on without it."""
    image = LaunchConfiguration('image_topic')
    parameters = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in (
            *((one.name, type(one.default)) for one in SERVER),
            ('image_transport', str),
            ('use_sim_time', bool),
        )
    }
    console = Node(
        package='janusvln_ros',
        executable='console',
        name='console',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[parameters],
        remappings=[
            ('image', image),
            ('image/compressed', [image, '/compressed']),
            *((name, LaunchConfiguration(f'{name}_topic')) for name in TOPICS),
        ],
        ros_arguments=['--enclave', '/janusvln/console'],
    )
    return checked(__file__, [*ARGUMENTS, console])
