"""Start motion_executor: the robot's side, without torch or GPU."""

from pathlib import Path

from janusvln_ros.nodes.motion_executor import Parameters
from janusvln_ros.system.launching import (
    Argument,
    checked,
    ends_launch,
    is_namespace,
    parameter_file,
    RESPAWN_DELAY,
    switch,
    topic_arguments,
)
from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

CONFIG = Path(__file__).parents[1] / 'config'
ROBOTS = sorted(path.stem.removeprefix('robot_') for path in CONFIG.glob('robot_*.yaml'))
TOPICS = {
    'odom': 'Odometry (nav_msgs/Odometry).',
    'cmd_vel': 'Velocity for the base; nav_vel for twist_mux or the collision monitor.',
    'scan': 'Laser scan, read if the parameters name it in obstacle_sensor.',
    'scan2': 'The same of a second laser.',
    'depth': 'Depth image, read if the parameters name it in obstacle_sensor.',
    'depth_camera_info': 'Its CameraInfo.',
    'points': 'PointCloud2, read if the parameters name it in obstacle_sensor.',
    'e_stop': 'Button that stops the robot (std_msgs/Bool).',
    'sentence': 'Commands in words, as "turn left 30 degrees" (std_msgs/String).',
    'manual_velocity': 'Velocity that a person holds (geometry_msgs/TwistStamped).',
    'collision_monitor_state': "What Nav2's collision monitor does, collision_monitor.launch.py.",
    'mid_level_command': 'Commands for a base that moves by itself, docs/motion.md.',
    'mid_level_done': 'Its answers.',
}

ARGUMENTS = (
    Argument('robot', 'diff_drive', 'Kind of base: config/robot_<this>.yaml.', choices=ROBOTS),
    Argument(
        'robot_params',
        [str(CONFIG / 'robot_'), LaunchConfiguration('robot'), '.yaml'],
        'File with parameters of motion_executor for a robot of your own; robot does not count '
        'then.',
        check=parameter_file('motion_executor', Parameters),
    ),
    Argument(
        'execution_mode',
        'step',
        'step: one action, settle, then the next frame; continuous: successive actions chain into '
        'one motion. The navigator needs the same. Counts instead of what a file says.',
        choices=['step', 'continuous'],
    ),
    *topic_arguments(TOPICS),
    switch('autostart', 'Activate at once; false: a lifecycle manager does.', default='true'),
    switch(
        'compress_images',
        'Publish <image_topic>/compressed from <image_topic> (image_transport), for a navigator '
        'across Wi-Fi and a camera driver that does not do it.',
        packages=['image_transport', 'compressed_image_transport'],
    ),
    *topic_arguments({'image': 'Camera, for compress_images.'}),
    Argument('namespace', '', 'Namespace of the robot; moves all topics.', check=is_namespace),
    switch('use_sim_time', 'Take the time from /clock.'),
    switch(
        'respawn',
        'Start a node that has died again, at most three times; false: the launch ends with it.',
    ),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the executor's process."""
    profile = str(CONFIG / 'fastdds.xml')
    image = LaunchConfiguration('image_topic')
    parameters = {
        'execution_mode': LaunchConfiguration('execution_mode'),
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
    }
    executor = Node(
        package='janusvln_ros',
        executable='motion_executor',
        name='motion_executor',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[ParameterFile(LaunchConfiguration('robot_params')), parameters],
        remappings=[(name, LaunchConfiguration(f'{name}_topic')) for name in TOPICS],
        ros_arguments=['--enclave', '/janusvln/motion_executor'],
        respawn=LaunchConfiguration('respawn'),
        respawn_delay=RESPAWN_DELAY,
        on_exit=ends_launch('motion_executor'),
    )
    compressor = Node(
        package='image_transport',
        executable='republish',
        name='compressor',
        namespace=LaunchConfiguration('namespace'),
        arguments=['raw', 'compressed'],
        parameters=[{'in_transport': 'raw', 'out_transport': 'compressed'}],
        remappings=[('in', image), ('out/compressed', [image, '/compressed'])],
        condition=IfCondition(LaunchConfiguration('compress_images')),
        respawn=LaunchConfiguration('respawn'),
        respawn_delay=RESPAWN_DELAY,
        on_exit=ends_launch('the compressor of images'),
    )
    return checked(
        __file__,
        [
            *ARGUMENTS,
            *(
                SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
                for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
            ),
            executor,
            compressor,
        ],
    )
