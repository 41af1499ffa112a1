"""`janusvln NAME …`: one door to every executable of the package."""

from importlib import import_module
import sys

# Name -> (module, what it does). Imported only when asked for: the robot side has no torch.
COMMANDS = {
    'navigator': ('nodes.navigator', 'lifecycle node: image + instruction -> NavigationAction'),
    'motion_executor': ('nodes.motion_executor', 'node: NavigationAction + odom -> cmd_vel'),
    'sim_robot': ('nodes.sim_robot', 'node: simulated base and camera'),
    'demo': ('system.demo', 'simulator and both nodes, instructions, a video and a map'),
    'replay': ('replay.command', 'a rosbag, video or folder of frames through the policy'),
    'evaluate': ('evaluation.command', 'episodes -> NE, OS, SR, SPL, nDTW, SDTW'),
    'train': ('training.command', 'the training stages'),
    'data': ('training.data.command', 'collect and build training data'),
    'benchmark': (
        'measurement.benchmark',
        'time and memory per step; --ros: from image to action',
    ),
    'parity': ('measurement.parity', 'golden data against the policy'),
}


def usage() -> str:
    """Return the list of commands."""
    rows = '\n'.join(f'  {name:<16} {text}' for name, (_, text) in COMMANDS.items())
    return (
        'usage: janusvln COMMAND [options]\n'
        '       janusvln COMMAND --help tells its options\n\n' + rows
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status (2: no such command)."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ('-h', '--help'):
        print(usage())
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(f'janusvln: there is no command {argv[0]!r}\n\n{usage()}', file=sys.stderr)
        return 2
    module, _ = COMMANDS[argv[0]]
    if argv[0] == 'benchmark' and '--ros' in argv:  # policy knows nothing of ROS
        module = 'system.latency'
        argv = [argument for argument in argv if argument != '--ros']
    return import_module(f'janusvln_ros.{module}').main(argv[1:])


if __name__ == '__main__':
    sys.exit(main())
