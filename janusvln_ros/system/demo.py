"""
janusvln demo: a robot in a simulated house follows instructions, with nothing but this machine.

Starts sim_robot, motion_executor and navigator as processes, gives one instruction after another,
shows what happens, and writes an annotated video, a map and a bag.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
from pathlib import Path
import shutil
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.arguments import checkpoint, output_folder, text, whole
from janusvln_ros.episodes.progress import GoalProgress
from janusvln_ros.episodes.scene import scene_of
from janusvln_ros.episodes.splits import build_episode, find_split, route_of
from janusvln_ros.episodes.vln_ce import Episode
from janusvln_ros.navigation.mission import Reason
from janusvln_ros.recordings.writer import BagWriter
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.map import draw_map
from janusvln_ros.sim.map import Path as MapPath
from janusvln_ros.system.bag_recording import record_topics
from janusvln_ros.system.observer import CAMERA_RATE, Observer, Run
from janusvln_ros.system.processes import bundled_checkpoint, NodeFailed, NodeProcesses
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

_START_TIMEOUT = 180.0  # s, a large checkpoint takes its time
_LAST_ACTION = 5.0  # s that it may come after the end of its episode
_RANDOM = (
    'This checkpoint has RANDOM weights: it shows that everything works together.\n'
    'The robot does NOT follow the instruction.'
)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    result = argparse.ArgumentParser(
        prog='janusvln demo',
        description=__doc__.split('\n\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    result.add_argument(
        '--checkpoint',
        type=checkpoint,
        default=bundled_checkpoint(),
        help='folder of a checkpoint, or "random" for random weights',
    )
    result.add_argument(
        '--memory-mode',
        default='windowed',
        choices=('sampled', 'windowed'),
        help='semantic memory',
    )
    result.add_argument(
        '--device', default='auto', choices=('auto', 'cuda', 'cpu'), help='where the policy runs'
    )
    result.add_argument(
        '--split',
        default='val_unseen_small',
        help='episodes to take the house, the start and the instruction from',
    )
    result.add_argument('--episode', type=whole(), default=0, help='number of the first episode')
    result.add_argument(
        '--count', type=whole(1, 1000), default=4, help='episodes, each in its own house'
    )
    result.add_argument(
        '--instruction',
        action='append',
        type=text,
        metavar='TEXT',
        help="what to do in the first episode's house instead; may be given several times",
    )
    result.add_argument(
        '--max-steps', type=whole(1, 100_000), default=90, help='decisions per instruction'
    )
    result.add_argument(
        '--continuous', action='store_true', help='keep deciding while the robot moves'
    )
    result.add_argument(
        '--depth',
        action='store_true',
        help="film what the checkpoint's depth head says beside the camera's pictures",
    )
    result.add_argument(
        '--console',
        action='store_true',
        help='open the console instead, and follow what is typed in a browser until Ctrl-C',
    )
    result.add_argument(
        '--out',
        type=output_folder,
        default=Path('out/demo'),
        help='folder for video.mp4, map.png, summary.json, bag and logs; those of '
        'the run before are replaced',
    )
    return result


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0 when it ran to its end, 1 when a node failed, 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # steps are seen at once, also through a pipe

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        return _demonstrate(arguments)
    except KeyboardInterrupt:
        print('\ninterrupted')
        return 130
    except OSError as error:
        print(f'\njanusvln demo: cannot write below {arguments.out}: {error}', file=sys.stderr)
        return 1


def _demonstrate(arguments: argparse.Namespace) -> int:
    try:
        split = find_split(arguments.split)
        episodes = [
            build_episode(split, arguments.episode + number)[0]
            for number in range(1 if arguments.instruction else arguments.count)
        ]
    except (ValueError, IndexError) as error:
        print(f'janusvln demo: {error}', file=sys.stderr)
        return 2
    random = _has_random_weights(arguments.checkpoint)
    arguments.out.mkdir(parents=True, exist_ok=True)
    _introduce(arguments, random)
    runs: list[Run] = []
    code = 0
    with NodeProcesses(arguments.out / 'logs') as nodes:
        try:
            _start(nodes, arguments, episodes[0])
            if arguments.console:
                _offer(nodes, arguments.out / 'logs' / 'console.log')
            _drive(nodes, arguments, episodes, runs)
        except KeyboardInterrupt:
            print('\ninterrupted: ending the nodes')
            code = 130
        except NodeFailed as error:
            print(f'\njanusvln demo: {error}', file=sys.stderr)
            code = 1
        nodes.stop()
        if runs:
            _conclude(arguments, runs, random)
    return code


def _has_random_weights(checkpoint: str) -> bool:
    config = Path(checkpoint) / 'config.json'
    return checkpoint == 'random' or (
        config.is_file() and json.loads(config.read_text()).get('janusvln_random', False)
    )


def _introduce(arguments: argparse.Namespace, random: bool) -> None:
    print(
        f'janusvln demo: sim_robot, motion_executor and navigator, each a process of its own\n'
        f'  checkpoint  {arguments.checkpoint}\n'
        f'  output      {arguments.out.resolve()}'
    )
    if random:
        print('\n' + _RANDOM)
    print('\nstarting ...', flush=True)


def _start(nodes: NodeProcesses, arguments: argparse.Namespace, episode: Episode) -> None:
    mode = 'continuous' if arguments.continuous else 'step'
    _start_simulator(nodes, episode)
    nodes.start('motion_executor', {'execution_mode': mode})
    nodes.start(
        'navigator',
        {
            'checkpoint': f'"{arguments.checkpoint}"',
            'device': arguments.device,
            'autostart': True,
            'memory_mode': arguments.memory_mode,
            'execution_mode': mode,
            'max_steps': arguments.max_steps,
            'geometry_heads': 'depth' if arguments.depth else 'none',
            'camera_height': CameraModel().elevation,
        },
    )


def _start_simulator(nodes: NodeProcesses, episode: Episode) -> None:
    nodes.start(
        'sim_robot',
        {
            'scene': episode.scene_id,
            'image_rate': CAMERA_RATE,
            'start_pose': '"{:.4f} {:.4f} {:.4f}"'.format(*episode.start),
        },
    )


def _offer(nodes: NodeProcesses, log: Path) -> NoReturn:
    """Open the console, say where, and let people use it until Ctrl-C, or a node ends."""
    nodes.start('console', {'port': 0})
    said = ''
    while True:
        nodes.check()
        if not said and log.read_text().count('http') >= 2:
            said = log.read_text()
            print(f'{said}\nOpen a link in a browser, and type where to go. Ctrl-C ends it.')
        time.sleep(0.1)


def _drive(
    nodes: NodeProcesses, arguments: argparse.Namespace, episodes: list[Episode], runs: list[Run]
) -> None:
    """Give the instructions one after another; `runs` grows as they begin."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    observer = Observer(arguments.out / 'video.mp4', arguments.depth)
    executor = SingleThreadedExecutor()
    executor.add_node(observer)
    thread = threading.Thread(target=observer.spin, args=(executor,), daemon=True)
    shutil.rmtree(arguments.out / 'bag', ignore_errors=True)
    bag = BagWriter(arguments.out / 'bag', compress=True)
    tasks = (
        [(episodes[0], words) for words in arguments.instruction]
        if arguments.instruction
        else [(episode, episode.instruction.text) for episode in episodes]
    )
    with contextlib.ExitStack() as ends:  # each is done, though one before it fails
        ends.callback(rclpy.shutdown)
        ends.callback(observer.destroy_node)
        ends.callback(bag.close)
        record_topics(observer, bag)
        thread.start()
        ends.callback(thread.join, 5.0)
        ends.callback(executor.shutdown)
        ends.callback(observer.close_video)
        for number, (episode, words) in enumerate(tasks):
            if episode is not tasks[max(0, number - 1)][0]:
                nodes.stop('sim_robot')
                observer.forget()
                _start_simulator(nodes, episode)
            runs.append(Run(words, episode, _standing(nodes, observer)))
            _follow(nodes, observer, runs[-1], f'{number + 1}/{len(tasks)}', arguments.max_steps)


