"""Start the simulated robot with motion_executor and navigator."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TINY = Path(__file__).parents[1] / 'models' / 'janusvln-tiny'
COMPUTERS = sorted(path.stem for path in Path(__file__).parents[1].glob('config/computers/*.yaml'))

ARGUMENTS = (
    DeclareLaunchArgument(
        'checkpoint',
        default_value=str(TINY) if (TINY / 'config.json').is_file() else 'random',
        description='Folder of the checkpoint (Hugging Face layout); random: small random '
        'weights that do not follow the instruction, to try the plumbing.',
    ),
    DeclareLaunchArgument(
        'computer',
        default_value='laptop_cpu',
        choices=COMPUTERS,
        description='What the policy runs on: config/computers/<this>.yaml.',
    ),
    DeclareLaunchArgument('house_seed', default_value='1', description='Number of the house.'),
    DeclareLaunchArgument('rooms', default_value='3', description='Rooms of the house, 1 to 6.'),
    DeclareLaunchArgument(
        'scene',
        default_value='',
        description='House of an episode by its scene_id, instead of house_seed and rooms.',
    ),
    DeclareLaunchArgument(
        'start_pose',
        default_value='',
        description='Where the robot starts, "x y yaw" in m and rad; empty: a free place.',
    ),
    DeclareLaunchArgument(
        'real_time_factor',
        default_value='1.0',
        description='Simulated seconds per second; other than 1.0 needs use_sim_time:=true.',
    ),
    DeclareLaunchArgument('image_width', default_value='320', description='Pixels.'),
    DeclareLaunchArgument('image_height', default_value='240', description='Pixels.'),
    DeclareLaunchArgument(
        'image_rate', default_value='10.0', description='Pictures per simulated second.'
    ),
    DeclareLaunchArgument(
        'rviz',
        default_value='false',
        choices=['true', 'false'],
        description='Start RViz with config/navigation.rviz.',
    ),
)
SIMULATOR = {
    'house_seed': int,
    'rooms': int,
    'scene': str,
    'start_pose': str,
    'real_time_factor': float,
    'image_width': int,
    'image_height': int,
    'image_rate': float,
    'use_sim_time': bool,
}


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
                for name, kind in SIMULATOR.items()
            }
        ],
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        condition=IfCondition(LaunchConfiguration('rviz')),
        namespace=LaunchConfiguration('namespace'),
        arguments=['-d', str(here.parent / 'config' / 'navigation.rviz')],
    )
    # The sides come first: they declare namespace and use_sim_time.
    return LaunchDescription([*ARGUMENTS, sides, simulator, rviz])
