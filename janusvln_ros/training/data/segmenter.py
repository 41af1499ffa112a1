"""
Cut continuous driving into the policy's steps: 0.25 m forward, 15 degrees to a side.

A track is what odometry told, from a joystick or from anything. What no step does (reversing,
strafing, a jump of the odometry) is marked and cut out; what is left is divided into knots a tenth
of a step apart. Dynamic programming over them finds the sequence of steps that ends nearest to
where the robot did, strays least on the way, and whose steps look most like what was driven.
Only numbers go in and out. Units: ns, metres, radians, REP-103 axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.training.data.track import Cut, cut_of, Knots, pieces, Track, triple
import numpy as np

_LEAST, _MOST = 0.35, 1.7  # steps of driving that one step may stand for
_ALONE = 0.035, math.radians(3.0)  # m, rad: so near to a step, a motion from rest to rest is one
_IDLE = 1.0  # cost of a step's length of driving that no step stands for
_ASTRAY = 0.3  # cost of being a step's length off on the way, for each step's length of it
_END = 8.0, 2.0  # cost of ending 0.25 m off, 15 degrees off
_CELL = 0.02  # m: guesses that are nearer to each other count as one
_HOPELESS = 8.0  # cost above the best guess's at which one is given up
_BEAM = 48  # guesses kept at a knot
_ROLL = 1600  # knots after which what was found is final: memory does not grow with the drive
_STEPS = (Action.MOVE_FORWARD, Action.TURN_LEFT, Action.TURN_RIGHT)
_AHEAD = np.array([FORWARD_STEP, 0.0, 0.0])
_TURNS = np.array([0, 1, -1])


@dataclass(frozen=True)
class Step:
    """
    A step that was chosen.

    The robot stood, or passed, at `pose` (x, y, yaw) from `start` to `leave`; `ideal` is where the
    steps before lead to, from where the robot was at the first step or after the last cut.
    """

    action: Action
    start: int
    leave: int
    pose: tuple[float, float, float]
    ideal: tuple[float, float, float]

    @property
    def drift(self) -> tuple[float, float]:
        """Give how far off (m, rad) the steps before this one have led."""
        return _apart(self.ideal, self.pose)


@dataclass(frozen=True)
class Drift:
    """How far the chosen steps lie off the track: m and rad."""

    median: tuple[float, float] = (0.0, 0.0)
    worst: tuple[float, float] = (0.0, 0.0)
    end: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Segmentation:
    """Steps in order, the last of them STOP, and what was cut out."""

    steps: tuple[Step, ...]
    cuts: tuple[Cut, ...]

    @property
    def began(self) -> int:
        """Give when the first step, or the first stretch that is cut out, began: ns."""
        return min([self.steps[0].start, *(cut.start for cut in self.cuts[:1])])

    @property
    def actions(self) -> list[int]:
        """Give the actions."""
        return [int(step.action) for step in self.steps]

    @property
    def drift(self) -> Drift:
        """Compare ideal and real poses at all steps, and at STOP."""
        off = np.array([step.drift for step in self.steps])
        median, worst = np.median(off, 0), off.max(0)
        return Drift((median[0], median[1]), (worst[0], worst[1]), self.steps[-1].drift)


def segment(track: Track) -> Segmentation:
    """Cut a track into steps, STOP at its end; ValueError for one without a pose."""
    if not len(track):
        raise ValueError('a track without a pose cannot be cut into steps')
    steps: list[Step] = []
    cuts: list[Cut] = []
    ideal = end = np.array([track.x[0], track.y[0], track.yaw[0]])
    start, leave = track.start[0], track.end[0]
    for piece, kind in pieces(track):
        if kind is not None:
            cuts.append(cut_of(piece, kind))
        for part, found, final in () if kind is not None else _walk(piece):
            ideal = final
            steps += found
            end, start, leave = part.pose[-1], int(part.start[-1]), int(part.leave[-1])
        if kind is not None:
            ideal = end = piece.pose[-1]
            start, leave = int(piece.start[-1]), int(piece.leave[-1])
    steps.append(Step(Action.STOP, start, leave, triple(end), triple(ideal)))
    return Segmentation(tuple(steps), tuple(cuts))


# ---- which steps ----


def _walk(knots: Knots) -> Iterator[tuple[Knots, list[Step], np.ndarray]]:
    """Find the steps of what can be driven, part by part; with each, where its steps end."""
    ideal, heading = knots.pose[0], float(knots.pose[0, 2])
    first, last = 0, len(knots.pose) - 1
    while True:
        end = min(first + _ROLL, last)
        rests = np.flatnonzero(knots.rests[first + 1 : end + 1])
        if end < last and len(rests):
            end = first + 1 + int(rests[-1])  # no step goes on from there
        part = knots.part(first, end)
        steps, ideal = _search(part, ideal, heading)
        yield part, steps, ideal
        if end == last:
            return
        first = end


def _alone(knots: Knots) -> dict[int, tuple[int, int]]:
    """Find motions from rest to rest that are one step: last knot -> first knot, which step."""
    found = {}
    rests = np.flatnonzero(knots.rests)
    for i, j in zip(rests[:-1].tolist(), rests[1:].tolist()):
        seen = _seen(knots.pose[j], knots.pose[i : i + 1])[0]
        for which in range(len(_STEPS)):
            moved = math.hypot(seen[0] - _AHEAD[which], seen[1])
            if moved < _ALONE[0] and abs(seen[2] - _TURNS[which] * TURN_STEP) < _ALONE[1]:
                found[j] = (i, which)
    return found


def _search(knots: Knots, begin: np.ndarray, heading: float) -> tuple[list[Step], np.ndarray]:
    """
    Choose steps by dynamic programming: over knots, and guesses of where steps have led.

    begin: where the steps before led to. heading: the yaw that turns are counted from. Also give
    where the steps lead to.
    """
    alone = _alone(knots)
    within = np.zeros(len(knots.pose), bool)  # within a motion that is one step
    for j, (i, _) in alone.items():
        within[i + 1 : j] = True
    turned = round((float(begin[2]) - heading) / TURN_STEP)
    # Guesses at each knot: x, y, turns, cost; and the node that the last step of each is.
    beams = [np.array([[begin[0], begin[1], turned, 0.0]])]
    nodes = [np.array([-1])]
    table: list[np.ndarray] = []  # nodes: the one before, knot where the step began, which step
    size = 0
    for j in range(1, len(knots.pose)):
        if within[j]:
            beams.append(np.empty((0, 4)))
            nodes.append(np.empty(0, int))
            continue
        first, last, steps = _sources(knots, j, alone.get(j))
        guesses, links = _go_on(knots, (first, last), j, beams, nodes, steps, heading)
        idle = len(guesses)
        if j not in alone:
            guesses = np.concatenate([guesses, beams[j - 1]])
            guesses[idle:, 3] += _IDLE * (knots.driven[j] - knots.driven[j - 1])
        # Where steps have led counts for the way that the robot goes with it.
        way = np.full(len(guesses), knots.driven[j] - knots.driven[j - 1])
        way[:idle] = knots.driven[j] - knots.driven[links[:, 1]]
        guesses[:, 3] += _ASTRAY * way * _off(guesses, knots.pose[j], heading).sum(1)
        kept = _best(guesses)
        new = kept < idle
        node = np.empty(len(kept), int)
        node[new] = size + np.arange(new.sum())
        node[~new] = nodes[j - 1][kept[~new] - idle]
        table.append(links[kept[new]])
        size += int(new.sum())
        beams.append(guesses[kept])
        nodes.append(node)
    ends = beams[-1][:, 3] + _off(beams[-1], knots.pose[-1], heading) @ np.array(_END)
    node_id = int(nodes[-1][np.argmin(ends)])
    links = np.concatenate(table) if table else np.empty((0, 3), int)
    chain = []
    while node_id >= 0:
        node_id, i, which = links[node_id].tolist()
        chain.append((i, which))
    return _steps(knots, begin, chain[::-1], turned, heading)


def _sources(knots: Knots, j: int, alone: tuple[int, int] | None) -> tuple[int, int, list[int]]:
    """Give the knots, first to last, at which a step to knot j may have begun; which steps."""
    if alone is not None:
        return alone[0], alone[0] + 1, [alone[1]]
    low = int(np.searchsorted(knots.driven, knots.driven[j] - _MOST))
    high = int(np.searchsorted(knots.driven, knots.driven[j] - _LEAST, 'right'))
    return low, max(low, min(high, j)), [0, 1, 2]


def _go_on(
    knots: Knots,
    sources: tuple[int, int],
    j: int,
    beams: list[np.ndarray],
    nodes: list[np.ndarray],
    steps: list[int],
    heading: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Do each step from every guess at the sources; it ends at knot j. Give links, too."""
    first, last = sources
    if first == last:
        return np.empty((0, 4)), np.empty((0, 3), int)
    counts = [len(beam) for beam in beams[first:last]]
    before = np.concatenate(beams[first:last])
    source = np.repeat(np.arange(first, last), counts)
    node = np.concatenate(nodes[first:last])
    yaw = heading + before[:, 2] * TURN_STEP
    seen = _seen(knots.pose[j], knots.pose[first:last])
    guesses, links = [], []
    for which in steps:
        guess = before.copy()
        guess[:, 0] += _AHEAD[which] * np.cos(yaw)
        guess[:, 1] += _AHEAD[which] * np.sin(yaw)
        guess[:, 2] += _TURNS[which]
        alike = ((seen[:, 0] - _AHEAD[which]) ** 2 + seen[:, 1] ** 2) / FORWARD_STEP**2
        alike += (seen[:, 2] / TURN_STEP - _TURNS[which]) ** 2
        guess[:, 3] += alike[source - first]
        guesses.append(guess)
        links.append(np.column_stack([node, source, np.full(len(guess), which)]))
    return np.concatenate(guesses), np.concatenate(links)


