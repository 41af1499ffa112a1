"""Start the navigator on a workstation; robot.launch.py runs on the robot, Wi-Fi in between."""

from janusvln_ros.nodes.navigator_settings import NavigatorParameters
from janusvln_ros.system.launching import Argument, checked, CONFIG, include, parameter_file
from launch import LaunchDescription

# They come before those of navigator.launch.py, whose defaults suit one computer.
ARGUMENTS = (
    Argument(
        'image_transport',
        'compressed',
        'compressed: listen to <image_topic>/compressed; raw needs 220 Mbit/s at 640x480 and '
        '30 Hz.',
        choices=['raw', 'compressed'],
    ),
    Argument(
        'navigator_params',
        str(CONFIG / 'navigator_wifi.yaml'),
        "File with parameters of the navigator; they win over the computer's.",
        check=parameter_file('navigator', NavigatorParameters),
    ),
)


def generate_launch_description() -> LaunchDescription:
    """Include the navigator with what suits a radio link."""
    return checked(__file__, [*ARGUMENTS, include('navigator')])
