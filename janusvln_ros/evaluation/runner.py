"""
Run an agent on episodes: many processes, several machines, and a kill at any time.

A run is a folder. `run.json` says what is evaluated; `results-RANK.jsonl` has a line for every
finished episode, written and synced when it ends. Starting the same run again goes on behind the
lines that are there, in whatever file; so nothing is repeated and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from janusvln_ros.actions import Action, ACTION_NAMES
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.evaluation.agents import Agent, AgentSpec
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.imaging.overlay import annotate
from janusvln_ros.imaging.video import VideoWriter
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.workers import in_processes
from tqdm import tqdm

_VIDEO_FPS = 5


@dataclass(frozen=True)
class EnvironmentSpec:
    """
    What makes an environment, the same in every process.

    split: of ours with its version, or Habitat's. habitat_config: path of a Habitat configuration;
    None for the embedded world.
    """

    split: str
    width: int = 320
    height: int = 240
    slide: bool = True
    driven: bool = False
    max_steps: int = 200
    habitat_config: str | None = None

    def make(self) -> Any:
        """Make the environment; ModuleNotFoundError where Habitat is asked for and missing."""
        if self.habitat_config is not None:
            # Only here: Habitat is not needed for anything else.
            from janusvln_ros.evaluation.habitat_environment import HabitatEnvironment

            return HabitatEnvironment(self.habitat_config, self.split)
        return HouseEnvironment(
            find_split(self.split),
            camera=CameraModel(self.width, self.height),
            slide=self.slide,
            driven=self.driven,
            max_steps=self.max_steps,
        )


@dataclass(frozen=True)
class Run:
    """An evaluation: who, where, on which episodes."""

    folder: Path
    agent: AgentSpec
    environment: EnvironmentSpec
    categories: tuple[str, ...]
    episodes: int | None = None  # the first ones only
    hash_pictures: bool = False  # also of an agent that does not see
    videos: int = 0  # of the first episodes

    def settings(self) -> dict[str, Any]:
        """Give what decides the results, for run.json."""
        return {
            'agent': asdict(self.agent),
            'environment': asdict(self.environment),
            'categories': list(self.categories),
            'hash_pictures': self.hash_pictures,
        }


def evaluate(
    run: Run, *, processes: int = 1, quiet: bool = False, share: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """
    Run what is left of an evaluation and return all records that there are, in order of episodes.

    share: (k, n) for every nth episode from the kth on; default: torchrun's RANK and WORLD_SIZE.
    Raises ValueError where the folder holds another run, RuntimeError where another process writes
    the same results or a worker died; KeyboardInterrupt passes. Finished episodes are kept.
    """
    rank, world_size = share or rank_and_size()
    run.folder.mkdir(parents=True, exist_ok=True)
    check_settings(run)
    with _locked(run.folder / f'results-{rank}.jsonl') as stream:
        with closing(run.environment.make()) as environment:
            keys = environment.keys(list(run.categories))[: run.episodes]
        videos = set(keys[: run.videos])
        done = {record['key'] for record in read_records(run.folder)}
        mine = [key for key in keys[rank::world_size] if str(key) not in done]
        tasks = [(key, key in videos) for key in mine]
        with tqdm(
            total=len(keys[rank::world_size]),
            initial=len(keys[rank::world_size]) - len(mine),
            unit='episode',
            desc=run.agent.policy if rank == 0 else f'rank {rank}',
            disable=quiet,
        ) as bar:
            rates = _Running(bar)
            for record in in_processes(tasks, _episodes, run, processes=processes):
                stream.write(json.dumps(record, ensure_ascii=False) + '\n')
                stream.flush()
                os.fsync(stream.fileno())
                rates.add(record)
    wanted = {str(key): place for place, key in enumerate(keys)}
    records = [record for record in read_records(run.folder) if record['key'] in wanted]
    return sorted(records, key=lambda record: wanted[record['key']])


def run_episode(
    run: Run, environment: Any, agent: Agent, key: Any, video: bool = False
) -> dict[str, Any]:
    """Run one episode and return its record, which has all but the pictures."""
    episode = environment.reset(key)
    agent.begin(environment)
    hashed = agent.sees or run.hash_pictures
    pictures = hashlib.sha256()
    writer = None
    while not environment.over:
        rgb = environment.render() if hashed or video else None
        if rgb is not None:
            pictures.update(rgb.tobytes())
        action = agent.act(rgb if agent.sees else None)
        if video:
            frame = _frame(rgb, episode.instruction.text, len(environment.actions), action, agent)
            writer = writer or VideoWriter(
                run.folder / f'episode-{str(key).replace("/", "_")}.mp4',
                _VIDEO_FPS,
                (frame.shape[1], frame.shape[0]),
            )
            writer.write(frame)
        environment.step(action)
    if writer is not None:
        writer.close()
    return {
        'key': str(key),
        'episode_id': episode.episode_id,
        'scene_id': episode.scene_id,
        'instruction': episode.instruction.text,
        **environment.description(),
        **asdict(environment.metrics()),
        'stopped': environment.actions[-1:] == [Action.STOP],
        'actions': environment.actions,
        'path': [[round(float(value), 4) for value in pose] for pose in environment.poses],
        'pictures': pictures.hexdigest() if hashed else None,
    }


def read_records(folder: Path) -> list[dict[str, Any]]:
    """
    Read the records of all ranks.

    A last line that was cut off by a kill is left out. ValueError for any other broken line.
    """
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob('results-*.jsonl')):
        lines = path.read_text(encoding='utf-8').split('\n')
        for number, line in enumerate(lines[:-1], 1):
            try:
                record = json.loads(line)
                records.setdefault(record['key'], record)
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(
                    f'{path}, line {number} is no record: {error!r}; '
                    f'delete the line to have its episode run again'
                ) from error
    return list(records.values())


def rank_and_size() -> tuple[int, int]:
    """Give torchrun's RANK and WORLD_SIZE, 0 and 1 without it."""
    return int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))


