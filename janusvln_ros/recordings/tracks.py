"""Where a robot was, by what its bag has: odometry, tf, or the velocities that it was told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
import math
from statistics import median
from typing import Any

from janusvln_ros.recordings import topics
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.recordings.headings import Heading, heading_of, of_body, of_camera
from janusvln_ros.recordings.messages import DamagedMessageError, RawMessage, shortened
from janusvln_ros.recordings.timeline import stamp_of, TopicError

HOLD = 0.5  # s that a velocity holds after it was commanded
DISORDER = 0.5  # s that a stamp may be earlier than the one before it
LOOK = 200  # messages at a bag's beginning by which clocks and frames are told
AGREE = 1.0  # s by which the clocks of two topics may differ to be one clock
_PARENTS, _CHILDREN = ('odom', 'map', 'world'), ('base_footprint', 'base_link')
_HEIGHTS = 0.5, 0.25  # m, share of the extent: a floor that differs more in height is none


@dataclass(frozen=True)
class Motion:
    """The topic that tells where the robot was; frames (of tf): parent and child; its heading."""

    topic: str
    msgtype: str
    frames: tuple[str, str] = ('', '')
    heading: Heading = of_body

    @property
    def said(self) -> str:
        """Say what the path comes from."""
        optical = ': the optical frame of a camera, which looks along its z axis'
        looks = optical if self.heading is of_camera else ''
        if self.msgtype == topics.TF:
            return f'{self.topic} ({self.frames[0]} to {self.frames[1]}){looks}'
        if self.msgtype == topics.ODOMETRY:
            return f'{self.topic}{looks}'
        return (
            f'{self.topic}: there is no odometry, so velocities that were commanded are summed '
            'up; where the robot really went is not known'
        )


@dataclass(frozen=True)
class PoseSample:
    """A pose: ns of recording and of the message (equal where it has no stamp), m, rad."""

    logged: int
    stamp: int
    x: float
    y: float
    yaw: float


class StampClock:
    """
    Time of a topic's messages on a line that never jumps back by more than DISORDER.

    It is their stamps, until they do; from there on the time of recording, less what stamps were
    earlier until then. `problem` says so, '' before.
    """

    def __init__(self, topic: str, use_stamps: bool, lag: int) -> None:
        """lag: ns from a stamp to its recording."""
        self._topic, self._stamps, self._lag = topic, use_stamps, lag if use_stamps else 0
        self._last: int | None = None
        self.problem = ''

    def at(self, stamp: int, logged: int) -> int:
        """Give the time of a message in ns."""
        if self._stamps and self._last is not None and stamp < self._last - DISORDER * 1e9:
            self._stamps = False
            self.problem = (
                f'stamps of {self._topic} go back by {(self._last - stamp) / 1e9:.3f} s at '
                f'{logged / 1e9:.3f} s; from there on the time of recording counts'
            )
        time = stamp if self._stamps else logged - self._lag
        self._last = time if self._last is None else max(self._last, time)
        return time


def choose_motion(
    bag: Bag, *, namespace: str, odometry: str | None, frames: tuple[str, str] | None
) -> Motion:
    """
    Find what tells where the robot was: `odometry` if there is one, else tf, else velocities.

    frames: tf's parent and child, which are used before odometry. Raises TopicError, with what
    the bag has, where nothing tells it, or several do.
    """
    if odometry is not None and frames is None:
        return _upright(bag, Motion(odometry, topics.ODOMETRY))
    inside = namespace.rstrip('/') + '/'
    trees = [t.name for t in bag.topics.values() if t.msgtype == topics.TF]
    own = [name for name in trees if name == inside + 'tf'] or [n for n in trees if n == '/tf']
    if own:
        pair = _frames(bag, own[0], frames)
        if pair is not None:
            return _upright(bag, Motion(own[0], topics.TF, pair))
    if frames is not None:
        raise TopicError(f'the bag has no topic {inside}tf; it has: {bag.listing()}')
    told = [
        t
        for t in bag.topics.values()
        if t.msgtype in (topics.TWIST, topics.TWIST_STAMPED) and t.name.startswith(inside)
    ]
    usual = [t for t in told if t.name == inside + 'cmd_vel'] or told
    if len(usual) == 1:
        return Motion(usual[0].name, usual[0].msgtype)
    if usual:
        raise TopicError(
            'the bag has no odometry, and several topics of velocities: '
            f'{", ".join(sorted(t.name for t in usual))}; choose by --namespace'
        )
    others = f' (but {_listed(_pairs(bag, own[0]))}: choose by --frames)' if own else ''
    raise TopicError(
        f'the bag does not tell where the robot was: it has no {topics.ODOMETRY}, no tf from '
        f'{" or ".join(_PARENTS)} to {" or ".join(_CHILDREN)}{others}, and no {topics.TWIST} '
        f'below {inside}; it has: {bag.listing()}'
    )


def _upright(bag: Bag, motion: Motion) -> Motion:
    """Find which way the frame looks, by the first messages; TopicError where it lies."""
    decode = bag.decoder([motion.topic])
    turns = []
    for message in islice(bag.messages([motion.topic]), LOOK):
        try:
            turns += [turn for *_, turn in _placed(motion, decode(message))]
        except DamagedMessageError:
            continue
    try:
        return replace(motion, heading=heading_of(turns))
    except ValueError as error:
        raise TopicError(f'{motion.said} is no pose of a robot: {error}') from None


def _placed(motion: Motion, content: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Give the poses of a message of odometry or tf: what is stamped, place, orientation."""
    if motion.msgtype == topics.ODOMETRY:
        yield content, content.pose.pose.position, content.pose.pose.orientation
        return
    for part in content.transforms:
        if (part.header.frame_id.lstrip('/'), part.child_frame_id.lstrip('/')) == motion.frames:
            yield part, part.transform.translation, part.transform.rotation


