"""Start navigator and motion_executor on one computer; all arguments of both are passed on."""

from collections.abc import Mapping
from pathlib import Path

from janusvln_ros.recordings.topics import TOPICS
from janusvln_ros.system.launching import Argument, checked, ends_launch, include, switch
from launch import LaunchContext, LaunchDescription
from launch.actions import ExecuteProcess, OpaqueFunction, SetLaunchConfiguration
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration


def is_new(value: str, values: Mapping[str, str]) -> None:
    """Check that a value is no file or folder yet, if something is to be recorded."""
    if values['record'] == 'true' and Path(value).exists():
        raise ValueError('it exists already')


ARGUMENTS = (
    switch(
        'record',
        'Record what a replay needs with rosbag2 (MCAP), see docs/replay.md.',
        packages=['ros2bag', 'rosbag2_storage_mcap'],
    ),
    Argument(
        'record_to',
        'recording',
        'New folder of the recording; relative to where launch was started.',
        check=is_new,
    ),
)


def record(context: LaunchContext) -> list[ExecuteProcess]:
    """Record the topics of the robot's namespace, those that were renamed under their new name."""
    value = context.launch_configurations
    renamed = {topic.name: value.get(f'{topic.name}_topic', topic.name) for topic in TOPICS}
    renamed['image'] += '/compressed' * (value['image_transport'] != 'raw')
    space = value['namespace'].strip('/')
    full = [
        name if name.startswith('/') else f'/{space}/{name}'.replace('//', '/')
        for name in renamed.values()
    ]
    return [
        ExecuteProcess(
            cmd=['ros2', 'bag', 'record', '-s', 'mcap', '-o', value['record_to'], *full],
            output='screen',
            on_exit=ends_launch('the recorder'),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Include both sides, and the recorder where it is asked for."""
    recorder = OpaqueFunction(
        function=record, condition=IfCondition(LaunchConfiguration('record'))
    )
    downloads = SetLaunchConfiguration(
        'recording',
        LaunchConfiguration('record_to'),
        condition=IfCondition(LaunchConfiguration('record')),
    )
    sides = include('robot'), include('navigator')
    return checked(__file__, [*ARGUMENTS, downloads, *sides, recorder])
