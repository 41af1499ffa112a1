"""`janusvln replay`: a recording through the policy, offline, the same decisions every time."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
import math
from pathlib import Path
import re
import sys

from janusvln_ros.arguments import one_line, output_file, text
from janusvln_ros.navigation.decider import PolicyError
from janusvln_ros.parameters import add_options, build, chosen, flatten, given
from janusvln_ros.policy.janus import JanusPolicy
from janusvln_ros.policy.load import load_policy
from janusvln_ros.policy.metric_depth import DepthParameters
from janusvln_ros.policy.options import PolicyOptions
from janusvln_ros.policy.settings import differences, options_of, settings_of
from janusvln_ros.recordings.bag import is_bag
from janusvln_ros.replay.compare import compare, Comparison
from janusvln_ros.replay.decisions import read_decisions
from janusvln_ros.replay.depth import DepthReader
from janusvln_ros.replay.inputs import BagRecording, FileRecording, open_recording
from janusvln_ros.replay.outputs import AnnotatedVideo
from janusvln_ros.replay.points import WalkCloud
from janusvln_ros.replay.report import ReportHeader, Thumbnails, write_report
from janusvln_ros.replay.run import DecisionFiles, DecisionSink, Outcome, ProgressBar, run
from janusvln_ros.replay.selection import RecordedFrames, Selection
from tqdm import tqdm

_MODEL = '--model DIR is needed (or --model random to try the plumbing)'
LIVE = 'live'  # what --compare takes for the decisions in the bag
_SHOWN_DIFFERENCES = 20
_EPILOG = """\
INPUT is a rosbag2 folder, an .mcap or .db3 file (zstd-compressed too), a folder of pictures, a
video, or, with --compare and without --model, the decisions.jsonl of an earlier replay.

