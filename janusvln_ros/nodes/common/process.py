"""A node as a process: help, errors in parameters, signals, and an orderly end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import re
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
PARENT = 'JANUSVLN_PARENT'  # environment variable: number of the process without which it ends
_LONGEST_WAIT = 0.1  # s between two looks at what ends the process


class Program(Protocol):
    """What a node has to offer so that `run` can run it, perhaps beside others."""

    @property
    def failure(self) -> str:
        """Say what ends the process with status 1; '' while all is well."""

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
    make: Callable[[], Sequence[Program]],
    about: str,
    kinds: Sequence[type],
    argv: list[str] | None = None,
) -> int:
    """
    Run nodes of one name until a signal of ENDS, or the end of PARENT; stop them on the way out.

    name, about, kinds: see `usage`. Returns 0, also for --help; 1 for a node that failed; 2 for
    bad arguments or parameters, with one line on stderr.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        rest = remove_ros_args(argv)
    except (RuntimeError, ValueError) as error:  # rcl's own kinds of errors differ between distros
        print(f'{name}: {_one_line(error)}', file=sys.stderr)
        return 2
    if '-h' in rest or '--help' in rest:
        print(usage(name, about, kinds))
        return 0
    if rest:
        print(
            f'{name}: unknown argument {rest[0]!r}; parameters are given as '
            f'--ros-args -p NAME:=VALUE, and janusvln {name} --help lists them',
            file=sys.stderr,
        )
        return 2
    nodes: list[Any] = []
    ended = False
    is_orphan = _orphaned()

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        if not nodes:
            raise KeyboardInterrupt

    # rclpy's own handlers close the context first, and then nothing can be published any more.
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    for number in ENDS:
        signal.signal(number, end)
    try:
        nodes += make()
        first = nodes[0]
        if unknown := [
            one for one in _named(argv, first.get_name()) if not first.has_parameter(one)
        ]:
            print(
                f'{name}: there is no parameter {", ".join(unknown)}; '
                f'janusvln {name} --help lists them',
                file=sys.stderr,
            )
            return 2
        executor = SingleThreadedExecutor()
        for node in nodes:
            node.start()
            executor.add_node(node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        first.create_timer(_LONGEST_WAIT, lambda: None, clock=steady)  # ends each wait
        while not ended and not any(node.failure for node in nodes) and not is_orphan():
            executor.spin_once()
    except KeyboardInterrupt:
        return 0
    except (ValueError, ParameterException) as error:
        if nodes:
            raise
        print(f'{name}: {_one_line(error)}', file=sys.stderr)
        return 2
    finally:
        try:
            for node in nodes:
                node.stop()
            for node in nodes:
                node.destroy_node()
        finally:
            rclpy.try_shutdown()
            # launch repeats Ctrl-C; Python, on its way out, would give it back its deadly effect.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    for failure in filter(None, (node.failure for node in nodes)):
        print(f'{name}: {failure}', file=sys.stderr)
        return 1
    return 0


def _orphaned() -> Callable[[], bool]:
    """Give what tells whether the process named by PARENT, if one is, has ended."""
    named, parent = os.environ.get(PARENT, ''), os.getppid()
    if not named.isdecimal():
        return lambda: False
    try:
        os.kill(int(named), 0)
    except ProcessLookupError:
        return lambda: True
    except PermissionError:
        pass  # it is there
    return lambda: os.getppid() != parent


def _named(argv: Sequence[str], node: str) -> list[str]:
    """
    Return the names of the parameters that the command line gives this node one by one.

    Those in a file of parameters may be meant for other nodes as well.
    """
    rules = [value for flag, value in zip(argv, argv[1:]) if flag in ('-p', '--param')]
    found = [re.match(r'(?:([^:=]+):)?([^:=]+):=', rule) for rule in rules]
    return [one[2] for one in found if one and one[1] in (None, node)]


def _one_line(error: Exception) -> str:
    """Say what is wrong, without rcl's places in its sources."""
    if type(error).__name__ == 'UnknownROSArgsError':
        return f'unknown ROS arguments {error}'
    return re.sub(r', at /\S+:\d+', '', ' '.join(str(error).split()))
