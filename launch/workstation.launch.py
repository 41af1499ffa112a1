"""Start the navigator on a workstation; robot.launch.py runs on the robot, Wi-Fi in between."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

# They come before those of navigator.launch.py, whose defaults suit one computer.
ARGUMENTS = (
    DeclareLaunchArgument(
        'image_transport',
        default_value='compressed',
        choices=['raw', 'compressed'],
        description='compressed: listen to <image_topic>/compressed; raw needs 220 Mbit/s at '
        '640x480 and 30 Hz.',
    ),
    DeclareLaunchArgument(
        'navigator_params',
        default_value=str(Path(__file__).parents[1] / 'config' / 'navigator_wifi.yaml'),
        description='File with parameters of the navigator.',
    ),
)


def generate_launch_description() -> LaunchDescription:
    """Include the navigator with what suits a radio link."""
    navigator = Path(__file__).parent / 'navigator.launch.py'
    return LaunchDescription(
        [*ARGUMENTS, IncludeLaunchDescription(PythonLaunchDescriptionSource(str(navigator)))]
    )
