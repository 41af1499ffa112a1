"""Start motion_executor: the robot's side, without torch or GPU."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

CONFIG = Path(__file__).parents[1] / 'config'
ROBOTS = sorted(path.stem.removeprefix('robot_') for path in CONFIG.glob('robot_*.yaml'))

ARGUMENTS = (
    DeclareLaunchArgument(
        'robot',
        default_value='diff_drive',
        choices=ROBOTS,
        description='Kind of base: config/robot_<this>.yaml.',
    ),
    DeclareLaunchArgument(
        'execution_mode',
        default_value='step',
        choices=['step', 'continuous'],
        description='step: one action, settle, then the next frame; continuous: successive '
        'actions chain into one motion. The navigator needs the same.',
    ),
    DeclareLaunchArgument(
        'odom_topic', default_value='odom', description='Odometry (nav_msgs/Odometry).'
    ),
    DeclareLaunchArgument(
        'cmd_vel_topic',
        default_value='cmd_vel',
        description='Velocity for the base; nav_vel for config/twist_mux.yaml.',
    ),
    DeclareLaunchArgument(
        'scan_topic',
        default_value='scan',
        description='Laser scan, read if the robot file sets stop_distance.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='true',
        choices=['true', 'false'],
        description='Let the robot move at once; false: a lifecycle manager activates it.',
    ),
    DeclareLaunchArgument(
        'compress_images',
        default_value='false',
        choices=['true', 'false'],
        description='Publish <image_topic>/compressed from <image_topic> (image_transport), for a '
        'navigator across Wi-Fi and a camera driver that does not do it.',
    ),
    DeclareLaunchArgument(
        'image_topic', default_value='image', description='Camera topic for compress_images.'
    ),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the robot; moves all topics.'
    ),
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='false',
        choices=['true', 'false'],
        description='Take the time from /clock.',
    ),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the executor's process."""
    profile = str(CONFIG / 'fastdds.xml')
    parameters = {
        'execution_mode': LaunchConfiguration('execution_mode'),
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
    }
    executor = Node(
        package='janusvln_ros',
        executable='motion_executor',
        name='motion_executor',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            ParameterFile([str(CONFIG / 'robot_'), LaunchConfiguration('robot'), '.yaml']),
            parameters,
        ],
        remappings=[
            ('odom', LaunchConfiguration('odom_topic')),
            ('cmd_vel', LaunchConfiguration('cmd_vel_topic')),
            ('scan', LaunchConfiguration('scan_topic')),
        ],
        ros_arguments=['--enclave', '/janusvln/motion_executor'],
    )
    image = LaunchConfiguration('image_topic')
    compressor = Node(
        package='image_transport',
        executable='republish',
        name='compressor',
        namespace=LaunchConfiguration('namespace'),
        arguments=['raw', 'compressed'],
        parameters=[{'in_transport': 'raw', 'out_transport': 'compressed'}],
        remappings=[('in', image), ('out/compressed', [image, '/compressed'])],
        condition=IfCondition(LaunchConfiguration('compress_images')),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            *(
                SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
                for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
            ),
            executor,
            compressor,
        ]
    )
