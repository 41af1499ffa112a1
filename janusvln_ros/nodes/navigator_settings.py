"""What the navigator can be told, and whether the computer has room for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from janusvln_ros.navigation.mission import MissionParameters
from janusvln_ros.navigation.watchdog import WatchdogParameters
from janusvln_ros.parameters import Changes, group, parameter
from janusvln_ros.policy.metric_depth import DepthParameters
from janusvln_ros.policy.options import PolicyOptions
from rclpy.exceptions import InvalidNamespaceException
from rclpy.validate_namespace import validate_namespace


@dataclass(frozen=True)
class NodeParameters:
    """What only the node needs."""

    image_transport: str = parameter(
        'raw', 'raw: topic image; compressed: image/compressed.', choices=('raw', 'compressed')
    )
    image_reliability: str = parameter(
        'best_effort',
        'QoS of the image subscription; best_effort hears every publisher.',
        choices=('best_effort', 'reliable'),
    )
    camera_size: str = parameter(
        '640x480',
        "Size of the camera's pictures. On configure a GPU is made ready for it; for another size "
        'the first decision takes up to a minute.',
        unit='pixels',
    )
    level_frame: str = parameter(
        'base_link',
        "Frame of tf whose z axis is up, which tells the camera's tilt for depth; odom for a "
        'robot whose body leans. Empty, or without tf: camera_tilt does.',
    )
    heartbeat_rate: float = parameter(
        5.0, 'navigator_status messages per second, at least.', low=1.0, high=50.0
    )
    autostart: bool = parameter(False, 'Configure and activate on start; end if that fails.')

    @property
    def frame_size(self) -> tuple[int, int]:
        """Read camera_size, (width, height); ValueError for what is none."""
        width, found, height = self.camera_size.partition('x')
        if not (found and width.isdecimal() and height.isdecimal()):
            raise ValueError(
                f'parameter camera_size is {self.camera_size!r}; WIDTHxHEIGHT is '
                'needed, as 640x480'
            )
        return int(width), int(height)


@dataclass(frozen=True)
class ProcessParameters:
    """What holds for all navigators of a process."""

    robots: tuple[str, ...] = parameter(
        (),
        'Namespaces of the robots that this process serves, as [a, b]; none: one robot, in the '
        "node's own namespace.",
    )

    def __post_init__(self) -> None:
        """Raise ValueError for what are no namespaces, or the same twice."""
        for one in self.robots:
            try:
                validate_namespace(f'/{one}')
            except InvalidNamespaceException as error:
                raise ValueError(f'robots has {one!r}, which is no namespace: {error}') from None
        if len(set(self.robots)) < len(self.robots):
            raise ValueError(f'robots names one twice: {", ".join(self.robots)}')


@dataclass(frozen=True)
class NavigatorParameters:
    """All parameters of the navigator."""

    process: ProcessParameters = group(ProcessParameters)
    policy: PolicyOptions = group(PolicyOptions, changes=Changes.WHEN_UNCONFIGURED)
    node: NodeParameters = group(NodeParameters, changes=Changes.WHEN_UNCONFIGURED)
    depth: DepthParameters = group(DepthParameters, changes=Changes.ALWAYS)
    mission: MissionParameters = group(MissionParameters, changes=Changes.ALWAYS)
    watchdog: WatchdogParameters = group(WatchdogParameters, changes=Changes.ALWAYS)


def check_room(robots: Iterable[NavigatorParameters]) -> None:
    """Raise ValueError if the robots' policies do not fit into the memory, as far as known."""
    policies = [
        (one.policy, one.node.frame_size)
        for one in robots
        if one.policy.checkpoint == 'random'
        or (Path(one.policy.checkpoint) / 'config.json').is_file()
    ]
    if policies:
        from janusvln_ros.measurement.room import check  # and with it torch

        check(policies)
