"""
What the launch files share: arguments checked before any process starts, ends that are noticed.

launch itself ignores arguments that it does not know, and leaves without a parent what it has
started before it finds a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import difflib
import os
from pathlib import Path
import re
import signal
import sys
from typing import Any

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from janusvln_ros import share
from janusvln_ros.nodes.common.process import PARENT
from janusvln_ros.nodes.navigator_settings import ProcessParameters
from janusvln_ros.parameters import build, Declaration
from janusvln_ros.system.processes import PROFILES
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.condition import Condition
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch.utilities.type_utils import coerce_to_type
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace
from rclpy.exceptions import InvalidNamespaceException, InvalidTopicNameException
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_topic_name import validate_topic_name
import yaml

Check = Callable[[str, Mapping[str, str]], None]  # value, all values; ValueError: what is wrong

CONFIG = share() / 'config'
ROBOTS = sorted(path.stem.removeprefix('robot_') for path in CONFIG.glob('robot_*.yaml'))
COMPUTERS = sorted(path.stem for path in CONFIG.glob('computers/*.yaml'))
MOST_RESTARTS = 3
# Of a node that the argument respawn starts again.
RESPAWNING = {'respawn': LaunchConfiguration('respawn'), 'respawn_delay': 2.0}  # s
_OF_ALL_NODES = ('use_sim_time', 'start_type_description_service', 'qos_overrides')
_CONSOLE = 'janusvln_console'  # launch configuration: there is one
_BAD_PARAMETERS = 2  # exit status of a node that another start would not help
_OF_LAUNCH = ('launch-prefix', 'launch-prefix-filter')  # arguments that launch itself reads


class Argument(DeclareLaunchArgument):
    """A launch argument that can check its value."""

    def __init__(
        self,
        name: str,
        default: object,  # str, or substitutions that give one
        description: str,
        *,
        choices: Sequence[str] | None = None,
        check: Check = lambda value, values: None,
    ) -> None:
        super().__init__(name, default_value=default, description=description, choices=choices)
        self.check = check


def switch(
    name: str, description: str, *, default: str = 'false', packages: Sequence[str] = ()
) -> Argument:
    """Make an argument that is true or false; packages: what has to be installed for true."""

    def check(value: str, values: Mapping[str, str]) -> None:
        if value == 'true':
            _look_for(packages)

    return Argument(name, default, description, choices=['true', 'false'], check=check)


def _look_for(packages: Iterable[str]) -> None:
    """Raise ValueError for a ROS package that is not installed."""
    for package in packages:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            name = package.replace('_', '-')
            raise ValueError(
                f'the ROS package {package} is not installed here: apt install '
                f'ros-$ROS_DISTRO-{name}'
            ) from None


def topic_arguments(topics: Mapping[str, str]) -> list[Argument]:
    """Make an argument NAME_topic for each topic, whose default is its name."""
    return [
        Argument(f'{name}_topic', name, description, check=_is_topic)
        for name, description in topics.items()
    ]


def parameter_argument(one: Declaration, further: Check | None = None) -> Argument:
    """Make an argument of a node's parameter, with its range; further: is checked after that."""

    def check(value: str, values: Mapping[str, str]) -> None:
        kind = type(one.default)
        try:
            typed = coerce_to_type(value, kind)
        except ValueError:
            typed = value
        one.check(typed)
        if further:
            further(value, values)

    return Argument(one.name, str(one.default), one.text, check=check)


def parameter_file(node: str, kind: type | None = None) -> Check:
    """Make the check of a file of parameters; kind: the dataclass that declares the node's."""

    def check(value: str, values: Mapping[str, str]) -> None:
        try:
            content = yaml.safe_load(Path(value).read_text())
        except OSError as error:
            raise ValueError(error.strerror) from None
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f'this is no YAML: {_first_line(error)}') from None
        space = prefix_namespace(values.get('ros_namespace'), values['namespace'])
        full = f'{make_namespace_absolute(space).rstrip("/")}/{node}'
        mine = [given for names, given in _sections('', content) if names.fullmatch(full)]
        if not mine:
            raise ValueError(
                f'nothing in it is for {full}: below "/**:" or this name, "ros__parameters:" is '
                'needed'
            )
        for given in mine:
            if kind:
                build(kind, {name: given[name] for name in given if name not in _OF_ALL_NODES})

    return check


def _sections(prefix: str, content: Any) -> Iterator[tuple[re.Pattern[str], dict[str, Any]]]:
    """Give the parameters in a file, with the names of the nodes that they are for."""
    if not isinstance(content, dict):
        return
    if isinstance(given := content.get('ros__parameters'), dict):
        names = re.escape(prefix).replace(r'/\*\*', '(/[^/]+)*').replace(r'\*', '[^/]+')
        yield re.compile(names), given
    for key in content.keys() - {'ros__parameters'}:
        yield from _sections(f'{prefix}/{str(key).strip("/")}', content[key])


def common_arguments() -> list[Argument]:
    """Make the arguments that every side of the robot has."""
    return [
        Argument(
            'namespace', '', 'Namespace of the robot; moves all topics.', check=_is_namespace
        ),
        switch('use_sim_time', 'Take the time from /clock.'),
    ]


def robots_argument() -> Argument:
    """Make the argument that names several robots of one process."""
    return Argument(
        'robots',
        '[]',
        'Namespaces of several robots that one process serves, as [a, b]; none: one robot, in '
        'namespace.',
        check=_are_robots,
    )