def check_settings(run: Run) -> None:
    """Write run.json, or compare; ValueError where the folder holds another run."""
    path = run.folder / 'run.json'
    settings = json.loads(json.dumps(run.settings()))
    if not path.exists():
        # Another rank may do the same now: the name appears with all its content.
        part = path.with_suffix(f'.{os.getpid()}')
        part.write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding='utf-8')
        part.replace(path)
        return
    before = json.loads(path.read_text(encoding='utf-8'))
    changed = [key for key in settings if settings[key] != before.get(key)]
    if changed:
        raise ValueError(
            f'{run.folder} holds a run with other settings ({", ".join(changed)}; see run.json); '
            f'choose another folder with --output, or delete this one'
        )


class _Running:
    """Shows the success rate of what is finished behind the progress bar."""

    def __init__(self, bar: tqdm) -> None:
        self._bar, self._count, self._sr, self._spl = bar, 0, 0.0, 0.0

    def add(self, record: dict[str, Any]) -> None:
        self._count += 1
        self._sr += record['sr']
        self._spl += record['spl']
        self._bar.set_postfix_str(
            f'SR {self._sr / self._count:.3f}  SPL {self._spl / self._count:.3f}', refresh=False
        )
        self._bar.update()


@contextmanager
def _episodes(run: Run) -> Iterator[Callable[[tuple[Any, bool]], dict[str, Any]]]:
    """Give what runs an episode: of its key, and whether it is filmed, it makes the record."""
    agent = run.agent.make()
    with closing(run.environment.make()) as environment:
        yield lambda task: run_episode(run, environment, agent, *task)


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    """Open a file of records to append, for this process only; a line cut off by a kill goes."""
    with open(path, 'a+', encoding='utf-8') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(f'{path} is being written by another process') from error
        stream.seek(0)
        text = stream.read()
        whole = text[: text.rfind('\n') + 1]
        if whole != text:
            stream.truncate(len(whole.encode('utf-8')))
        stream.seek(0, os.SEEK_END)
        yield stream


def _frame(rgb: Any, instruction: str, step: int, action: int, agent: Agent) -> Any:
    decision = getattr(agent, 'decision', None)
    probabilities = (
        list(decision.probabilities.values())
        if decision is not None
        else [float(action == other) for other in Action]
    )
    return annotate(
        rgb,
        instruction=instruction,
        step=step,
        action_name=ACTION_NAMES[action],
        probabilities=probabilities,
    )
