"""
`janusvln doctor [CHECKPOINT]`: looks at a checkpoint and at a robot, and says what to do.

It moves nothing and changes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
import json
from pathlib import Path
import sys

from janusvln_ros.arguments import real
from janusvln_ros.measurement.findings import FAIL, Finding, WARN
from janusvln_ros.parameters import add_options, build, flatten, given
from janusvln_ros.policy.options import PolicyOptions

_EPILOG = """\
exit status: 0 all would work, perhaps with warnings; 1 something would fail; 2 wrong options.
"""


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog='janusvln doctor', description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        'checkpoint', nargs='?', metavar='CHECKPOINT', help='folder; without it, the robot alone'
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object instead')
    parser.add_argument(
        '--no-load', action='store_true', help="only look at the checkpoint's files and its room"
    )
    parser.add_argument('--no-robot', action='store_true', help='do not look for a robot')
    robot = parser.add_argument_group('robot')
    robot.add_argument(
        '--seconds', type=real(1.0, 600.0), default=4.0, help='how long to listen (default: 4)'
    )
    robot.add_argument('--namespace', default='/', help='where the robot is (default: /)')
    for option, default in (
        ('image', 'image'), ('odom', 'odom'), ('cmd-vel', 'cmd_vel'), ('e-stop', 'e_stop'),
    ):  # fmt: skip
        robot.add_argument(
            f'--{option}-topic', default=default, metavar='TOPIC', help=f'(default: {default})'
        )
    robot.add_argument(
        '--e-stop-required', action='store_true', help='a robot without a button will not do'
    )
    policy = parser.add_argument_group("policy, the same as the navigator's parameters")
    names = (n for n in flatten(PolicyOptions) if n not in ('checkpoint', 'decoding'))
    add_options(policy, PolicyOptions, *names)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run `janusvln doctor`; return its exit status."""
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.no_robot and not options.checkpoint:
        parser.error('nothing to look at: give CHECKPOINT, or leave --no-robot out')
    if options.checkpoint and not Path(options.checkpoint).is_dir():
        parser.error(f'there is no folder {options.checkpoint}')
    found = []
    try:
        for finding in _look(options):
            found.append(finding)
            if not options.json:
                print(finding, flush=True)
    except KeyboardInterrupt:
        return 130
    except ValueError as error:  # options that do not go together
        print(f'janusvln doctor: {error}', file=sys.stderr)
        return 2
    failed = sum(finding.mark == FAIL for finding in found)
    if options.json:
        print(json.dumps({'failed': failed, 'findings': [asdict(one) for one in found]}, indent=1))
    else:
        warned = sum(finding.mark == WARN for finding in found)
        print(f'\n{len(found)} things looked at: {failed} would fail, {warned} to think about')
    return 1 if failed else 0


def _look(options: argparse.Namespace) -> Iterator[Finding]:
    if options.checkpoint:
        from janusvln_ros.measurement.checkpoint_check import check_checkpoint

        values = given(PolicyOptions, options) | {'checkpoint': options.checkpoint}
        yield from check_checkpoint(build(PolicyOptions, values), load=not options.no_load)
    if options.no_robot:
        return
    if find_spec('rclpy') is None:
        yield Finding(WARN, 'robot', 'not looked for: there is no ROS 2 in this shell',
                      'source the workspace; or --no-robot')  # fmt: skip
        return
    from janusvln_ros.system.host_check import check_host
    from janusvln_ros.system.robot_check import check_robot, RobotTopics

    yield from check_host()
    topics = RobotTopics(
        options.namespace,
        options.image_topic,
        options.odom_topic,
        options.cmd_vel_topic,
        options.e_stop_topic,
    )
    yield from check_robot(topics, options.seconds, options.e_stop_required)