exit status: 0 done, and all actions agree if compared; 1 some do not; 2 the input or an option is
wrong; 130 interrupted (what was decided until then is kept).
"""


class UsageError(ValueError):
    """Options that do not go together; says which would."""


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog='janusvln replay', description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('input', type=Path, metavar='INPUT', help='what to replay')
    parser.add_argument(
        '--model', metavar='DIR',
        help='checkpoint folder, or "random" for small random weights; default: the one that '
        'the bag was recorded with, where that is here',
    )  # fmt: skip
    parser.add_argument(
        '--instruction', type=text, help="the sentence to follow, instead of the bag's"
    )
    parser.add_argument(
        '--every', metavar='action|frame|SECONDSs', type=_every,
        help='which frames to decide from: "action" those of the recorded actions, or the first '
        'after each motion in motion status or odometry; "0.5s" one every half second; "frame" '
        'all. Default: action where the bag allows it, else frame',
    )  # fmt: skip
    parser.add_argument(
        '--output', type=Path, metavar='DIR',
        help='folder for decisions.jsonl, timing.jsonl and report.html (default: INPUT_replay)',
    )  # fmt: skip
    parser.add_argument('--video', action='store_true', help='also write DIR/video.mp4, annotated')
    parser.add_argument(
        '--output-bag', action='store_true',
        help='also write DIR/bag: the recording with our messages beside it',
    )  # fmt: skip
    parser.add_argument(
        '--compare', metavar='OTHER.jsonl|live',
        help="compare with another replay's decisions, or with the live ones in the bag",
    )  # fmt: skip
    depth = parser.add_argument_group(
        'depth, with a checkpoint that has the heads',
        "Shown in report, video and bag; the numbers are those of the navigator's parameters.",
    )
    depth.add_argument(
        '--depth', action='store_true', help='show the depth of the frames beside them'
    )
    depth.add_argument(
        '--points', metavar='FILE.ply', type=output_file,
        help='also write a coloured cloud of the whole walk, in metres and placed by odometry',
    )  # fmt: skip
    add_options(depth, DepthParameters)
    topics = parser.add_argument_group('topics of the bag, needed when there are several')
    topics.add_argument('--namespace', default='/', help='look below this namespace only')
    topics.add_argument('--image-topic', metavar='TOPIC')
    topics.add_argument('--instruction-topic', metavar='TOPIC')
    topics.add_argument('--odom-topic', metavar='TOPIC')
    policy = parser.add_argument_group(
        "policy, the same as the navigator's parameters",
        'Where the bag says what the policy ran with, that is the default.',
    )
    add_options(policy, PolicyOptions, *(n for n in flatten(PolicyOptions) if n != 'checkpoint'))
    return parser


def _every(text: str) -> str | float:
    """Parse --every: 'action', 'frame', or a number of seconds."""
    if text in ('action', 'frame'):
        return text
    match = re.fullmatch(r'([0-9.]+)s?', text)
    try:
        seconds = float(match[1]) if match else math.nan
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not action, frame or a time such as 0.5s')
    return seconds


def main(argv: list[str] | None = None) -> int:
    """Run `janusvln replay`; return its exit status."""
    options = make_parser().parse_args(argv)
    try:
        if options.input.suffix == '.jsonl':
            return _compare_files(options)
        with ExitStack() as resources:
            return _replay(options, resources)
    except KeyboardInterrupt:  # before the first decision
        return 130
    except (ValueError, OSError, PolicyError) as error:
        print(f'janusvln replay: {one_line(error)}', file=sys.stderr)
        return 2


def _compare_files(options: argparse.Namespace) -> int:
    if options.compare in (None, LIVE):
        raise UsageError(f'{options.input} holds decisions: give --compare OTHER.jsonl')
    result = compare(read_decisions(options.input), read_decisions(Path(options.compare)))
    return _tell(options.compare, result)


def _tell(name: str, result: Comparison) -> int:
    """Print a comparison; return the exit status it means."""
    print(f'compared with {name}: {result.summary()}')
    if result.differences:
        rows = result.table().splitlines()
        print('\n'.join(rows[: 1 + _SHOWN_DIFFERENCES]))
        if len(rows) > 1 + _SHOWN_DIFFERENCES:
            print(f'... and {len(rows) - 1 - _SHOWN_DIFFERENCES} more')
    return 1 if result.differences else 0


def _replay(options: argparse.Namespace, resources: ExitStack) -> int:
    if options.model is None and not is_bag(options.input):
        raise UsageError(_MODEL if options.input.exists() else f'{options.input} does not exist')
    other = None
    if options.compare not in (None, LIVE):
        other = read_decisions(Path(options.compare))
    output = options.output or Path(f'{options.input.resolve().name}_replay')
    if options.output_bag and (output / 'bag').exists():
        raise UsageError(f'{output / "bag"} exists already: remove it or choose another --output')
    recording = open_recording(options, resources)
    mounted = chosen(DepthParameters, options)
    reader = _depth_reader(options, mounted, recording)
    choice = _choice(options, recording.settings)
    policy = load_policy(choice)
    changes = differences(settings_of(choice, policy), recording.settings)
    selection, rule = recording.selection(options, policy.memory_usage().capacity)
    live = selection.recorded_decisions() if isinstance(selection, RecordedFrames) else []
    if options.compare == LIVE and not live:
        raise UsageError('--compare live needs recorded actions in the bag, and --every action')

    output.mkdir(parents=True, exist_ok=True)
    thumbnails = Thumbnails()
    total = len(live) or (recording.count if rule == 'frame' else None)
    bar = tqdm(total=total, unit=' decisions')
    sinks: list[DecisionSink] = [DecisionFiles(output), thumbnails, ProgressBar(bar)]
    if options.video:
        sinks.append(AnnotatedVideo(output / 'video.mp4'))
    cloud = None
    if options.points and reader:
        cloud = WalkCloud(options.points, recording.path, mounted.camera_height, reader.mount)
        sinks.append(cloud)
    copy = None
    if options.output_bag:
        assert isinstance(recording, BagRecording)  # others refuse it
        copy = recording.result_bag(output / 'bag', options.namespace, mounted.points_stride)
        sinks.append(copy)
    outcome = run(policy, recording.frames(copy), selection, sinks, reader)

    outcome.problems = [*recording.problems(), *_missing(selection), *outcome.problems]
    if not outcome.steps and not outcome.interrupted:
        outcome.problems.append(
            f'none of the {outcome.left_out} chosen frames could be decided from'
            if outcome.left_out
            else recording.nothing(rule)
        )
    ours = [step.decision for step in outcome.steps]
    comparisons: list[tuple[str, Comparison]] = []
    if live:
        comparisons.append(('the live decisions', compare(ours, live)))
    if other is not None:
        comparisons.append((options.compare, compare(ours, other)))
    header = ReportHeader(
        options.input.resolve().name,
        [
            *_facts(options, choice, policy),
            *([('camera', reader.camera)] if reader else []),
            ('since recorded', _changes(changes, recording.settings)),
            ('frames', f'{recording.camera}, decided by --every {rule}'),
        ],
        recording.path,
        comparisons,
        policy.random_weights,
    )
    write_report(output / 'report.html', header, outcome, thumbnails)
    for line in cloud.told if cloud else ():
        print(line)
    status = _finish(options, output, outcome, comparisons)
    if live and comparisons[0][1].differences:
        print(f'settings: {_changes(changes, recording.settings)}')
    return status


def _depth_reader(
    options: argparse.Namespace, mounted: DepthParameters, recording: BagRecording | FileRecording
) -> DepthReader | None:
    """Make what reads depth, if somebody wants it; UsageError for points that cannot be."""
    if not options.depth and not options.points:
        return None
    calibration = recording.calibration()
    if options.points:
        if not len(recording.path):
            raise UsageError(f'--points needs odometry, and {options.input} has none')
        if calibration is None:
            raise UsageError(
                f'--points needs a camera_info beside {recording.camera}: depth is only relative '
                'without; --depth shows it'
            )
        if not mounted.camera_height and getattr(options, 'geometry_heads', '') != 'points':
            raise UsageError(
                '--points needs metres, and depth is only relative: give --camera-height, or, for '
                'a checkpoint with a point head, --geometry-heads points'
            )
    return DepthReader(mounted, calibration, recording.path, recording.mount())


def _choice(options: argparse.Namespace, recorded: Mapping[str, str]) -> PolicyOptions:
    """Choose as the user says, else as recorded, else by default."""
    checkpoint = options.model or recorded.get('checkpoint', '')
    if not checkpoint:
        raise UsageError(_MODEL)
    if not options.model and checkpoint != 'random' and not Path(checkpoint).is_dir():
        raise UsageError(f'{_MODEL}: the bag was recorded with {checkpoint}, which is not here')
    values = options_of(recorded)
    if options.model:
        values.pop('adapter', None)  # it was made for the recorded checkpoint
    values |= given(PolicyOptions, options)
    if (options.depth or options.points) and values.get('geometry_heads', 'none') == 'none':
        values['geometry_heads'] = 'depth'
    return build(PolicyOptions, values | {'checkpoint': checkpoint})


def _changes(changes: Sequence[str], recorded: Mapping[str, str]) -> str:
    if not recorded:
        return 'the recording does not say what the policy ran with'
    return '; '.join(changes) or 'all settings are as recorded'


def _finish(
    options: argparse.Namespace,
    output: Path,
    outcome: Outcome,
    comparisons: Sequence[tuple[str, Comparison]],
) -> int:
    for problem in outcome.problems:
        print(f'note: {problem}', file=sys.stderr)
    print(f'{len(outcome.steps)} decisions in {output / "decisions.jsonl"}')
    print(f'report: {output / "report.html"}')
    status = 0
    for name, result in comparisons:
        differs = _tell(name, result)
        if name == options.compare or options.compare == LIVE:
            status = max(status, differs)
    if outcome.interrupted:
        return 130
    return status if outcome.steps else 2


def _missing(selection: Selection) -> list[str]:
    """Tell what a replay of recorded actions lacks of the live run."""
    if not isinstance(selection, RecordedFrames):
        return []
    problems = selection.gaps()
    missing = selection.missing()
    if missing:
        first = missing[0]
        problems.append(
            f'{len(missing)} of the frames that live decisions were taken from are not in the bag '
            f'(first: step {first.step} of episode {first.instruction_id[:8]}): decisions after '
            'them may differ from the live ones'
        )
    return problems


def _facts(
    options: argparse.Namespace, choice: PolicyOptions, policy: JanusPolicy
) -> list[tuple[str, str]]:
    """List what the decisions depend on."""
    memory = policy.memory
    window = f'initial {memory.initial_frames}, recent {memory.recent_frames} frames'
    if memory.mode == 'sampled':
        window += f', {memory.history_frames} past frames in the prompt'
    return [
        ('recording', str(options.input.resolve())),
        ('model', choice.checkpoint),
        ('device', f'{policy.model.device}, {str(policy.model.dtype).removeprefix("torch.")}'),
        ('image width', f'{policy.image_width} pixels'),
        ('memory', f'{memory.mode}: {window}'),
    ]