def _standing(nodes: NodeProcesses, observer: Observer) -> tuple[float, float, float]:
    """Wait until all nodes are at work; give where the robot stands."""

    def ready() -> bool:
        observer.check()
        observer.release()
        return observer.ready

    nodes.wait_until(ready, _START_TIMEOUT)
    assert observer.pose is not None  # else it is not ready
    return observer.pose


def _follow(nodes: NodeProcesses, observer: Observer, run: Run, label: str, steps: int) -> None:
    """Give one instruction and show what happens until its episode has ended."""
    tqdm.write(
        f'\n{label}  "{run.instruction}"\n'
        '  step  action          stop  forward   left  right   decision  latency    driven'
    )
    observer.begin(run)
    shown, deadline = 0, math.inf
    with tqdm(total=steps, unit='step', leave=False, disable=None) as bar:  # None: in files
        while (
            run.status is None
            or shown < len(observer.actions)
            or (shown < run.status.step and time.monotonic() < deadline)
        ):
            if run.status is None:  # what it counts may come after it: topics are in no order
                deadline = time.monotonic() + _LAST_ACTION
            nodes.check()
            observer.check()
            for action, latency in observer.actions[shown:]:
                shares = '  '.join(f'{100 * share:5.0f}%' for share in action.probabilities)
                tqdm.write(
                    f'  {action.step:4d}  {ACTION_NAMES[action.action]:12s} {shares}  '
                    f'{1000 * action.decision_time:6.0f} ms {1000 * latency:5.0f} ms  '
                    f'{run.distance:6.2f} m'
                )
                shown += 1
                bar.update()
            time.sleep(0.02)
    ended = '' if run.outcome == Reason.SUCCEEDED.name else f'{run.outcome}: '
    tqdm.write(f'  {ended}{run.status.message}')