def _are_robots(value: str, values: Mapping[str, str]) -> None:
    """Check that a value is a list of namespaces, and the only thing that names any."""
    try:
        robots = build(ProcessParameters, {'robots': yaml.safe_load(value)}).robots
    except yaml.YAMLError:
        raise ValueError('a list is needed, as [a, b]') from None
    if robots and values['namespace']:
        raise ValueError('robots are namespaces themselves: leave namespace out')


def console() -> list[LaunchDescriptionEntity]:
    """Offer the console; of several files of one launch that do, the first starts it."""

    def first(context: LaunchContext) -> bool:
        values = context.launch_configurations
        if values['console'] != 'true' or _CONSOLE in values:
            return False
        values[_CONSOLE] = 'started'
        return True

    offered = 'Start the console: it prints the link of its page (docs/console.md).'
    return [switch('console', offered), include('console', condition=Condition(predicate=first))]


def respawn_argument() -> Argument:
    """Make the argument that RESPAWNING and `ends_launch` read."""
    return switch(
        'respawn',
        'Start a node that has died again, at most three times; false: the launch ends with it.',
    )


def _is_namespace(value: str, values: Mapping[str, str]) -> None:
    """Check that a value is a namespace, or empty."""
    try:
        validate_namespace('/' + value.lstrip('/'))
    except InvalidNamespaceException as error:
        raise ValueError(f'this is no namespace: {_first_line(error)}') from None


def _is_topic(value: str, values: Mapping[str, str]) -> None:
    try:
        validate_topic_name(value)
    except InvalidTopicNameException as error:
        raise ValueError(f'this is no name of a topic: {_first_line(error)}') from None
    if value.startswith('~') and not value.startswith('~/'):
        raise ValueError('this is no name of a topic: after ~ comes /')


def _first_line(error: Exception) -> str:
    return str(error).partition('\n')[0].rstrip(':')


def checked(
    file: str, entities: Iterable[LaunchDescriptionEntity], packages: Iterable[str] = ()
) -> LaunchDescription:
    """
    Describe a launch whose arguments, those of included files as well, are checked first.

    file: the launch file. packages: have to be installed. RuntimeError, which ends the launch,
    for an argument that is wrong, or unknown on a command line that names the file.
    """
    description = LaunchDescription(list(entities))

    def check(context: LaunchContext) -> None:
        arguments = description.get_launch_arguments()
        _refuse_unknown(Path(file).name, [one.name for one in arguments], context.argv)
        for one in arguments:  # in their order: defaults may contain those before them
            one.execute(context)
        values = context.launch_configurations
        try:
            _look_for(packages)
        except ValueError as error:
            raise RuntimeError(str(error)) from None
        for one in arguments:
            if isinstance(one, Argument):
                try:
                    one.check(values[one.name], values)
                except ValueError as error:
                    raise RuntimeError(f'{one.name}:={values[one.name]!r}: {error}') from None

    # launch that is killed, or sent SIGTERM, leaves its processes running
    ends = SetEnvironmentVariable(PARENT, str(os.getpid()))
    return LaunchDescription([OpaqueFunction(function=check), ends, description])


def _refuse_unknown(file: str, known: Sequence[str], given: Iterable[str]) -> None:
    if file not in {Path(word).name for word in sys.argv}:
        return  # included by another file, which has arguments of its own
    for word in given:
        name = word.partition(':=')[0]
        if name not in (*known, *_OF_LAUNCH):
            near = difflib.get_close_matches(name, known, 1)
            meant = f'did you mean {near[0]}?' if near else '--show-args lists them'
            raise RuntimeError(f'{word}: {file} has no argument {name}; {meant}')


def ends_launch(name: str) -> Callable[[ProcessExited, LaunchContext], list[Shutdown]]:
    """
    Make the on_exit of a process without which the others are of no use.

    Where the argument respawn is true, launch starts one that failed again, MOST_RESTARTS times;
    not one whose parameters are bad.
    """
    failures = 0

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Shutdown]:
        nonlocal failures
        code = event.returncode
        if context.is_shutdown:
            return []
        if code == 0:
            return [Shutdown(reason=f'{name} has ended')]
        failures += 1
        how = f'exit status {code}' if code > 0 else signal.Signals(-code).name
        respawn = context.launch_configurations.get('respawn') == 'true'
        if respawn and code != _BAD_PARAMETERS and failures <= MOST_RESTARTS:
            get_logger('launch').warning(
                f'{name} has died ({how}) and is started again, {failures} of {MOST_RESTARTS}'
            )
            return []
        raise RuntimeError(f'{name} has died ({how}); what it said stands above')

    return on_exit


def node(package: str, executable: str, name: str, **options: Any) -> Node:
    """Describe a node in the robot's namespace with whose end the launch ends."""
    return Node(
        package=package,
        executable=executable,
        name=name,
        namespace=LaunchConfiguration('namespace'),
        **{'output': 'screen', 'on_exit': ends_launch(name), **options},
    )


def from_arguments(**kinds: type) -> dict[str, ParameterValue]:
    """Make a node's parameters of launch arguments of the same names: by name, their types."""
    return {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in kinds.items()
    }


def transport_profile() -> list[SetEnvironmentVariable]:
    """Set the profile unless the user has one: Fast DDS's shared memory loses raw images."""
    profile = str(CONFIG / 'fastdds.xml')
    return [
        SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
        for name in PROFILES
    ]


def include(name: str, **options: Any) -> IncludeLaunchDescription:
    """Include another launch file of ours."""
    path = share() / 'launch' / f'{name}.launch.py'
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(str(path)), **options)
