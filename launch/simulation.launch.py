"""Start the simulated robot with motion_executor and navigator."""

from collections.abc import Mapping

from janusvln_ros.nodes.sim_settings import make_house, read_start_pose, Settings
from janusvln_ros.parameters import flatten
from janusvln_ros.system.launching import (
    Argument,
    checked,
    COMPUTERS,
    CONFIG,
    from_arguments,
    include,
    node,
    parameter_argument,
    ROBOTS,
    switch,
)
from janusvln_ros.system.processes import bundled_checkpoint
from launch import LaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

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
        bundled_checkpoint(),
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
    parameters = {one.name: type(one.default) for one in SIMULATOR}
    simulator = node(
        'janusvln_ros',
        'sim_robot',
        'sim_robot',
        parameters=[from_arguments(**parameters, use_sim_time=bool)],
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        condition=IfCondition(LaunchConfiguration('rviz')),
        namespace=LaunchConfiguration('namespace'),
        arguments=['-d', str(CONFIG / 'navigation.rviz')],
    )
    # The sides come first: they declare namespace and use_sim_time.
    return checked(__file__, [*ARGUMENTS, include('all'), simulator, rviz])
