"""Start motion_executor: the robot's side, without torch or GPU."""

from janusvln_ros.nodes.motion_executor import Parameters
from janusvln_ros.system.launching import (
    Argument,
    checked,
    common_arguments,
    CONFIG,
    console,
    ends_launch,
    from_arguments,
    node,
    parameter_file,
    respawn_argument,
    RESPAWNING,
    ROBOTS,
    switch,
    topic_arguments,
    transport_profile,
)
from launch import LaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterFile

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
    *common_arguments(),
    respawn_argument(),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the executor's process."""
    image = LaunchConfiguration('image_topic')
    executor = node(
        'janusvln_ros',
        'motion_executor',
        'motion_executor',
        parameters=[
            ParameterFile(LaunchConfiguration('robot_params')),
            from_arguments(execution_mode=str, autostart=bool, use_sim_time=bool),
        ],
        remappings=[(name, LaunchConfiguration(f'{name}_topic')) for name in TOPICS],
        ros_arguments=['--enclave', '/janusvln/motion_executor'],
        **RESPAWNING,
    )
    compressor = node(
        'image_transport',
        'republish',
        'compressor',
        output='log',
        arguments=['raw', 'compressed'],
        parameters=[{'in_transport': 'raw', 'out_transport': 'compressed'}],
        remappings=[('in', image), ('out/compressed', [image, '/compressed'])],
        condition=IfCondition(LaunchConfiguration('compress_images')),
        on_exit=ends_launch('the compressor of images'),
        **RESPAWNING,
    )
    return checked(__file__, [*ARGUMENTS, *transport_profile(), executor, compressor, *console()])
