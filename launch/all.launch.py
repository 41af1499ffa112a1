"""Start navigator and motion_executor on one computer; all arguments of both are passed on."""

from pathlib import Path

from janusvln_ros.recordings.topics import TOPICS
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

ARGUMENTS = (
    DeclareLaunchArgument(
        'record',
        default_value='false',
        choices=['true', 'false'],
        description='Record what a replay needs with rosbag2 (MCAP), see docs/replay.md.',
    ),
    DeclareLaunchArgument(
        'record_to',
        default_value='recording',
        description='New folder of the recording; relative to where launch was started.',
    ),
)


def record(context: LaunchContext) -> list[ExecuteProcess]:
    """Record the topics of the robot's namespace, the camera's under its own name."""
    value = {
        name: LaunchConfiguration(name).perform(context)
        for name in (
            'namespace',
            'image_topic',
            'image_transport',
            'odom_topic',
            'cmd_vel_topic',
            'record_to',
        )
    }
    renamed = {
        'image': value['image_topic'] + '/compressed' * (value['image_transport'] != 'raw'),
        'odom': value['odom_topic'],
        'cmd_vel': value['cmd_vel_topic'],
    }
    space = value['namespace'].strip('/')
    names = [renamed.get(topic.name, topic.name) for topic in TOPICS]
    full = [
        name if name.startswith('/') else f'/{space}/{name}'.replace('//', '/') for name in names
    ]
    return [
        ExecuteProcess(
            cmd=['ros2', 'bag', 'record', '-s', 'mcap', '-o', value['record_to'], *full],
            output='screen',
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Include both sides, and the recorder where it is asked for."""
    sides = [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(Path(__file__).parent / f'{side}.launch.py'))
        )
        for side in ('robot', 'navigator')
    ]
    return LaunchDescription(
        [
            *ARGUMENTS,
            *sides,
            OpaqueFunction(function=record, condition=IfCondition(LaunchConfiguration('record'))),
        ]
    )
