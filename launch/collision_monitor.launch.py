"""Start Nav2's collision monitor between motion_executor and the base; no map. It was not run."""

from pathlib import Path

from janusvln_ros.system.launching import (
    Argument,
    checked,
    ends_launch,
    is_namespace,
    parameter_file,
    switch,
    topic_arguments,
)
from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

TOPICS = {
    'nav_vel': "The executor's velocity: start it with cmd_vel_topic:=nav_vel.",
    'cmd_vel': 'Velocity for the base.',
    'scan': 'Laser scan.',
    'collision_monitor_state': 'What the monitor does; motion_executor reads it.',
}

ARGUMENTS = (
    Argument(
        'collision_params',
        str(Path(__file__).parents[1] / 'config' / 'collision_monitor.yaml'),
        'File with parameters of collision_monitor.',
        check=parameter_file('collision_monitor'),
    ),
    *topic_arguments(TOPICS),
    Argument('namespace', '', 'Namespace of the robot; moves all topics.', check=is_namespace),
    switch('use_sim_time', 'Take the time from /clock.'),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the monitor's process, and that of the manager that activates it."""
    use_sim_time = {
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    }
    monitor = Node(
        package='nav2_collision_monitor',
        executable='collision_monitor',
        name='collision_monitor',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[ParameterFile(LaunchConfiguration('collision_params')), use_sim_time],
        remappings=[(name, LaunchConfiguration(f'{name}_topic')) for name in TOPICS],
        on_exit=ends_launch('collision_monitor'),
    )
    manager = Node(
        package='nav2_lifecycle_manager',
        executable='lifecycle_manager',
        name='lifecycle_manager_collision_monitor',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[{'autostart': True, 'node_names': ['collision_monitor']}, use_sim_time],
        on_exit=ends_launch('lifecycle_manager'),
    )
    return checked(
        __file__,
        [*ARGUMENTS, monitor, manager],
        packages=['nav2_collision_monitor', 'nav2_lifecycle_manager'],
    )
