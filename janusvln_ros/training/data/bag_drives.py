"""What is small in a robot's bag: what was said, and where the robot was; drives, cut to steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import math
import re
from typing import Any

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.recordings.bag import Bag, BagError
from janusvln_ros.recordings.messages import DamagedMessageError, RawMessage
from janusvln_ros.recordings.timeline import choose_topics
from janusvln_ros.recordings.tracks import choose_motion, clocks, PoseReader
from janusvln_ros.training.data.segmenter import segment, Segmentation, Step
from janusvln_ros.training.data.spans import Span
from janusvln_ros.training.data.track import Track
from tqdm import tqdm

ROLLS = 10.0  # s between two bags of one drive, at most
NEAR = 0.6  # steps: a picture that was taken farther from where a step begins is none of it
MOVED = 0.5  # m: driving that is worth a word when no instruction covers it
_GLANCE = 20_000_000  # ns between two looks for how near the robot is
_EDGE = 300_000_000  # ns before the first and after the last pose that it stays there
_WINDOW = 2.0  # s before and after a step's beginning in which a picture is sought
_SHOWN = 2000  # poses of a track that are kept to be looked at


@dataclass(frozen=True)
class Choice:
    """What of a bag is used; None: found by its type. `instruction` or `spans` replace a topic."""

    namespace: str = '/'
    image: str | None = None
    instruction_topic: str | None = None
    odometry: str | None = None
    frames: tuple[str, str] | None = None
    instruction: str | None = None
    spans: tuple[Span, ...] = ()


@dataclass
class Drive:
    """What was driven after one instruction; `camera`, `motion` say what tells of it."""

    name: str
    instruction: str
    begin: int  # ns of recording
    camera: str
    motion: str
    bags: list[str]
    track: Track = field(default_factory=Track)
    end: int | None = None  # ns of recording; None: the next instruction
    found: Segmentation | None = None
    windows: tuple[tuple[int, int], ...] = ()  # ns: when pictures show what a step begins with
    shown: tuple[tuple[float, float, float], ...] = ()

    def finish(self) -> None:
        """Cut into steps; of the track only what is looked at is kept."""
        if len(self.track):
            self.found = segment(self.track)
            self.windows = tuple(_window(self.track, step) for step in self.found.steps)
            self.shown = thinned(self.track)
        self.track = Track()


def thinned(track: Track) -> tuple[tuple[float, float, float], ...]:
    """Give so many poses of a track as are kept to be looked at."""
    thin = track.poses[:: -(-len(track) // _SHOWN)]
    return tuple((x, y, yaw) for x, y, yaw in thin.tolist())


def _window(track: Track, step: Step) -> tuple[int, int]:
    """Give from when to when (ns) the robot is near to where a step begins."""
    first, last = track.start[0] - _EDGE, track.end[-1] + _EDGE
    ends = []
    for time, way in ((step.start, -_GLANCE), (step.leave, _GLANCE)):
        for _ in range(round(_WINDOW * 1e9 / _GLANCE)):
            x, y, yaw = track.at(time + way)
            off = math.dist((x, y), step.pose[:2]) / FORWARD_STEP
            off += abs(math.remainder(yaw - step.pose[2], math.tau)) / TURN_STEP
            if off > NEAR or not first <= time + way <= last:
                break
            time += way
        ends.append(time)
    return ends[0], ends[1]


class _Loose:
    """Driving that no instruction covers."""

    def __init__(self) -> None:
        self.moved = 0.0
        self.begin = self.end = 0  # ns of recording
        self._last: tuple[float, float] | None = None

    def add(self, logged: int, x: float, y: float) -> None:
        """Take in where the robot was."""
        if self._last is None:
            self._last = x, y
        moved = math.dist(self._last, (x, y))
        if moved > 0.05:
            self.begin = self.begin or logged
            self.moved, self.end, self._last = self.moved + moved, logged, (x, y)


class BagOfDrives:
    """One bag; `notes` tell what was found, `problems()` what could not be read."""

    def __init__(self, bag: Bag, choice: Choice) -> None:
        """Look at what the bag has; BagError where pictures, poses or an instruction lack."""
        self.bag, self._choice = bag, choice
        self.notes: list[str] = []
        self._reader_problems: list[str] = []
        told = bool(choice.instruction or choice.spans)
        try:
            chosen = choose_topics(
                bag,
                namespace=choice.namespace,
                image=choice.image,
                instruction=None if told else choice.instruction_topic,
                odometry=choice.odometry,
                need_instruction=not told,
            )
            motion = choose_motion(
                bag, namespace=choice.namespace, odometry=chosen.odometry, frames=choice.frames
            )
        except ValueError as error:
            damage = ''.join(f'; {problem}' for problem in bag.problems)
            raise BagError(f'{bag.path}: {error}{damage}') from None
        self.camera, self.motion, self._instruction = chosen.image, motion, chosen.instruction
        self.picture_clock, self._pose_clock, said = clocks(bag, self.camera, motion)
        self.notes += [f'{bag.path}: {said}'] if said else []
        if ': ' in motion.said:
            self.notes.append(f'{bag.path}: {motion.said}')
        self.first, self.last = 0, 0  # ns of recording, of what was read
        self.last_time = 0  # ns, of the poses' clock

    def follows(self, other: BagOfDrives | None) -> bool:
        """Tell whether a drive may go on here that began in another bag."""
        if other is None or self._choice.spans or self._choice.instruction:
            return False
        first = next(self.bag.messages([self.motion.topic]), None)
        return first is not None and 0 <= first[1] - other.last <= ROLLS * 1e9

    def read(self, drives: list[Drive], going: Drive | None) -> Drive | None:
        """
        Read what is small, and append the drives; return the one that the bag's end leaves open.

        going: the drive that goes on at the bag's beginning.
        """
        if going is not None:
            going.bags.append(str(self.bag.path))
        names = [self.motion.topic] + ([self._instruction] if self._instruction else [])
        say = self.bag.decoder([self._instruction]) if self._instruction else None
        poses = PoseReader(self.bag, self.motion)
        loose = _Loose()
        planned: Iterator[tuple[int, int | None, str]] | None = None
        disorder = 0
        total = sum(self.bag.counts.get(name, 0) for name in names) or None
        reading = tqdm(
            self.bag.messages(names), 'reading', total, leave=False, disable=None, unit=' messages'
        )
        for message in reading:
            logged = message[1]
            self.first = self.first or logged
            self.last = max(self.last, logged)
            if planned is None:
                planned = self._planned(self.first)
                coming = next(planned, None)
            if say is not None and message[0].name == self._instruction:
                text = self._sentence(say, message)
                if text and (going is None or text != going.instruction):
                    if going is not None:
                        going.finish()
                    going = self._begin(drives, logged, None, text)
                continue
            if going is not None and going.end is not None and logged >= going.end:
                going.finish()
                going = None
            if coming is not None and logged >= coming[0]:
                going = self._begin(drives, *coming)
                coming = next(planned, None)
            for sample in poses.poses(message):
                time = self._pose_clock.at(sample.stamp, sample.logged)
                self.last_time = max(self.last_time, time)
                if going is None:
                    loose.add(logged, sample.x, sample.y)
                elif not going.track.add(time, sample.x, sample.y, sample.yaw):
                    disorder += sample.stamp != sample.logged
        self._reader_problems = poses.problems
        self._tell(loose, drives, disorder)
        return going

    def _planned(self, first: int) -> Iterator[tuple[int, int | None, str]]:
        """Give the drives that were told beforehand: begin, end, instruction."""
        if self._choice.instruction:
            yield 0, None, self._choice.instruction
        for span in self._choice.spans:
            yield *span.nanoseconds(first), span.instruction

    def _begin(self, drives: list[Drive], begin: int, end: int | None, instruction: str) -> Drive:
        """Begin a drive, named after the bag."""
        stem = re.sub(r'[^\w.-]+', '_', self.bag.path.name.split('.')[0]) or 'bag'
        number = sum(drive.name.rpartition('_')[0] == stem for drive in drives)
        name = f'{stem}_{number:03}'
        drive = Drive(name, instruction, begin, self.camera, self.motion.said,
                      [str(self.bag.path)], end=end)  # fmt: skip
        drives.append(drive)
        return drive

    def _sentence(self, say: Callable[[RawMessage], Any], message: RawMessage) -> str:
        try:
            return str(say(message).data).strip()
        except DamagedMessageError as error:
            self.notes.append(
                f'{self.bag.path}: an instruction, recorded at {self._since(message[1])}, is '
                f'damaged and left out ({error})'
            )
            return ''

    def _since(self, logged: int) -> str:
        return f'{(logged - self.first) / 1e9:.1f} s'

    def _tell(self, loose: _Loose, drives: list[Drive], disorder: int) -> None:
        """Note what was driven without an instruction, and poses that were left out."""
        own = [drive for drive in drives if drive.bags[-1] == str(self.bag.path)]
        if loose.moved > MOVED:
            begin, end = self._since(loose.begin), self._since(loose.end)
            late = own and self._instruction and own[0].begin >= loose.end
            if late:
                seconds = f'{begin[:-2]} {float(end[:-2]) + 1:.1f}'
                self.notes.append(
                    f'{self.bag.path}: the instruction {own[0].instruction!r} comes at '
                    f'{self._since(own[0].begin)}, after {loose.moved:.1f} m were driven from '
                    f'{begin} to {end}; if it belongs to them, give --spans with the line: '
                    f'{seconds} {own[0].instruction}'
                )
            else:
                self.notes.append(
                    f'{self.bag.path}: {loose.moved:.1f} m are left out that were driven without '
                    f'an instruction, from {begin} to {end}'
                )
        if disorder:
            self.notes.append(
                f'{self.bag.path}: {disorder} poses of {self.motion.topic} are left out: they are '
                'not later than the ones before, or not finite'
            )
        if not own:
            why = ''
            if not self.first:
                why = f': {self.motion.topic} has no messages'
            elif self._instruction is None and not self._choice.spans:
                why = (
                    ': it has no instruction (std_msgs/msg/String); give --instruction or '
                    f'--spans; it has: {self.bag.listing()}'
                )
            self.notes.append(f'{self.bag.path}: no drive begins in it{why}')

    def problems(self) -> list[str]:
        """Tell what could not be read."""
        found = [*self.bag.problems, *self._reader_problems]
        found += [clock.problem for clock in (self._pose_clock, self.picture_clock)]
        return [one if str(self.bag.path) in one else f'{self.bag.path}: {one}'
                for one in found if one]  # fmt: skip
