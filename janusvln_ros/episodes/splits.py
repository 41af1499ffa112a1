"""
Fixed splits: the same name and number give the same episode everywhere.

An episode is drawn from a random generator seeded with the split's full name and the episode's
number, so any one of them can be made without the others. Full names carry the versions of the
house generator and of the grammar: `val_unseen_small-v1.1`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
import math
import zlib

from janusvln_ros.actions import Action
from janusvln_ros.episodes import grammar, tours
from janusvln_ros.episodes.handwritten import SENTENCES
from janusvln_ros.episodes.scene import HALF_VIEW, house_of, NEW_THING, Scene, scene_id
from janusvln_ros.episodes.tasks import FORMS, possible, SUCCESS_RADIUS, Task
from janusvln_ros.episodes.vln_ce import (
    Episode,
    floor_points,
    Goal,
    GroundTruth,
    Instruction,
    Position,
    to_habitat,
    yaw_to_rotation,
)
from janusvln_ros.sim.expert import Expert
from janusvln_ros.sim.generator import generate_house, GENERATOR_VERSION, MAX_ROOMS
from janusvln_ros.sim.house import NEW_CATEGORY, NEW_COLOUR, ROBOT_RADIUS
from janusvln_ros.sim.world import KinematicWorld
import numpy as np

VERSION = f'v{GENERATOR_VERSION}.{grammar.VERSION}'
MAX_STEPS = 200  # of an episode; the expert needs 90 at most, 150 in `long`

_UNSEEN_SEEDS = 10_000_000  # house seeds of the unseen splits start here
_FRESH_SEEDS = 20_000_000  # and of the one that nothing was ever chosen by
_WRITTEN_SEEDS = 30_000_000  # and of the one whose sentences people wrote
_LONG_SEEDS = 40_000_000  # and of the one of long tours
_NEW_SEEDS = 50_000_000  # and of those with a thing of which nothing was taught
_LEAST_WAY = SUCCESS_RADIUS + 1.4  # m, from the start to the goal
_LEAST_FIRST = 1.4  # m, from the start to what has to be visited first
_LONGEST_WAY = 14.0  # m
_MOST_STEPS = 90  # of the expert
_CLEARLY_WRONG = SUCCESS_RADIUS + 0.15  # m, of the wrong places from the goal
_MOST_HOUSES = 2000  # tried for an episode
_STARTS_PER_HOUSE = 12
_TASKS_PER_START = 3
_HINTED = 0.75  # share of the episodes that start with the landmarks out of view
_STRAIGHT_ON = 20  # steps; an episode that this many straight ahead come by the goal is trivial


@dataclass(frozen=True)
class Split:
    """A fixed set of episodes."""

    name: str  # like 'val_unseen_small'; Chinese splits end in '_zh'
    size: int
    first_seed: int  # of its houses
    houses: int
    seen: bool  # houses have the pairs of training only, phrasings are those of training
    rooms: str = ''  # a key of scene.ROOMS
    language: str = 'en'
    sentences: tuple[str, ...] = ()  # one for each episode, instead of the grammar's
    tours: bool = False  # long ones, instead of the grammar's forms

    @property
    def full_name(self) -> str:
        """Its name with the generators' versions."""
        return f'{self.name}-{VERSION}'

    @property
    def categories(self) -> tuple[str, ...]:
        """Its episodes' categories, in turn."""
        if self.rooms == NEW_THING:
            return ('reach',)
        return tours.CATEGORIES if self.tours else grammar.CATEGORIES