def _conclude(arguments: argparse.Namespace, runs: list[Run], random: bool) -> None:
    """Print the summary; write it, and the map."""
    records, maps = [], []
    print('\nsummary')
    for number, run in enumerate(runs, 1):
        scene, goal = scene_of(run.episode.scene_id), run.episode.goal_points
        radius = run.episode.goals[0].radius
        end = run.poses[-1] if run.poses else run.start
        progress = GoalProgress(scene.space, route_of(run.episode), radius)
        left = [progress.observe(x, y) for x, y, _ in (run.start, *run.poses)][-1]
        stopped = run.outcome == Reason.SUCCEEDED.name
        reached = stopped and progress.visited and left < radius
        decision, latency = _median(run.times), _median(run.latencies)
        record = {
            'instruction': run.instruction,
            'scene': run.episode.scene_id,
            'outcome': run.outcome,
            'steps': len(run.latencies),
            'driven_m': round(run.distance, 3),
            'goal_left_m': round(left, 3) if run.has_goal else None,
            'goal_reached': reached if run.has_goal else None,
            'decision_time_p50_s': decision,
            'latency_p50_s': latency,
        }
        records.append(record)
        ended = 'stopped' if stopped else run.outcome
        if run.has_goal:
            ended = f'{"success" if reached else "FAILURE"}: {ended} {left:.2f} m from the goal'
            if not progress.visited:
                ended += ', without having been where it should go first'
        print(
            f'  {number}. "{run.instruction}"\n     {ended}\n'
            f'     {len(run.latencies)} decisions, {run.distance:.2f} m driven'
        )
        if decision is not None and latency is not None:
            print(
                f'     median decision {1000 * decision:.0f} ms, from image to action '
                f'{1000 * latency:.0f} ms'
            )
        path = np.array([pose[:2] for pose in [run.start, *run.poses]])
        maps.append(
            draw_map(
                scene.house,
                paths=[MapPath(path, (38, 84, 190), 'driven')],
                start=run.start,
                robot=end,
                goal=tuple(goal.mean(axis=0)) if run.has_goal else None,
                goal_radius=radius,
                title=run.instruction,
            )
        )
    _write_png(arguments.out / 'map.png', maps)
    (arguments.out / 'summary.json').write_text(
        json.dumps(
            {'checkpoint': arguments.checkpoint, 'random_weights': random, 'runs': records},
            indent=2,
        )
        + '\n'
    )
    asked = [record for record in records if record['goal_reached'] is not None]
    if asked:
        followed = sum(bool(record['goal_reached']) for record in asked)
        print(f'\n  {followed} of {len(asked)} instructions followed to their goal')
    print(
        f'\n  video    {arguments.out / "video.mp4"}\n  map      {arguments.out / "map.png"}\n'
        f'  bag      {arguments.out / "bag"}\n  summary  {arguments.out / "summary.json"}'
    )
    if random:
        print('\n' + _RANDOM)


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 4) if values else None


def _write_png(path: Path, pictures: list[np.ndarray]) -> None:
    """Write pictures side by side, aligned at the top."""
    import cv2

    height = max(picture.shape[0] for picture in pictures)
    padded = [
        np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0)), constant_values=255)
        for picture in pictures
    ]
    cv2.imwrite(str(path), np.hstack(padded)[..., ::-1])
