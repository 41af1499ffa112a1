"""Start motion_executor: the robot's side, without torch or GPU."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

CONFIG = Path(__file__).parents[1] / 'config'
ROBOTS = sorted(path.stem.removeprefix('robot_') for path in CONFIG.glob('robot_*.yaml'))

ARGUMENTS = (
    DeclareLaunchArgument(
        'robot', default_value='diff_drive', choices=ROBOTS,
        description='Kind of base: config/robot_<this>.yaml.'),
    DeclareLaunchArgument(
        'execution_mode', default_value='step', choices=['step', 'continuous'],
        description='step: one action, settle, then the next frame; continuous: successive '
        'actions chain into one motion. The navigator needs the same.'),
    DeclareLaunchArgument(
        'odom_topic', default_value='odom', description='Odometry (nav_msgs/Odometry).'),
    DeclareLaunchArgument(
        'cmd_vel_topic', default_value='cmd_vel',
        description='Velocity for the base; nav_vel for config/twist_mux.yaml.'),
    DeclareLaunchArgument(
        'scan_topic', default_value='scan',
        description='Laser scan, read if the robot file sets stop_distance.'),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the robot; moves all topics.'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='false', choices=['true', 'false'],
        description='Take the time from /clock.'))


def generate_launch_description() -> LaunchDescription:
    """Describe the executor's process."""
    profile = str(CONFIG / 'fastdds.xml')
    parameters = {'execution_mode': LaunchConfiguration('execution_mode'),
                  'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'),
                                                 value_type=bool)}
    executor = Node(
        package='janusvln_ros', executable='motion_executor', name='motion_executor',
        output='screen', namespace=LaunchConfiguration('namespace'),
        parameters=[
            ParameterFile([str(CONFIG / 'robot_'), LaunchConfiguration('robot'), '.yaml']),
            parameters],
        remappings=[('odom', LaunchConfiguration('odom_topic')),
                    ('cmd_vel', LaunchConfiguration('cmd_vel_topic')),
                    ('scan', LaunchConfiguration('scan_topic'))],
        ros_arguments=['--enclave', '/janusvln/motion_executor'])
    return LaunchDescription([
        *ARGUMENTS,
        *(SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
          for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')),
        executor])