def _pairs(bag: Bag, topic: str) -> set[tuple[str, str]]:
    """Give the transforms, parent and child, among the first messages."""
    decode = bag.decoder([topic])
    return {
        (t.header.frame_id.lstrip('/'), t.child_frame_id.lstrip('/'))
        for message in islice(bag.messages([topic]), LOOK)
        for t in decode(message).transforms
    }


def _listed(pairs: set[tuple[str, str]]) -> str:
    return ', '.join(f'{parent} to {child}' for parent, child in sorted(pairs))


def _frames(bag: Bag, topic: str, wanted: tuple[str, str] | None) -> tuple[str, str] | None:
    """Find the transform from odometry's frame to the base, among the first messages."""
    seen = _pairs(bag, topic)
    if wanted is not None:
        if wanted not in seen:
            raise TopicError(f'{topic} has no {wanted[0]} to {wanted[1]}; it has: {_listed(seen)}')
        return wanted
    for parent in _PARENTS:
        for child in _CHILDREN:
            pairs = [p for p in sorted(seen) if p[0].endswith(parent) and p[1].endswith(child)]
            if len(pairs) == 1:
                return pairs[0]
    return None


class PoseReader:
    """Turn the messages of a Motion into poses; `problems` tell what could not be read."""

    def __init__(self, bag: Bag, motion: Motion) -> None:
        self._decode = bag.decoder([motion.topic])
        self._motion = motion
        self._damaged: list[str] = []
        self._pose = (0.0, 0.0, 0.0)  # summed up of velocities
        self._velocity: tuple[int, float, float, float] | None = None
        self._least, self._most = [math.inf] * 3, [-math.inf] * 3  # x, y, z

    @property
    def problems(self) -> list[str]:
        """Tell what was left out, and heights that no floor has."""
        return shortened(self._damaged) + self._steep()

    def _extend(self, place: tuple[float, float, float]) -> None:
        if all(map(math.isfinite, place)):
            self._least = list(map(min, self._least, place))
            self._most = list(map(max, self._most, place))

    def _steep(self) -> list[str]:
        across, along, up = (m - n for m, n in zip(self._most, self._least))
        if up < max(_HEIGHTS[0], _HEIGHTS[1] * max(across, along)):
            return []
        return [
            f'the heights of {self._motion.topic} differ by {up:.1f} m over '
            f'{max(across, along):.1f} m: x, y and yaw alone count, and are wrong unless z is up '
            '(REP 103)'
        ]

    def poses(self, message: RawMessage) -> Iterator[PoseSample]:
        """Read the poses that a message tells: of tf none or several, of velocities two."""
        logged = message[1]
        try:
            content = self._decode(message)
        except DamagedMessageError as error:
            self._damaged.append(
                f'a message of {self._motion.topic}, recorded at {logged / 1e9:.3f} s, is damaged '
                f'and left out ({error})'
            )
            return
        if self._motion.msgtype in (topics.ODOMETRY, topics.TF):
            for stamped, place, turn in _placed(self._motion, content):
                self._extend((place.x, place.y, place.z))
                yaw = self._motion.heading(turn)
                yield PoseSample(logged, stamp_of(stamped), place.x, place.y, yaw)
        else:
            stamped = self._motion.msgtype == topics.TWIST_STAMPED
            twist = content.twist if stamped else content
            yield from self._summed(logged, twist)

    def _summed(self, now: int, twist: Any) -> Iterator[PoseSample]:
        """Go on by the velocity before, as long as it holds."""
        if self._velocity is not None:
            since, ahead, left, turn = self._velocity
            held = min(max(now - since, 0) / 1e9, HOLD)
            x, y, yaw = self._pose
            middle = yaw + turn * held / 2
            self._pose = (
                x + held * (ahead * math.cos(middle) - left * math.sin(middle)),
                y + held * (ahead * math.sin(middle) + left * math.cos(middle)),
                yaw + turn * held,
            )
            if now > since:
                end = since + round(held * 1e9)
                yield PoseSample(end, end, *self._pose)
        self._velocity = now, twist.linear.x, twist.linear.y, twist.angular.z
        yield PoseSample(now, now, *self._pose)


def clocks(bag: Bag, camera: str, motion: Motion) -> tuple[StampClock, StampClock, str]:
    """
    Make the clocks of pictures and of poses, by the first messages of both.

    Stamps are used where they are those of one clock; else the time of recording is, which is
    said by the third value.
    """
    reader = PoseReader(bag, motion)
    samples = (s for m in bag.messages([motion.topic]) for s in reader.poses(m))
    lags = [sample.logged - sample.stamp for sample in islice(samples, LOOK)]
    decode = bag.decoder([camera])
    seen = []
    for message in islice(bag.messages([camera]), 20):
        try:
            seen.append(message[1] - stamp_of(decode(message)))
        except DamagedMessageError:
            continue
    of_poses, of_pictures = (round(median(one)) if one else 0 for one in (lags, seen))
    good = abs(of_poses - of_pictures) <= AGREE * 1e9
    said = '' if good else (
        f'stamps of {camera} and {motion.topic} are {abs(of_poses - of_pictures) / 1e9:.1f} s '
        'apart, of clocks that do not agree: the times of recording are used'
    )  # fmt: skip
    return StampClock(camera, good, of_pictures), StampClock(motion.topic, good, of_poses), said
