"""
console: a page to watch, instruct, drive and stop robots, in any browser on their network.

It listens on this computer alone unless `address` says otherwise, and prints a link for an
operator and one for a viewer; docs/console.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
import io
import sys

from janusvln_ros.console.access import Role
from janusvln_ros.console.options import ConsoleParameters
from janusvln_ros.console.server import Console
from janusvln_ros.nodes.common.parameters import Declared
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.console_robot import ConsoleRobot
from janusvln_ros.nodes.navigator_settings import ProcessParameters
from janusvln_ros.parameters import group, parameter
from rclpy.node import Node
import segno


@dataclass(frozen=True)
class NodeParameters:
    """What only the node needs."""

    image_transport: str = parameter(
        'raw', 'raw: topic image; compressed: image/compressed.', choices=('raw', 'compressed')
    )


@dataclass(frozen=True)
class Parameters:
    """All parameters of the node."""

    process: ProcessParameters = group(ProcessParameters)
    node: NodeParameters = group(NodeParameters)
    server: ConsoleParameters = group(ConsoleParameters)


class ConsoleNode(Node):
    """The ROS side of the console: this thread spins, the server has its own."""

    def __init__(self) -> None:
        super().__init__('console')
        parameters = Declared(self, Parameters).value
        spaces = parameters.process.robots or ('',)
        compressed = parameters.node.image_transport == 'compressed'
        robots: dict[str, ConsoleRobot] = {}
        for space in spaces:
            robot = ConsoleRobot(self, space, compressed, partial(self._news, space))
            robots[robot.name] = robot
        self._names = dict(zip(spaces, robots))
        self._robots = robots
        self._console = Console(parameters.server, robots)

    @property
    def failure(self) -> str:
        """Return what has ended the server."""
        return self._console.failure

    def _news(self, space: str) -> None:
        self._console.news(self._names[space])

    def start(self) -> None:
        """Serve, and say where."""
        self._console.start()
        links = self._console.links()
        picture = io.StringIO()
        segno.make(links[Role.OPERATOR], error='l').terminal(out=picture, compact=True)
        print(
            f'{picture.getvalue()}\nconsole, to operate: {links[Role.OPERATOR]}\n'
            f'console, to look on: {links[Role.VIEWER]}',
            flush=True,
        )
        parameters = self._console.parameters
        if parameters.scheme == 'http' and parameters.address not in (
            '127.0.0.1',
            '::1',
            'localhost',
        ):
            self.get_logger().warning(
                f'{parameters.address} without certificate and key: whoever listens in the network'
                ' reads the token, and can drive'
            )

    def stop(self) -> None:
        """Let go of the robots, and end the server."""
        self._console.stop()
        for robot in self._robots.values():
            robot.close()


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 2 when it cannot serve."""
    return run('console', lambda: [ConsoleNode()], __doc__, (Parameters,), argv)


if __name__ == '__main__':
    sys.exit(main())
