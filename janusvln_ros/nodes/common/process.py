"""A node as a process: help, errors in parameters, signals, and an orderly end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import signal
import sys
from types import FrameType
from typing import Any, Protocol

from janusvln_ros.parameters import flatten
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

ENDS = (  # every signal that would end the process, and can be caught
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,  # its terminal is closed
    signal.SIGQUIT,
    signal.SIGABRT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGXCPU,
)
_LONGEST_WAIT = 0.1  # s between two looks at what ends the process


class Program(Protocol):
    """What a node has to offer so that `run` can run it."""

    failure: str  # ends the process with status 1; empty while all is well

    def start(self) -> None:
        """Begin; called once, before the node is spun."""

    def stop(self) -> None:
        """End all that moves, and all threads; called in whatever state the node is."""


def usage(name: str, about: str, kinds: Sequence[type]) -> str:
    """Describe a node's command and the parameters that dataclasses declare."""
    lines = [
        f'usage: janusvln {name} [--ros-args -p NAME:=VALUE -r FROM:=TO ...]',
        '',
        about.strip(),
        '',
        'parameters:',
    ]
    for kind in kinds:
        for one in flatten(kind).values():
            lines += [f'  {one.name} (default {one.default!r})', f'      {one.text}']
    return '\n'.join(lines)


def run(
    name: str,
    make: Callable[[], Program],
    about: str,
    kinds: Sequence[type],
    argv: list[str] | None = None,
) -> int:
    """
    Run a node until a signal of ENDS; whatever ends it, it is stopped on the way out.

    name, about, kinds: see `usage`. Returns 0, also for --help; 1 for a node that failed; 2 for
    bad arguments or parameters.
    """
    argv = sys.argv[1:] if argv is None else argv
    rest = remove_ros_args(argv)
    if rest:
        print(usage(name, about, kinds))
        return 0 if rest[0] in ('-h', '--help') else 2
    node: Any = None
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        if node is None:
            raise KeyboardInterrupt

    # rclpy's own handlers close the context first, and then nothing can be published any more.
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    for number in ENDS:
        signal.signal(number, end)
    try:
        node = make()
        node.start()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_LONGEST_WAIT, lambda: None, clock=steady)  # ends each wait
        while not ended and not node.failure:
            executor.spin_once()
    except KeyboardInterrupt:
        return 0
    except (ValueError, ParameterException) as error:
        if node is not None:
            raise
        print(f'{name}: {error}', file=sys.stderr)
        return 2
    finally:
        try:
            if node is not None:
                node.stop()
                node.destroy_node()
        finally:
            rclpy.try_shutdown()
    if node.failure:
        print(f'{name}: {node.failure}', file=sys.stderr)
        return 1
    return 0
