"""What is known of a robot, written down as it comes by one thread and read by another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
import math
import threading
import time
from typing import Any

from janusvln_ros.console.pictures import Frame, thumbnail
from janusvln_ros.console.timeline import Decision, Timeline

AT_WORK = ('WAITING_FRAME', 'DECIDING', 'WAITING_MOTION')  # the navigator's states in an episode
_OLD = 1.5  # s after which what was heard does not count any more
_FRAMES = 40  # that are kept until a decision may name one of them
_APART = 0.05  # m between two points of the path
_PATH = 4000  # points
_MOVED, _TURNED = 0.03, 0.05  # m, rad: a picture that stays the same meanwhile is frozen
_NEVER = -math.inf


class Facts:
    """
    The newest of everything. clock: s, that of the stamps.

    All of it is guarded by `lock`.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name, self.clock = name, clock
        self.lock = threading.RLock()
        self.timeline = Timeline()
        self.frame: Frame | None = None
        self._heard: dict[str, tuple[float, dict[str, Any]]] = {}  # kind -> when, what
        self._lights: dict[str, tuple[float, int, str]] = {}
        self._frames: deque[Frame] = deque(maxlen=_FRAMES)
        self._arrivals: deque[float] = deque(maxlen=20)
        self._path: list[tuple[float, float]] = []
        self._windows = (0, 0)  # frames that the memory's two parts hold
        self._content = 0  # of the newest picture, as a checksum, and where the robot was when
        self._content_at: tuple[float, float, float] | None = (
            None  # it was seen for the first time
        )
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='thumbnails')

    # ---- what comes ----

    def hear(self, kind: str, **values: Any) -> None:
        """Note the newest message of a kind."""
        with self.lock:
            self._heard[kind] = (time.monotonic(), values)

    def on_navigator(self, **values: Any) -> None:
        """Note the navigator's state; an episode begins and ends by it."""
        with self.lock:
            self.hear('navigator', **values)
            name = values['instruction_id']
            if not name:
                return
            episode = self.timeline.episode(name, values['instruction'], time.time())
            if values['reason'] != 'NONE':
                self.timeline.end(episode, values['reason'], values['message'], time.time())

    def on_decision(self, stamp: float, name: str, **values: Any) -> None:
        """Note a decision, and have the picture that it was taken from kept."""
        with self.lock:
            episode = self.timeline.episode(name, '', time.time())
            decision = self.timeline.add(episode, latency=self.clock() - stamp, **values)
            frame = next((one for one in self._frames if one.stamp == stamp), None)
        if frame is not None:
            self._pool.submit(self._keep, decision, frame)

    def _keep(self, decision: Decision, frame: Frame) -> None:
        try:
            jpeg = thumbnail(frame.rgb())
        except ValueError:  # no picture
            return
        with self.lock:
            self.timeline.picture(decision, jpeg)

    def on_picture(self, stamp: float, content: int, rgb: Callable[[], Any]) -> None:
        """Note a picture; content: a checksum of it."""
        now = time.monotonic()
        with self.lock:
            number = self.frame.number + 1 if self.frame else 0
            self.frame = Frame(number, stamp, now, rgb)
            self._frames.append(self.frame)
            self._arrivals.append(now)
            if content != self._content or self._content_at is None:
                self._content, self._content_at = content, self._pose()

    def on_pose(self, kind: str, x: float, y: float, yaw: float, **speeds: float) -> None:
        """Note where the robot is, by odometry ('odometry') or on the map ('truth')."""
        if not all(map(math.isfinite, (x, y, yaw, *speeds.values()))):
            return
        with self.lock:
            if kind == 'truth' and 'truth' not in self._heard:
                self._path.clear()  # it was in another frame
            if kind == 'truth' or 'truth' not in self._heard:
                if not self._path or math.dist(self._path[-1], (x, y)) > _APART:
                    self._path.append((round(x, 3), round(y, 3)))
                    del self._path[:-_PATH]
            self.hear(kind, x=x, y=y, yaw=yaw, **speeds)

    def on_light(self, name: str, level: int, text: str) -> None:
        """Note a line of the diagnostics; level: 0 well, 1 warning, 2 error, 3 silent."""
        with self.lock:
            if name in self._lights or len(self._lights) < 40:
                self._lights[name] = (time.monotonic(), level, text[:400])

    def on_settings(self, settings: Mapping[str, str]) -> None:
        """Note how the policy's memory is parted."""
        names = ('initial_frames', 'recent_frames')
        parts = [settings.get(name, '') for name in names]
        if all(part.isdecimal() for part in parts):
            with self.lock:
                self._windows = (int(parts[0]), int(parts[1]))

    # ---- what is told ----

    def _fresh(self, kind: str) -> dict[str, Any] | None:
        heard = self._heard.get(kind)
        return heard[1] if heard and time.monotonic() - heard[0] < _OLD else None

    def _pose(self) -> tuple[float, float, float] | None:
        heard = self._fresh('odometry')
        return (heard['x'], heard['y'], heard['yaw']) if heard else None

    @property
    def frozen(self) -> bool:
        """Tell whether the picture stays the same though the robot moves."""
        with self.lock:
            pose, then = self._pose(), self._content_at
        if pose is None or then is None:
            return False
        turned = abs(math.remainder(pose[2] - then[2], math.tau))
        return math.dist(pose[:2], then[:2]) > _MOVED or turned > _TURNED

    def locked(self) -> str:
        """Return why nobody can drive by hand now, or ''."""
        with self.lock:
            motion, navigator = self._fresh('motion'), self._fresh('navigator')
        if motion is None:
            return 'the motion executor is silent'
        if motion['state'] in ('ESTOPPED', 'FAULT'):
            return motion['message'] or motion['state']
        if navigator is not None and navigator['state'] in AT_WORK:
            return 'the episode is not paused yet'
        return 'the picture does not change though the robot moves' if self.frozen else ''

    @property
    def motion(self) -> str:
        """Return the executor's state, '' while it is silent."""
        with self.lock:
            heard = self._fresh('motion')
        return heard['state'] if heard else ''

    @property
    def at_work(self) -> bool:
        """Tell whether an episode is under way and not paused."""
        with self.lock:
            heard = self._fresh('navigator')
        return bool(heard and heard['state'] in AT_WORK)

    def path(self) -> list[tuple[float, float]]:
        """Return where the robot has been, m, in the frame of its pose."""
        with self.lock:
            return list(self._path)

    def state(self) -> dict[str, Any]:
        """Return all that is known, as JSON takes it."""
        now = time.monotonic()
        with self.lock:
            told: dict[str, Any] = {
                kind: {**what, 'age': round(now - when, 1)}
                for kind, (when, what) in self._heard.items()
            }
            told['pose'] = told.get('truth') or told.get('odometry')
            told['lights'] = [
                {'name': name, 'level': level, 'text': text, 'age': round(now - when)}
                for name, (when, level, text) in sorted(self._lights.items())
            ]
            told['camera'] = self._camera(now)
            frames = told.get('navigator', {}).get('frames', 0)
        initial, recent = self._windows
        told['memory'] = {
            'initial': min(frames, initial),
            'recent': max(0, frames - initial) if recent else frames,
            'initial_size': initial,
            'recent_size': recent,
        }
        return told

    def _camera(self, now: float) -> dict[str, Any]:
        while self._arrivals and now - self._arrivals[0] > 3.0:
            self._arrivals.popleft()
        frame, times = self.frame, self._arrivals
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
        age = self.clock() - frame.stamp if frame else None
        return {
            'age': None if age is None else round(age, 2),
            'rate': round(rate, 1),
            'frozen': self.frozen,
        }

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)
