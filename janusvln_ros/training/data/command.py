"""
`janusvln data …`: collect and build training data.

What draws is imported by the commands that do: `build` needs no simulator.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import itertools
import os
import sys

from janusvln_ros.actions import Action
from janusvln_ros.arguments import (
    existing,
    existing_file,
    existing_folder,
    one_line,
    output_file,
    output_folder,
    real,
    text,
    whole,
)
from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.episodes.tasks import FORMS
from janusvln_ros.training.data.edits import edited, read_edits
from janusvln_ros.training.data.layout import (
    ANNOTATIONS,
    AnnotationWriter,
    build_examples,
    read_annotations,
    read_pictures,
    Trajectory,
)
from tqdm import tqdm


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='janusvln data', description='Collect and build training data.'
    )
    commands = parser.add_subparsers(dest='command', required=True)

    build = commands.add_parser(
        'build', help='training examples (JSON lines) from trajectories on disk'
    )
    build.add_argument('target', type=output_file, help='file to write, .jsonl')
    build.add_argument(
        '--pictures',
        nargs=2,
        type=existing,
        action='append',
        default=[],
        metavar=('FOLDER', 'EPISODES'),
        help="R2R-CE or RxR-CE: folders of NNN_<action>.png, and VLN-CE's "
        'episode file; may be repeated',
    )
    build.add_argument(
        '--annotations',
        type=existing_folder,
        action='append',
        default=[],
        metavar='FOLDER',
        help='ScaleVLN or DAgger: annotations.json and images/; may be repeated',
    )
    build.add_argument(
        '--history',
        type=whole(),
        default=8,
        metavar='FRAMES',
        help='past frames in a prompt at most; default: %(default)s',
    )

    layout = commands.add_parser(
        'collect', help='expert trajectories from the embedded world, in the published layout'
    )
    layout.add_argument('folder', type=output_folder)
    layout.add_argument('--split', default='train', help='default: %(default)s')
    layout.add_argument('--episodes', type=whole(1), default=1000, help='default: %(default)s')
    for side, pixels in (('--width', 640), ('--height', 480)):
        layout.add_argument(
            side, type=whole(16, 4096), default=pixels, help='pixels; default: %(default)s'
        )

    bags = commands.add_parser(
        'from-bag', help='trajectories from bags of a robot that somebody drove'
    )
    bags.add_argument('bags', nargs='+', type=existing, metavar='BAG', help='rosbag2, in order')
    bags.add_argument('folder', type=output_folder, metavar='OUT')
    told = bags.add_mutually_exclusive_group()
    told.add_argument(
        '--instruction', type=text, help='of all that was driven, instead of a topic'
    )
    told.add_argument(
        '--spans',
        type=existing_file,
        metavar='FILE',
        help='lines of BEGIN END INSTRUCTION, seconds since the bag began, END may be -',
    )
    for option, what in (
        ('--image-topic', 'the front camera'),
        ('--instruction-topic', 'std_msgs/msg/String; an episode begins with each message'),
        ('--odom-topic', 'nav_msgs/msg/Odometry'),
    ):
        bags.add_argument(option, type=text, metavar='NAME', help=f'{what}; default: by its type')
    bags.add_argument(
        '--frames',
        nargs=2,
        type=text,
        metavar=('PARENT', 'CHILD'),
        help='poses from this transform of tf; default: odometry, else odom to base_link, else '
        'the velocities that were commanded',
    )
    bags.add_argument('--namespace', type=text, default='/', help='of the robot; default: /')

    look = commands.add_parser(
        'look', help='pages on which to look at recorded trajectories, and to mend them'
    )
    look.add_argument('folder', type=existing_folder, help='what from-bag has written')

    lerobot = commands.add_parser(
        'to-lerobot', help='a LeRobot dataset (v3.0) from trajectories on disk'
    )
    lerobot.add_argument('folder', type=existing_folder, help='annotations.json and images/')
    lerobot.add_argument('dataset', type=output_folder, metavar='OUT')
    for command in (build, lerobot):
        command.add_argument(
            '--edits',
            type=existing_file,
            action='append',
            default=[],
            metavar='FILE',
            help='saved on the pages of recorded trajectories; may be repeated, the last counts',
        )

    intake = commands.add_parser(
        'from-lerobot', help='trajectories from LeRobot datasets (v2.1, v3.0)'
    )
    intake.add_argument('dataset', type=existing_folder, help='one, or a folder of several')
    intake.add_argument('folder', type=output_folder, metavar='OUT')
    intake.add_argument('--camera', type=text, metavar='NAME', help='default: the only one')

    views = commands.add_parser('views', help='labelled views that pre-train the encoders')
    views.add_argument('folder', type=output_folder)
    views.add_argument(
        '--tours',
        type=whole(2),
        default=10000,
        help='of 6 frames, an even number; default: %(default)s',
    )
    views.add_argument(
        '--rooms', type=whole(1, 6), nargs=2, default=(1, 3), metavar=('LEAST', 'MOST')
    )

    views.add_argument('--seed', type=whole(), default=1, help='default: %(default)s')

    walks = commands.add_parser('walks', help='walks with many questions each, resized frames')
    walks.add_argument('folder', type=output_folder)
    walks.add_argument(
        '--walks', type=whole(1, 1_000_000), default=1000, help='default: %(default)s'
    )
    walks.add_argument(
        '--category',
        action='append',
        choices=(*CATEGORIES, *(form for forms in FORMS.values() for form in forms)),
        metavar='NAME',
        help='category or form of the episodes walked; may be repeated, they take turns; '
        'default: all categories. %(choices)s',
    )
    walks.add_argument('--seed', type=whole(0, 100), default=1, help='default: %(default)s')
    walks.add_argument('--most', type=whole(2), default=57, help='frames; default: %(default)s')
    walks.add_argument(
        '--no-slide',
        type=real(0.0, 1.0),
        default=0.0,
        metavar='SHARE',
        help='of the walks that stand before what they run into, instead of sliding on along it; '
        'default: %(default)s',
    )
    walks.add_argument(
        '--driven',
        type=real(0.0, 1.0),
        default=0.0,
        metavar='SHARE',
        help='of the walks in which a real body is driven in physics; default: %(default)s',
    )
    for command in (views, walks):
        command.add_argument(
            '--processes',
            type=whole(1),
            default=os.cpu_count() or 1,
            help='default: one for each core',
        )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; 2 for bad data or a full disk, which is named, 130 for Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        _COMMANDS[arguments.command](arguments)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'janusvln data {arguments.command}: {one_line(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        return 130
    return 0


def _build(arguments: argparse.Namespace) -> None:
    sources: list[Iterator[Trajectory]] = [
        *(read_pictures(*pair) for pair in arguments.pictures),
        *(read_annotations(folder) for folder in arguments.annotations),
    ]
    if not sources:
        raise ValueError('nothing to build from; name --pictures or --annotations')
    trajectories = edited(itertools.chain.from_iterable(sources), read_edits(arguments.edits))
    trajectories = tqdm(trajectories, 'trajectories', disable=None)
    count = build_examples(trajectories, arguments.target, arguments.history)
    print(f'{count} examples in {arguments.target}')


def _collect(arguments: argparse.Namespace) -> None:
    from janusvln_ros.episodes.splits import find_split
    from janusvln_ros.sim.camera import CameraModel
    from janusvln_ros.training.data.walker import Walker

    split = find_split(arguments.split)
    writer = AnnotationWriter(arguments.folder, split.name)
    walker = Walker(CameraModel(arguments.width, arguments.height))
    for index in tqdm(range(min(arguments.episodes, split.size)), 'episodes'):
        name = f'{split.full_name}_{index:06}'
        if name in writer.names:
            continue
        walk = walker.walk(split, index, most=200, astray=0.0, vary=False, things=False)
        if walk.labels[-1] == Action.STOP:
            writer.write(name, walk.instruction, list(walk.frames), walk.labels.tolist())
    walker.close()


def _views(arguments: argparse.Namespace) -> None:
    from janusvln_ros.training.data.views import Plan, write_views

    least, most = arguments.rooms
    if least > most:
        raise ValueError(f'--rooms {least} {most}: LEAST is more than MOST')
    plan = Plan(arguments.tours, arguments.seed, (least, most))
    write_views(arguments.folder, plan, arguments.processes)


def _walks(arguments: argparse.Namespace) -> None:
    from janusvln_ros.training.data.collect import collect, Plan

    collect(
        Plan(
            arguments.folder,
            arguments.walks,
            arguments.seed,
            tuple(arguments.category or CATEGORIES),
            arguments.most,
            no_slide=arguments.no_slide,
            driven=arguments.driven,
        ),
        arguments.processes,
    )


def _from_bag(arguments: argparse.Namespace) -> None:
    from janusvln_ros.training.data.bag_drives import Choice
    from janusvln_ros.training.data.from_bags import from_bags
    from janusvln_ros.training.data.looking import write_pages
    from janusvln_ros.training.data.spans import read_spans

    outcome = from_bags(
        arguments.bags,
        arguments.folder,
        Choice(
            arguments.namespace,
            arguments.image_topic,
            arguments.instruction_topic,
            arguments.odom_topic,
            tuple(arguments.frames) if arguments.frames else None,
            arguments.instruction,
            tuple(read_spans(arguments.spans)) if arguments.spans else (),
        ),
    )
    for note in outcome.notes:
        print(f'note: {note}', file=sys.stderr)
    if not outcome.written and not outcome.known:
        raise ValueError('there is no trajectory')
    for story in outcome.written:
        print(story.summary())
    pages = write_pages(arguments.folder)
    print(f'{len(outcome.written)} trajectories in {arguments.folder}; look at {pages[0]}')


def _look(arguments: argparse.Namespace) -> None:
    from janusvln_ros.training.data.looking import write_pages

    pages = write_pages(arguments.folder)
    print(f'{len(pages)} pages; the first: {pages[0]}')


def _to_lerobot(arguments: argparse.Namespace) -> None:
    from janusvln_ros.training.data.lerobot.card import write_card
    from janusvln_ros.training.data.lerobot.export import export

    edits = read_edits(arguments.edits)
    trajectories = edited(read_annotations(arguments.folder), edits)
    exported = export(trajectories, arguments.folder, arguments.dataset)
    words = ['to-lerobot', str(arguments.folder), str(arguments.dataset)]
    words += [word for path in arguments.edits for word in ('--edits', str(path))]
    inputs = [arguments.folder / ANNOTATIONS, *arguments.edits]
    write_card(arguments.dataset, words, inputs)
    for note in exported.notes:
        print(f'note: {note}', file=sys.stderr)
    print(f'{exported.written} episodes in {arguments.dataset}')


def _from_lerobot(arguments: argparse.Namespace) -> None:
    from janusvln_ros.training.data.lerobot.intake import take_in

    taken = take_in(arguments.dataset, arguments.folder, arguments.camera)
    for note in taken.notes:
        print(f'note: {note}', file=sys.stderr)
    print(f'{taken.written} trajectories in {arguments.folder}')


_COMMANDS = {
    'build': _build,
    'from-bag': _from_bag,
    'look': _look,
    'to-lerobot': _to_lerobot,
    'from-lerobot': _from_lerobot,
    'collect': _collect,
    'views': _views,
    'walks': _walks,
}
