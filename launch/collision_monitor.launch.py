"""Start Nav2's collision monitor between motion_executor and the base; no map. It was not run."""

from janusvln_ros.system.launching import (
    Argument,
    checked,
    common_arguments,
    CONFIG,
    from_arguments,
    node,
    parameter_file,
    topic_arguments,
)
from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterFile

TOPICS = {
    'nav_vel': "The executor's velocity: start it with cmd_vel_topic:=nav_vel.",
    'cmd_vel': 'Velocity for the base.',
    'scan': 'Laser scan.',
    'collision_monitor_state': 'What the monitor does; motion_executor reads it.',
}

ARGUMENTS = (
    Argument(
        'collision_params',
        str(CONFIG / 'collision_monitor.yaml'),
        'File with parameters of collision_monitor.',
        check=parameter_file('collision_monitor'),
    ),
    *topic_arguments(TOPICS),
    *common_arguments(),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the monitor's process, and that of the manager that activates it."""
    use_sim_time = from_arguments(use_sim_time=bool)
    monitor = node(
        'nav2_collision_monitor',
        'collision_monitor',
        'collision_monitor',
        parameters=[ParameterFile(LaunchConfiguration('collision_params')), use_sim_time],
        remappings=[(name, LaunchConfiguration(f'{name}_topic')) for name in TOPICS],
    )
    manager = node(
        'nav2_lifecycle_manager',
        'lifecycle_manager',
        'lifecycle_manager_collision_monitor',
        parameters=[{'autostart': True, 'node_names': ['collision_monitor']}, use_sim_time],
    )
    return checked(
        __file__,
        [*ARGUMENTS, monitor, manager],
        packages=['nav2_collision_monitor', 'nav2_lifecycle_manager'],
    )
