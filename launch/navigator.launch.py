"""Start the navigator: the side with the GPU."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

CONFIG = Path(__file__).parents[1] / 'config'
COMPUTERS = sorted(path.stem for path in CONFIG.glob('computers/*.yaml'))

ARGUMENTS = (
    DeclareLaunchArgument(
        'checkpoint',
        default_value='',
        description='Folder of the checkpoint (Hugging Face layout); has to be given. random: '
        'small random weights that do not follow the instruction, to try the plumbing.',
    ),
    DeclareLaunchArgument(
        'computer',
        default_value='workstation_24gb',
        choices=COMPUTERS,
        description='What the policy runs on: config/computers/<this>.yaml.',
    ),
    DeclareLaunchArgument(
        'execution_mode',
        default_value='step',
        choices=['step', 'continuous'],
        description='step: decide at rest, as the published model was trained; continuous: keep '
        'deciding while the robot moves. The executor needs the same.',
    ),
    DeclareLaunchArgument(
        'image_topic', default_value='image', description='Camera topic (sensor_msgs/Image).'
    ),
    DeclareLaunchArgument(
        'image_transport',
        default_value='raw',
        choices=['raw', 'compressed'],
        description='compressed: listen to <image_topic>/compressed, for cameras across Wi-Fi.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='true',
        choices=['true', 'false'],
        description='Load the checkpoint and subscribe at once; false: a lifecycle manager does.',
    ),
    DeclareLaunchArgument(
        'navigator_params',
        default_value=str(CONFIG / 'navigator.yaml'),
        description='File with parameters of the navigator.',
    ),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the robot; moves all topics.'
    ),
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='false',
        choices=['true', 'false'],
        description='Take the time from /clock.',
    ),
    DeclareLaunchArgument(
        'log_level',
        default_value='info',
        choices=['debug', 'info', 'warn', 'error'],
        description='Least severity that is printed.',
    ),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the navigator's process."""
    profile = str(CONFIG / 'fastdds.xml')
    image = LaunchConfiguration('image_topic')
    parameters = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in (
            ('checkpoint', str),
            ('execution_mode', str),
            ('image_transport', str),
            ('autostart', bool),
            ('use_sim_time', bool),
        )
    }
    navigator = Node(
        package='janusvln_ros',
        executable='navigator',
        name='navigator',
        output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            LaunchConfiguration('navigator_params'),
            ParameterFile([f'{CONFIG}/computers/', LaunchConfiguration('computer'), '.yaml']),
            parameters,
        ],
        remappings=[('image', image), ('image/compressed', [image, '/compressed'])],
        ros_arguments=[
            '--log-level',
            ['navigator:=', LaunchConfiguration('log_level')],
            '--enclave',
            '/janusvln/navigator',
        ],
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            # Raw images are lost in Fast DDS's default shared memory.
            *(
                SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
                for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
            ),
            navigator,
        ]
    )