def _splits() -> dict[str, Split]:
    base = []
    for suffix, rooms in (('', ''), ('_one_room', 'one_room')):
        base += [
            Split(f'train{suffix}', 21_000, 0, 6000, True, rooms),
            Split(f'val_seen{suffix}', 700, 0, 400, True, rooms),
            Split(f'val_unseen{suffix}', 700, _UNSEEN_SEEDS, 10_000, False, rooms),
        ]
    base += [
        Split('train_small', 2100, 0, 400, True),
        Split('val_seen_small', 140, 0, 400, True),
        Split('val_unseen_small', 140, _UNSEEN_SEEDS + 10_000, 10_000, False),
    ]
    base.append(Split('val_fresh', 700, _FRESH_SEEDS, 10_000, False))
    chinese = [replace(split, name=f'{split.name}_zh', language='zh') for split in base]
    written = Split('handwritten', 200, _WRITTEN_SEEDS, 10_000, False, sentences=SENTENCES)
    long = Split('long', 300, _LONG_SEEDS, 10_000, False, rooms='large', tours=True)
    new = [
        Split('new_thing', 200, _NEW_SEEDS, 10_000, False, NEW_THING),
        Split('new_thing_train', 200, _NEW_SEEDS + 10_000, 10_000, True, NEW_THING),
    ]
    return {split.name: split for split in (*base, *chinese, written, long, *new)}


SPLITS = _splits()


def find_split(name: str) -> Split:
    """
    Give a split by its name, with or without its version.

    Raises ValueError where there is none, or where it was made by other versions.
    """
    short, _, version = name.partition('-')
    if short not in SPLITS:
        raise ValueError(f'no split {name!r}; there are {", ".join(SPLITS)}')
    if version and version != VERSION:
        raise ValueError(f'{name!r}: this release makes the splits of {VERSION}, not of {version}')
    return SPLITS[short]


def forms_of(split: Split, category: str) -> list[str]:
    """Give the forms of a category that a split has; those with doors need several rooms."""
    return [form for form in FORMS[category] if split.rooms != 'one_room' or 'door' not in form]


def numbers_of(split: Split, categories: Collection[str]) -> list[int]:
    """Give the numbers of a split's episodes of some categories."""
    every = len(split.categories)
    return [n for n in range(split.size) if split.categories[n % every] in categories]


