"""What a bag tells about its run besides the images: instructions, actions, motions, the path."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
import math
from typing import Any

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.bag import Bag, BagError
from janusvln_ros.recordings.headings import heading
from janusvln_ros.recordings.messages import DamagedMessageError, shortened
from janusvln_ros.recordings.mounts import first_message
from tqdm import tqdm

REST_SPEED = 0.02  # m/s: slower than this is standing
REST_TURN = math.radians(2.0)  # rad/s
REST_TIME = 0.2  # s that a base stands before its motion counts as ended
MAX_SPEED = 5.0  # m/s: what is faster is a jump of the odometry
MAX_NOISE = 0.1  # m
MAX_GAP = 1.0  # s: after a longer silence nobody knows whether odometry started anew
MAX_DECISION_TIME = 3600.0  # s: what is longer is damage
_MOVING = (1, 2)  # MotionStatus.STATE_MOVING, STATE_SETTLING


class TopicError(BagError):
    """A bag lacks a topic, or has several and the right one was not named."""


@dataclass(frozen=True)
class RecordedAction:
    """
    A NavigationAction that was decided from a frame; ns, `logged` is when it was recorded.

    The STOP that the navigator sends to end an episode is not one: it was decided from no frame.
    """

    logged: int
    stamp: int
    instruction_id: str
    step: int
    action: int
    probabilities: tuple[float, ...]
    decision_time: float  # s


@dataclass(frozen=True)
class Motion:
    """A motion of the base, from its start until it stood again; ns of the message stamps."""

    start: int
    end: int


class RecordedPath:
    """
    The path: stamps in ns, x and y in metres, yaw in radians, in the order of recording.

    `episodes` are the numbers of poses recorded when an episode began.
    """

    def __init__(self) -> None:
        self.episodes: set[int] = set()
        self.stamp = array('q')
        self.x = array('d')
        self.y = array('d')
        self.yaw = array('d')

    def append(self, stamp: int, x: float, y: float, yaw: float) -> None:
        """Add a pose, unless it is not finite."""
        if math.isfinite(x) and math.isfinite(y) and math.isfinite(yaw):
            self.stamp.append(stamp)
            self.x.append(x)
            self.y.append(y)
            self.yaw.append(yaw)

    def begin_episode(self) -> None:
        """Note that what is appended from now on belongs to another episode."""
        self.episodes.add(len(self))

    def __len__(self) -> int:
        return len(self.stamp)

    def pose_at(self, stamp: int, oldest: int | None = None) -> tuple[float, float, float] | None:
        """
        Give the last pose stamped no later than `stamp`; None before the first one.

        oldest: ns that it may be older.
        """
        i = bisect_right(self.stamp, stamp) - 1
        if i < 0 or (oldest is not None and stamp - self.stamp[i] > oldest):
            return None
        return self.x[i], self.y[i], self.yaw[i]

    def stretches(self) -> list[range]:
        """Divide the path at episodes and where odometry jumps or was silent: it began anew."""
        cuts = [i for i in range(len(self)) if i in self.episodes or self._begins_anew(i)]
        return [range(*ends) for ends in zip(cuts, [*cuts[1:], len(self)])]

    def walks(self) -> list[int]:
        """List the stamps from which on odometry has another origin, the first one among them."""
        return [self.stamp[i] for i in range(len(self)) if self._begins_anew(i)]

    def _begins_anew(self, i: int) -> bool:
        if i == 0:
            return True
        seconds = (self.stamp[i] - self.stamp[i - 1]) / 1e9
        driven = self._distance(i) <= MAX_SPEED * seconds + MAX_NOISE
        return not 0 <= seconds <= MAX_GAP or not driven

    def length(self) -> float:
        """Metres driven within the stretches."""
        return sum(self._distance(i) for part in self.stretches() for i in part[1:])

    def _distance(self, i: int) -> float:
        """Metres from the pose before."""
        return math.hypot(self.x[i] - self.x[i - 1], self.y[i] - self.y[i - 1])

    def motions(self) -> list[Motion]:
        """
        Find the motions: stretches in which the base moved, ended by REST_TIME of standing.

        The end is when the base came to stand. A motion that the recording cuts off has no end and
        is left out.
        """
        motions: list[Motion] = []
        start: int | None = None
        rest: int | None = None  # since when the base has been standing
        for i in range(1, len(self)):
            seconds = (self.stamp[i] - self.stamp[i - 1]) / 1e9
            if seconds <= 0:
                continue
            turn = abs(math.remainder(self.yaw[i] - self.yaw[i - 1], 2 * math.pi))
            if self._distance(i) / seconds > REST_SPEED or turn / seconds > REST_TURN:
                start = self.stamp[i - 1] if start is None else start
                rest = None
            elif start is not None:
                rest = self.stamp[i - 1] if rest is None else rest
                if self.stamp[i] - rest >= REST_TIME * 1e9:
                    motions.append(Motion(start, rest))
                    start, rest = None, None
        return motions


@dataclass
class Timeline:
    """
    The small topics of a bag, read once.

    `instructions` are (time of recording in ns, sentence). From the navigator's status come
    `sentences`, the instructions of episodes by their ids, and `memory`, pairs of steps taken and
    frames remembered. `motions` come from the motion status, `settings`, what the policy ran with,
    from the navigator, one for each time that it loaded others. `problems` tell what could not be
    read.
    """

    instructions: list[tuple[int, str]] = field(default_factory=list)
    sentences: dict[str, str] = field(default_factory=dict)
    memory: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    actions: list[RecordedAction] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=list)
    path: RecordedPath = field(default_factory=RecordedPath)
    settings: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Topics:
    """Which topics of a bag a replay uses; None for what it does not have."""

    image: str
    instruction: str | None
    action: str | None
    navigator_status: str | None
    motion_status: str | None
    odometry: str | None
    settings: str | None = None


def choose_topics(
    bag: Bag,
    *,
    namespace: str = '/',
    image: str | None = None,
    instruction: str | None = None,
    odometry: str | None = None,
    need_instruction: bool = True,
) -> Topics:
    """
    Find the topics by their types, below `namespace`; named ones are taken as named.

    Raises TopicError, with what the bag has, when there is no camera, when a named topic is not in
    the bag or of another type, and when there are several and none is named.
    """
    inside = namespace.rstrip('/') + '/'

    def find(
        what: str, types: tuple[str, ...], option: str, named: str | None, default: str
    ) -> list[str]:
        if named is not None:
            name = named if named.startswith('/') else inside + named
            if name not in bag.topics:
                raise TopicError(f'the bag has no topic {name}; it has: {bag.listing()}')
            if bag.topics[name].msgtype not in types:
                raise TopicError(
                    f'topic {name} is of type {bag.topics[name].msgtype}, {what} must be '
                    f'{" or ".join(types)}; the bag has: {bag.listing()}'
                )
            return [name]
        found = [
            t.name
            for t in bag.topics.values()
            if t.msgtype in types and t.name.startswith(inside) and _is_original(t.name)
        ]
        if len(found) > 1:
            found = [name for name in found if not _depth(bag, name)]
        usual = [name for name in found if name == inside + default]
        if len(found) > 1 and len(usual) != 1:
            raise TopicError(
                f'the bag has several topics that could be {what}: {", ".join(sorted(found))}; '
                f'choose one by {option}'
            )
        return usual if len(found) > 1 else found

    def one(*arguments: Any) -> str | None:
        return next(iter(find(*arguments)), None)

    camera = one('the camera', (topics.IMAGE, topics.COMPRESSED_IMAGE), '--image-topic', image,
                 'image')  # fmt: skip
    if camera is None:
        raise TopicError(
            f'the bag has no images ({topics.IMAGE} or {topics.COMPRESSED_IMAGE}) below '
            f'{inside}; it has: {bag.listing()}'
        )
    if _depth(bag, camera):
        raise TopicError(
            f'topic {camera} holds depth, not pictures to look at; the bag has: {bag.listing()}'
        )
    sentence = None
    if need_instruction or instruction is not None:
        sentence = one('the instruction', (topics.INSTRUCTION,), '--instruction-topic',
                       instruction, 'instruction')  # fmt: skip
    action = one('the actions', (topics.NAVIGATION_ACTION,), '--namespace', None,
                 'navigation_action')  # fmt: skip
    status = one('the navigator', (topics.NAVIGATOR_STATUS,), '--namespace', None,
                 'navigator_status')  # fmt: skip
    settings = f'{status.rpartition("/")[0]}/policy_settings' if status else ''
    return Topics(
        image=camera,
        instruction=sentence,
        action=action,
        navigator_status=status,
        motion_status=one('the motion', (topics.MOTION_STATUS,), '--namespace', None,
                          'motion_status'),
        odometry=one('the odometry', (topics.ODOMETRY,), '--odom-topic', odometry, 'odom'),
        settings=settings if settings in bag.topics else None,
    )  # fmt: skip


def _depth(bag: Bag, topic: str) -> bool:
    """Tell whether a topic of images holds depth (REP 118), by its first message."""
    if bag.topics[topic].msgtype not in (topics.IMAGE, topics.COMPRESSED_IMAGE):
        return False
    image = first_message(bag, topic)
    kind = str(getattr(image, 'encoding', '') or getattr(image, 'format', ''))
    return kind.startswith(('16UC1', '32FC1')) or 'compressedDepth' in kind


def _is_original(topic: str) -> bool:
    """Tell a recorded topic from pictures for people, depth, and what a replay has added."""
    parts = topic.split('/')
    depth = parts[-2:-1] == ['depth'] and parts[-1] in ('image', 'relative', 'confidence')
    return not depth and 'debug_image' not in parts and 'replay' not in parts


def read_timeline(bag: Bag, chosen: Topics) -> Timeline:
    """Read the small topics of a bag, streaming past its images."""
    timeline = Timeline()
    names = [
        name
        for name in (
            chosen.instruction, chosen.action, chosen.navigator_status, chosen.motion_status,
            chosen.odometry, chosen.settings,
        )
        if name is not None
    ]  # fmt: skip
    if not names:
        return timeline
    decode = bag.decoder(names)
    damaged: dict[str, list[str]] = {}
    moving_since: int | None = None
    total = sum(bag.counts.get(name, 0) for name in names) or None
    reading = tqdm(bag.messages(names), 'reading', total, leave=False, unit=' messages')
    for message in reading:
        topic, logged, _ = message
        try:
            m = decode(message)
        except DamagedMessageError as error:
            damaged.setdefault(topic.name, []).append(
                f'a message of {topic.name}, recorded at {logged / 1e9:.3f} s, is damaged and '
                f'left out ({error})'
            )
            continue
        try:
            if topic.name == chosen.motion_status:
                moving_since = _add_motion(timeline.motions, m, moving_since)
            else:
                _add(timeline, chosen, topic.name, m, logged)
        except (AttributeError, TypeError, OverflowError) as error:
            raise TopicError(
                f'{topic.name} was recorded with another definition of {topic.msgtype}: {error}'
            ) from None
    for problems in damaged.values():
        timeline.problems += shortened(problems)
    return timeline


def _add(timeline: Timeline, chosen: Topics, name: str, m: Any, logged: int) -> None:
    if name == chosen.instruction:
        sentence = m.data.strip()
        if sentence:
            if not timeline.instructions or sentence != timeline.instructions[-1][1]:
                timeline.path.begin_episode()
            timeline.instructions.append((logged, sentence))
    elif name == chosen.action:
        _add_action(timeline, m, logged)
    elif name == chosen.navigator_status:
        if m.instruction:
            timeline.sentences[m.instruction_id] = m.instruction
            held = timeline.memory.setdefault(m.instruction_id, set())
            held.add((m.step, m.memory_frames))
    elif name == chosen.settings:
        settings = {pair.key: pair.value for pair in m.values}
        if settings not in timeline.settings:
            timeline.settings.append(settings)
    else:
        place = m.pose.pose.position
        timeline.path.append(stamp_of(m), place.x, place.y, heading(m.pose.pose.orientation))


def _add_action(timeline: Timeline, m: Any, logged: int) -> None:
    if m.decision_time == 0:
        return
    if not 0 < m.decision_time < MAX_DECISION_TIME:
        timeline.problems.append(
            f'action at {logged / 1e9:.3f} s is left out: its decision took {m.decision_time} s'
        )
        return
    if m.action >= len(ACTION_NAMES):
        timeline.problems.append(f'action {m.action} at {logged / 1e9:.3f} s is left out: unknown')
        return
    probabilities = tuple(float(p) for p in m.probabilities)
    timeline.actions.append(
        RecordedAction(
            logged, stamp_of(m), m.instruction_id, m.step, m.action, probabilities, m.decision_time
        )
    )


def _add_motion(motions: list[Motion], status: Any, since: int | None) -> int | None:
    """Take in one MotionStatus; return since when the base has been moving, None if it stands."""
    end = status.motion_end.sec * 10**9 + status.motion_end.nanosec
    if end and (not motions or end != motions[-1].end):
        # A motion so short that no status showed it moving began and ended at once.
        motions.append(Motion(min(end if since is None else since, end), end))
        since = None
    if status.state in _MOVING:
        return stamp_of(status) if since is None else since
    return None


def stamp_of(message: Any) -> int:
    """Give the stamp of a message's header in ns."""
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
