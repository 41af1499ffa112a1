"""Start navigator and motion_executor on one computer; all arguments of both are passed on."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def generate_launch_description() -> LaunchDescription:
    """Include both sides."""
    return LaunchDescription([
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            str(Path(__file__).parent / f'{side}.launch.py')))
        for side in ('robot', 'navigator')])
