"""Start the navigator: the side with the GPU."""

from collections.abc import Mapping
from pathlib import Path

from janusvln_ros.nodes.navigator_settings import NavigatorParameters
from janusvln_ros.system.launching import (
    Argument,
    checked,
    common_arguments,
    COMPUTERS,
    CONFIG,
    console,
    from_arguments,
    node,
    parameter_file,
    respawn_argument,
    RESPAWNING,
    robots_argument,
    switch,
    topic_arguments,
    transport_profile,
)
from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterFile


def is_checkpoint(value: str, values: Mapping[str, str]) -> None:
    """Check that a value is a folder, or random."""
    if not value:
        raise ValueError(
            'the checkpoint is missing: give its folder, or checkpoint:=random to try the plumbing'
        )
    if value != 'random' and not (Path(value) / 'config.json').is_file():
        raise ValueError('there is no checkpoint: no config.json in such a folder')


def is_adapter(value: str, values: Mapping[str, str]) -> None:
    """Check that a value is an adapter's folder, or empty."""
    if value and not (Path(value) / 'adapter_config.json').is_file():
        raise ValueError('there is no adapter: no adapter_config.json in such a folder')


ARGUMENTS = (
    Argument(
        'checkpoint',
        '',
        'Folder of the checkpoint (Hugging Face layout); has to be given. random: small random '
        'weights that do not follow the instruction, to try the plumbing.',
        check=is_checkpoint,
    ),
    Argument(
        'adapter',
        '',
        "Folder of a low-rank adapter (PEFT's layout) that is added to the checkpoint's weights; "
        'empty: none. Counts instead of what a file says.',
        check=is_adapter,
    ),
    Argument(
        'computer',
        'workstation_24gb',
        'What the policy runs on: config/computers/<this>.yaml; laptop_cpu needs no GPU.',
        choices=COMPUTERS,
    ),
    Argument(
        'execution_mode',
        'step',
        'step: decide at rest, as the published model was trained; continuous: keep deciding '
        'while the robot moves. The executor needs the same.',
        choices=['step', 'continuous'],
    ),
    *topic_arguments(
        {
            'image': 'Camera (sensor_msgs/Image).',
            'instruction': 'What the robot is to do (std_msgs/String).',
        }
    ),
    Argument(
        'image_transport',
        'raw',
        'compressed: listen to <image_topic>/compressed, for cameras across Wi-Fi.',
        choices=['raw', 'compressed'],
    ),
    switch(
        'autostart',
        'Load the checkpoint and subscribe at once; false: a lifecycle manager does.',
        default='true',
    ),
    Argument(
        'navigator_params',
        str(CONFIG / 'navigator.yaml'),
        "File with parameters of the navigator; they win over the computer's.",
        check=parameter_file('navigator', NavigatorParameters),
    ),
    *common_arguments(),
    robots_argument(),
    respawn_argument(),
    Argument(
        'log_level',
        'info',
        'Least severity that is printed.',
        choices=['debug', 'info', 'warn', 'error'],
    ),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the navigator's process."""
    image = LaunchConfiguration('image_topic')
    navigator = node(
        'janusvln_ros',
        'navigator',
        'navigator',
        parameters=[
            ParameterFile([f'{CONFIG}/computers/', LaunchConfiguration('computer'), '.yaml']),
            ParameterFile(LaunchConfiguration('navigator_params')),
            from_arguments(
                checkpoint=str,
                adapter=str,
                execution_mode=str,
                image_transport=str,
                autostart=bool,
                use_sim_time=bool,
            ),
        ],
        remappings=[
            ('image', image),
            ('image/compressed', [image, '/compressed']),
            ('instruction', LaunchConfiguration('instruction_topic')),
        ],
        ros_arguments=[
            '-p',
            ['robots:=', LaunchConfiguration('robots')],
            '--log-level',
            ['navigator:=', LaunchConfiguration('log_level')],
            '--enclave',
            '/janusvln/navigator',
        ],
        sigterm_timeout='10',  # s; a step of the policy may have to end first
        **RESPAWNING,
    )
    return checked(__file__, [*ARGUMENTS, *transport_profile(), navigator, *console()])