def _best(guesses: np.ndarray) -> np.ndarray:
    """Give the indices of the cheapest guesses, one for each cell."""
    good = np.flatnonzero(guesses[:, 3] <= guesses[:, 3].min() + _HOPELESS)
    order = good[np.argsort(guesses[good, 3], kind='stable')]
    cells = np.rint(guesses[order, :3] / [_CELL, _CELL, 1.0]).astype(np.int64)
    key = (cells[:, 0] << 40) ^ (cells[:, 1] << 16) ^ cells[:, 2]
    _, first = np.unique(key, return_index=True)
    return order[np.sort(first)[:_BEAM]]


def _off(guesses: np.ndarray, pose: np.ndarray, heading: float) -> np.ndarray:
    """Give (n, 2): squares of how many steps guesses lie off a pose, in place and in yaw."""
    place = ((guesses[:, :2] - pose[:2]) ** 2).sum(1) / FORWARD_STEP**2
    turn = (guesses[:, 2] - (pose[2] - heading) / TURN_STEP) ** 2
    return np.stack([place, turn], 1)


def _seen(pose: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Give a pose in the frames of others (n, 3): forward, left, turn."""
    change = pose - origins
    cosine, sine = np.cos(origins[:, 2]), np.sin(origins[:, 2])
    return np.stack(
        [
            cosine * change[:, 0] + sine * change[:, 1],
            cosine * change[:, 1] - sine * change[:, 0],
            change[:, 2],
        ],
        1,
    )


def _steps(
    knots: Knots, begin: np.ndarray, chain: list[tuple[int, int]], turned: int, heading: float
) -> tuple[list[Step], np.ndarray]:
    steps = []
    x, y = float(begin[0]), float(begin[1])
    for i, which in chain:
        yaw = heading + turned * TURN_STEP
        times = int(knots.start[i]), int(knots.leave[i])
        steps.append(Step(_STEPS[which], *times, triple(knots.pose[i]), (x, y, yaw)))
        x, y = x + _AHEAD[which] * math.cos(yaw), y + _AHEAD[which] * math.sin(yaw)
        turned += int(_TURNS[which])
    return steps, np.array([x, y, heading + turned * TURN_STEP])


def _apart(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float]:
    return math.dist(one[:2], other[:2]), abs(math.remainder(one[2] - other[2], math.tau))