def build_episode(split: Split, index: int) -> tuple[Episode, GroundTruth]:
    """
    Build one episode of a split with the expert's trajectory.

    Raises IndexError outside the split.
    """
    if not 0 <= index < split.size:
        raise IndexError(f'{split.full_name} has episodes 0 to {split.size - 1}, not {index}')
    # Languages share houses, places and goals.
    drawn_as = split.full_name.replace('_zh-', '-')
    rng = np.random.default_rng([zlib.crc32(drawn_as.encode()), index])
    category = split.categories[index % len(split.categories)]
    if split.tours:
        return _tour(split, index, category, rng)
    forms = forms_of(split, category)
    form = forms[index // len(grammar.CATEGORIES) % len(forms)]
    for _ in range(_MOST_HOUSES):
        seed = split.first_seed + int(rng.integers(split.houses))
        house = house_of(scene_id(seed, split.seen, split.rooms))
        if not possible(house, form):
            continue
        scene = Scene(house)
        for _ in range(_STARTS_PER_HOUSE if len(scene.starts) else 0):
            x, y = scene.starts[rng.integers(len(scene.starts))]
            tasks = list(FORMS[category][form](scene, x, y))
            if split.rooms == NEW_THING:
                noun = grammar.Noun(NEW_CATEGORY, NEW_COLOUR if index % 2 else None)
                tasks = [task for task in tasks if task.slots['a'] == noun]
            for choice in rng.permutation(len(tasks))[:_TASKS_PER_START]:
                built = _episode(split, index, (category, form), scene, x, y, tasks[choice], rng)
                if built is not None:
                    return built
    raise RuntimeError(f'{split.full_name}: no {form!r} in {_MOST_HOUSES} houses')


def _tour(
    split: Split, index: int, category: str, rng: np.random.Generator
) -> tuple[Episode, GroundTruth]:
    """Build an episode of a split of long tours."""
    for _ in range(_MOST_HOUSES):
        seed = split.first_seed + int(rng.integers(split.houses))
        house = house_of(scene_id(seed, split.seen, split.rooms))
        if len(house.rooms) > MAX_ROOMS:  # six and a corridor
            continue
        scene = Scene(house)
        for _ in range(_STARTS_PER_HOUSE if len(scene.starts) else 0):
            x, y = scene.starts[rng.integers(len(scene.starts))]
            drawn = tours.draw_tour(scene, x, y, category == 'memory', rng)
            if drawn is None:
                continue
            task, text = drawn
            built = _episode(split, index, (category, 'tour'), scene, x, y, task, rng, text)
            if built is not None:
                return built
    raise RuntimeError(f'{split.full_name}: no tour in {_MOST_HOUSES} houses')


def route_of(episode: Episode) -> list[np.ndarray]:
    """Give the places that an episode leads to, in order, each (n, 2); the goal is the last."""
    return [*map(floor_points, episode.info.get('visits', ())), episode.goal_points]


def _episode(
    split: Split,
    index: int,
    kind: tuple[str, str],
    scene: Scene,
    x: float,
    y: float,
    task: Task,
    rng: np.random.Generator,
    tour: str = '',
) -> tuple[Episode, GroundTruth] | None:
    """Make an episode of a task, or None where it is not a good one; `tour` says a long one."""
    category, form = kind
    held_out = not (split.seen or split.tours) and rng.random() < 0.5
    heading, turn = _start_heading(task, x, y, rng)
    # Drawn for every language, so that the languages' draws stay in step.
    phrasings = {
        language: grammar.choose_phrasing(rng, form, language, held_out)
        for language in grammar.LANGUAGES
        if not tour
    }
    if heading is None:
        return None
    route = reachable(scene, form, task, x, y)
    if route is None:
        return None
    length = route_length(scene, route, x, y)
    if not length <= (tours.LONGEST_WAY if tour else _LONGEST_WAY):
        return None
    if len(route) == 1 and _is_trivial(scene, route[0], x, y, heading):
        return None
    least, most = tours.STEPS if tour else (1, _MOST_STEPS)
    truth = roll_out(scene, route, x, y, heading, most)
    if truth is None or len(truth.actions) < least:
        return None
    turned = Action.TURN_LEFT if turn == 'left' else Action.TURN_RIGHT
    if turn is not None and truth.actions[:3] != 3 * (turned,):
        return None
    if tour:
        phrasing = 0
        text = grammar.say_turn(turn, split.language, 0) + tour
    else:
        phrasing, turn_phrasing = phrasings[split.language]
        text = grammar.say(
            form,
            task.slots,
            language=split.language,
            phrasing=phrasing,
            turn=turn,
            turn_phrasing=turn_phrasing,
        )
    if split.sentences:
        text = split.sentences[index]
    nouns = [noun for noun in task.slots.values() if isinstance(noun, grammar.Noun)]
    info = {
        'geodesic_distance': round(length, 4),
        'category': category,
        'form': form,
        'rooms': len(scene.house.rooms),
        'visits': [_habitat(place) for place in route[:-1]],
        'turn': turn,
        'phrasing': phrasing,
        'held_out_phrasing': held_out,
        'held_out_pair': any(noun.held_out for noun in nouns),
    }
    return Episode(
        episode_id=index,
        trajectory_id=index,
        scene_id=scene_id(scene.house.seed, split.seen, split.rooms),
        start_position=to_habitat(round(float(x), 4), round(float(y), 4)),
        start_rotation=yaw_to_rotation(heading),
        instruction=Instruction(
            text,
            instruction_id=f'{split.name}-{index}',
            language=grammar.LANGUAGES[split.language],
        ),
        goals=tuple(Goal(position, SUCCESS_RADIUS) for position in _habitat(route[-1])),
        reference_path=_habitat(_reference(scene, route, x, y)),
        info=info,
    ), truth


def _rounded(position: Position) -> Position:
    x, y, z = (round(float(v), 4) for v in position)
    return x, y, z


def _habitat(points: np.ndarray) -> tuple[Position, ...]:
    return tuple(to_habitat(round(float(x), 4), round(float(y), 4)) for x, y in points)


def _start_heading(
    task: Task, x: float, y: float, rng: np.random.Generator
) -> tuple[float | None, str | None]:
    """Draw where the robot looks at the start, and where it is told to turn first, if at all."""
    bearings = np.arctan2(task.facing[:, 1] - y, task.facing[:, 0] - x)
    offsets = np.array([math.remainder(b - bearings[0], math.tau) for b in bearings])
    if not task.together:
        offsets = offsets[:1]
    # Headings, from the first landmark's bearing, with all that has to be in view.
    least, most = offsets.max() - HALF_VIEW, offsets.min() + HALF_VIEW
    if least > most:
        return None, None
    heading = bearings[0] + rng.uniform(least, most)
    if rng.random() >= _HINTED:
        return float(heading), None
    turn = 'left' if rng.random() < 0.5 else 'right'
    angle = math.radians(rng.uniform(75, 135))
    return float(heading + (-angle if turn == 'left' else angle)), turn


def reachable(scene: Scene, form: str, task: Task, x: float, y: float) -> list[np.ndarray] | None:
    """Give the task's route with all places that can be reached; None for one that will not do."""
    from_start = scene.field_from(x, y)
    route = []
    for places in (*task.visits, task.goal):
        place = [
            point
            for point in places
            if scene.space.clearance_at(point) > ROBOT_RADIUS and from_start.reaches(*point)
        ]
        if not place:
            return None
        route.append(np.array(place))
    ways = [min(from_start.distance(*point) for point in place) for place in route]
    if len(route) > 1 and ways[0] < _LEAST_FIRST:
        return None
    if form not in ('there_and_back', 'tour') and ways[-1] < _LEAST_WAY:
        return None
    goal = scene.space.field(route[-1])
    if any(goal.distance(*point) < _CLEARLY_WRONG for point in task.wrong):
        return None
    return route


def route_length(scene: Scene, route: list[np.ndarray], x: float, y: float) -> float:
    """Give the length in metres of the shortest way from (x, y) through all places of a route."""
    so_far = np.zeros(1)  # to each point of the place before
    points = np.array([[x, y]])
    for place in route:
        fields = [scene.space.field(point[None]) for point in points]
        so_far = np.array(
            [
                min(done + field.distance(*point) for done, field in zip(so_far, fields))
                for point in place
            ]
        )
        points = place
    return float(so_far.min())


def _reference(scene: Scene, route: list[np.ndarray], x: float, y: float) -> np.ndarray:
    """Give the corners of the way along a route, (n, 2), the start first."""
    way = [np.array([[x, y]])]
    for place in route:
        way.append(scene.space.field(place).path(*way[-1][-1])[1:])
    return np.concatenate(way)


def _is_trivial(scene: Scene, goal: np.ndarray, x: float, y: float, heading: float) -> bool:
    """Tell whether walking straight on, and along what is touched, leads by the goal."""
    field = scene.space.field(goal)
    world = _bare_world()
    world.load(scene.house)
    world.reset(x, y, heading)
    for _ in range(_STRAIGHT_ON):
        world.step(Action.MOVE_FORWARD)
        if field.distance(*world.pose[:2]) < SUCCESS_RADIUS:
            return True
    return False


def roll_out(
    scene: Scene,
    route: list[np.ndarray],
    x: float,
    y: float,
    heading: float,
    most: int = _MOST_STEPS,
) -> GroundTruth | None:
    """Let the expert walk a route; None where it does not arrive within `most` steps."""
    world = _bare_world()
    world.load(scene.house)
    world.reset(x, y, heading)
    expert = Expert(scene.space, route)
    locations = [to_habitat(x, y)]
    actions: list[int] = []
    while len(actions) < most:
        action = expert.act(*world.pose)
        actions.append(action)
        if action == Action.STOP:
            return GroundTruth(tuple(map(_rounded, locations)), tuple(actions))
        world.step(action)
        position = to_habitat(*world.pose[:2])
        if position != locations[-1]:
            locations.append(position)
    return None


@lru_cache(maxsize=1)
def _bare_world() -> KinematicWorld:
    """Give this process' world for walks without pictures; load() a house first."""
    return KinematicWorld(generate_house(0))
