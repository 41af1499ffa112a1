"""`janusvln NAME …`: one door to every executable of the package."""

from importlib import import_module
import io
import os
import sys

from janusvln_ros import version
from janusvln_ros.arguments import one_line

# Name -> (module, what it does). Imported only when asked for: the robot side has no torch.
COMMANDS = {
    'navigator': ('nodes.navigator', 'lifecycle node: image + instruction -> NavigationAction'),
    'motion_executor': ('nodes.motion_executor', 'node: NavigationAction + odom -> cmd_vel'),
    'sim_robot': ('nodes.sim_robot', 'node: simulated base and camera'),
    'console': ('nodes.console', 'node: watch, instruct, drive and stop in a browser'),
    'demo': ('system.demo', 'simulator and both nodes, instructions, a video and a map'),
    'replay': ('replay.command', 'a rosbag, video or folder of frames through the policy'),
    'evaluate': ('evaluation.command', 'episodes -> NE, OS, SR, SPL, nDTW, SDTW'),
    'depth': ('evaluation.depth', "a checkpoint's depth head against the simulator's truth"),
    'depth_guard': (
        'evaluation.depth_guard',
        "whether the executor stops in time by a checkpoint's depth alone",
    ),
    'train': ('training.command', 'the training stages'),
    'data': ('training.data.command', 'collect and build training data'),
    'benchmark': (
        'measurement.benchmark',
        'time and memory per step; --ros: from image to action',
    ),
    'parity': ('measurement.parity', 'golden data against the policy'),
    'doctor': ('system.doctor', 'looks at a checkpoint and a robot, says what to do'),
}
_OF_ROS = 'rclpy', 'rcl_interfaces', 'builtin_interfaces', 'std_srvs'
_SIGPIPE = 128 + 13  # the status of a program whose reader has gone, as the shell gives it


def usage() -> str:
    """Return the list of commands."""
    rows = '\n'.join(f'  {name:<16} {text}' for name, (_, text) in COMMANDS.items())
    return (
        'usage: janusvln COMMAND [options]\n'
        '       janusvln COMMAND --help tells its options\n'
        '       janusvln --version\n\n' + rows
    )


def main(argv: list[str] | None = None) -> int:
    """
    Run one command; return its exit status.

    What a user can put right ends with one line on stderr and 2: no such command, a wrong value, a
    file that is not there, a package that is missing. 130: Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be UTF-8
            stream.reconfigure(errors='backslashreplace')
    name = argv[0] if argv else ''
    try:
        status = _run(name, argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more at its end
        return _SIGPIPE
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        problem = _missing(name, error)
    except (ValueError, OSError) as error:
        problem = one_line(error)
    print(f'janusvln {name}: {problem}' if name in COMMANDS else problem, file=sys.stderr)
    return 2


def _run(name: str, argv: list[str]) -> int:
    if not argv or name in ('-h', '--help'):
        print(usage())
        return 0 if argv else 2
    if name == '--version':
        print(f'janusvln_ros {version()}')
        return 0
    if name not in COMMANDS:
        raise ValueError(f'janusvln: no command {name!r}; there are {", ".join(COMMANDS)}')
    module, _ = COMMANDS[name]
    if name == 'benchmark' and '--ros' in argv:  # policy knows nothing of ROS
        module = 'system.latency'
        argv = [argument for argument in argv if argument != '--ros']
    return import_module(f'janusvln_ros.{module}').main(argv[1:])


def _missing(name: str, error: ImportError) -> str:
    """Say what to install or to source for a module that cannot be imported."""
    lacking = error.name or ''
    if lacking.split('.')[0] in _OF_ROS or lacking.endswith(('_msgs', '.msg', '.action')):
        return (
            f'needs ROS 2: there is no module {lacking}; source install/setup.bash of the '
            'workspace, or .venv/bin/activate after make setup'
        )
    return f'{error}; requirements/ tells what is needed'


if __name__ == '__main__':
    sys.exit(main())
