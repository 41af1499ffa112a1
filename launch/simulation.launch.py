"""Start the simulated robot with motion_executor and navigator."""

from collections.abc import Mapping
from pathlib import Path

from janusvln_ros.nodes.sim_settings import make_house, read_start_pose, Settings
from janusvln_ros.parameters import flatten
from janusvln_ros.system.launching import (
    Argument,
    checked,
    ends_launch,
    parameter_argument,
    switch,
)
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TINY = Path(__file__).parents[1] / 'models' / 'janusvln-tiny'
ROBOTS = sorted(
    path.stem.removeprefix('robot_')
    for path in Path(__file__).parents[1].glob('config/robot_*.yaml')
)
COMPUTERS = sorted(path.stem for path in Path(__file__).parents[1].glob('config/computers/*.yaml'))
SIMULATOR = [
    one
    for one in flatten(Settings).values()
    if one.name
    in (
        'house_seed',
        'rooms',
        'scene',
        'start_pose',
        'real_time_factor',
        'image_width',
        'image_height',
        'image_rate',
    )
]


def _is_scene(value: str, values: Mapping[str, str]) -> None:
    make_house(value, 0, 1)


def _is_start_pose(value: str, values: Mapping[str, str]) -> None:
    house = make_house(values['scene'], int(values['house_seed']), int(values['rooms']))
    read_start_pose(value, house)


FURTHER = {'scene': _is_scene, 'start_pose': _is_start_pose}
ARGUMENTS = (
    Argument(
        'checkpoint',
        str(TINY) if (TINY / 'config.json').is_file() else 'random',
        'Folder of the checkpoint (Hugging Face layout); random: small random weights that do not '
        'follow the instruction, to try the plumbing.',
    ),
    Argument(
        'computer',
        'laptop_cpu',
        'What the policy runs on: config/computers/<this>.yaml.',
        choices=COMPUTERS,
    ),
    Argument('robot', 'simulator', 'Kind of base: config/robot_<this>.yaml.', choices=ROBOTS),
    *(parameter_argument(one, FURTHER.get(one.name)) for one in SIMULATOR),
    switch('rviz', 'Start RViz with config/navigation.rviz.', packages=['rviz2']),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the simulator's process, and include both sides of the robot."""
    here = Path(__file__).parent
    sides = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(here / 'all.launch.py')))
    simulator = Node(
        package='janusvln_ros',
        executable='sim_robot',
        name='sim_robot',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            {
                name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                for name, kind in (
                    *((one.name, type(one.default)) for one in SIMULATOR),
                    ('use_sim_time', bool),
                )
            }
        ],
        on_exit=ends_launch('sim_robot'),
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        condition=IfCondition(LaunchConfiguration('rviz')),
        namespace=LaunchConfiguration('namespace'),
        arguments=['-d', str(here.parent / 'config' / 'navigation.rviz')],
    )
    # The sides come first: they declare namespace and use_sim_time.
    return checked(__file__, [*ARGUMENTS, sides, simulator, rviz])
