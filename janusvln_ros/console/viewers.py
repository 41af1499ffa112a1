"""The socket of one page that looks at one robot."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
import json
import math
import secrets
import time
from typing import Any

from janusvln_ros.console.access import Allowance, Role
from janusvln_ros.console.handlers import Guard
from janusvln_ros.console.pictures import LEVELS, Pace
from janusvln_ros.console.robot import Robot, VERBS
from tornado.iostream import IOStream
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

_RATE, _BURST = 60.0, 120  # messages a second, and at once
_LONGEST_TEXT = 2000  # characters of an instruction
_STILL = 1.0  # s after which a state that has not changed is sent again
_ANSWER = 10.0  # s that a robot has to answer
_CONFIRM = 10.0  # s that a reset may be confirmed within
_SMALL = len(LEVELS) - 1


class Misuse(Exception):
    """A message that no page of ours sends."""


class Viewer(Guard, WebSocketHandler):
    """
    Sends state, decisions and pictures; takes what the page asks for.

    Whatever is no message of ours closes the socket.
    """

    def prepare(self) -> None:
        """Let in only who has a cookie, comes from our page, and names a robot."""
        self.look_at_caller(always_origin=True)
        self._session = self.entered()
        name = self.get_query_argument('robot', '')
        if name not in self.console.robots:
            raise HTTPError(404, reason='there is no such robot')
        if len(self.console.viewers) >= self.console.parameters.max_connections // 2:
            raise HTTPError(503, reason='too many look already')
        self.name, self.robot = name, self.console.robots[name]

    def check_origin(self, origin: str) -> bool:
        """Repeat what `prepare` has looked at."""
        return self.console.hosts.same(origin, self.request.headers.get('Host', ''))

    def write_error(self, status_code: int, **details: Any) -> None:
        """Answer in words."""
        self.set_header('Content-Type', 'text/plain; charset=utf-8')
        self.finish(f'{status_code}: {self._reason}\n')

    # ---- the connection ----

    def open(self, *arguments: str, **named: str) -> None:  # noqa: A003
        """Begin to tell."""
        self.pace, self.looks = Pace(), False
        self._allowance = Allowance(_RATE, _BURST)
        self._told_at, self._told = -math.inf, ''
        self._decisions, self._episodes = -1, -1
        self._writing: asyncio.Future | None = None
        self._code, self._code_at = '', -math.inf
        self.set_nodelay(True)
        self.stream: IOStream = self.ws_connection.stream  # type: ignore
        self.console.admit(self)
        self._session.closing.add(self.close)
        self._send({'type': 'hello', 'role': self._session.role.value, 'robot': self.name})
        self._send({'type': 'path', 'points': self.robot.path()})
        self.tell()

    def on_close(self) -> None:
        """Let go of everything."""
        if hasattr(self, 'pace'):
            self._session.closing.discard(self.close)
            self.console.dismiss(self)

    def on_message(self, message: str | bytes) -> None:
        """Do what the page asks for, or close."""
        try:
            if not self._allowance.take():
                raise Misuse('too many messages')
            if isinstance(message, bytes):
                raise Misuse('messages are JSON')
            self._do(_read(message))
        except Misuse as error:
            self.close(1008, str(error))

    # ---- what it tells ----

    @property
    def latency(self) -> float:
        """Return how old (s) the picture is that this viewer has before it; infinite: none."""
        seen = self.pace.seen
        return self.robot.clock() - seen.stamp if seen and self.looks else math.inf

    def tell(self) -> None:
        """Send what is new, unless the link still carries what was sent before."""
        if self._writing is not None and not self._writing.done():
            return
        now, robot = time.monotonic(), self.robot
        recorded = bool(self.console.parameters.recording)
        with robot.lock:
            timeline = robot.timeline
            if timeline.version != self._episodes:
                self._episodes = timeline.version
                self._send({'type': 'episodes', 'episodes': _episodes(robot, recorded)})
            episode = timeline.episodes[-1] if timeline.episodes else None
            fresh = (
                [one for one in episode.decisions if one.number > self._decisions]
                if episode
                else []
            )
            if episode and fresh:
                self._decisions = fresh[-1].number
                told = [one.told() for one in fresh]
                self._send({'type': 'decisions', 'episode': episode.name, 'decisions': told})
        state = {'type': 'state', **self.console.state(self.name), 'drive': self._drive()}
        state['link'] = {'latency': _number(self.pace.latency), 'level': self.pace.level}
        text = json.dumps(state)
        if text != self._told or now - self._told_at > _STILL:
            self._told, self._told_at = text, now
            self._send(state)

    def show(self) -> None:
        """Send the newest picture, if this viewer wants one and has seen the last."""
        frame = self.robot.frame
        if self.looks and frame is not None and self.pace.wants(frame):
            self.pace.sent(frame, time.monotonic())
            made = self.console.encoder.message(frame, self.pace.level)
            made.add_done_callback(lambda done: self.console.later(self._show, done))

    def _show(self, made: Future[bytes]) -> None:
        if made.cancelled() or made.exception() is not None:
            self.pace.skipped()
            return
        self._send(made.result())

    def _send(self, message: dict[str, Any] | bytes) -> None:
        try:
            if isinstance(message, bytes):
                self._writing = asyncio.ensure_future(self.write_message(message, binary=True))
            else:
                self._writing = asyncio.ensure_future(self.write_message(json.dumps(message)))
            self._writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        except WebSocketClosedError:
            pass

    def _drive(self) -> dict[str, Any]:
        holder = self.console.wheels[self.name].holder
        who = 'you' if holder is self else 'another' if holder is not None else ''
        return {'holder': who, 'lock': self.console.lock(self) if holder is self else ''}

    # ---- what it is asked for ----

    def _do(self, asked: dict[str, Any]) -> None:
        kind = asked.get('type')
        if kind == 'seen':
            self._on_seen(_whole(asked, 'number'))
        elif kind == 'look':
            self._look(asked.get('size'))
        elif kind == 'drive':
            held = _share(asked, 'linear'), _share(asked, 'angular')
            self.console.drive(self, *held, _real(asked, 'time'))
        elif kind in ('take', 'give', 'reset', 'do'):
            number = _whole(asked, 'id')
            if self._session.role is not Role.OPERATOR:
                self._answer(number, False, 'a viewer may not do that')
            elif kind == 'reset':
                self._reset(number, asked.get('code'))
            elif kind == 'do':
                self._act(number, asked)
            else:
                self._lease(number, kind)
        else:
            raise Misuse('there is no such message')

    def _on_seen(self, number: int) -> None:
        try:
            self.pace.on_seen(number, time.monotonic(), self.robot.clock())
        except ValueError as error:
            raise Misuse(str(error)) from None
        self.show()

    def _look(self, size: object) -> None:
        if size not in ('none', 'small', 'large'):
            raise Misuse('size is none, small or large')
        self.looks = size != 'none'
        self.pace.limit(_SMALL if size == 'small' else 0)
        self.console.count_looks(self.name)
        self.show()

    def _lease(self, number: int, kind: str) -> None:
        if kind == 'give':
            self.console.let_go(self)
            self._answer(number, True, '')
            return
        reason = self.console.take(self)
        if reason:
            self._answer(number, False, reason)
        else:
            self._wait(number, self.robot.take())

    def _act(self, number: int, asked: dict[str, Any]) -> None:
        verb, text = asked.get('verb'), asked.get('text', '')
        if verb not in VERBS or verb == 'reset_e_stop' or not isinstance(text, str):
            raise Misuse('there is no such verb')
        if len(text) > _LONGEST_TEXT:
            self._answer(number, False, f'it is longer than {_LONGEST_TEXT} characters')
        elif verb in ('send', 'resume') and self.console.wheels[self.name].holder is not None:
            self._answer(number, False, 'a person drives this robot: give it back first')
        else:
            self._wait(number, self.robot.act(verb, text))

    def _reset(self, number: int, code: object) -> None:
        """Reset the e-stop when it is asked for a second time, with the code of the first."""
        now = time.monotonic()
        fits = isinstance(code, str) and self._code and now - self._code_at < _CONFIRM
        if fits and secrets.compare_digest(str(code).encode(), self._code.encode()):
            self._code = ''
            self._wait(number, self.robot.act('reset_e_stop', ''))
            return
        self._code, self._code_at = secrets.token_hex(4), now
        self._send({'type': 'confirm', 'id': number, 'code': self._code})

    def _wait(self, number: int, answer: Future[str]) -> None:
        async def wait() -> None:
            try:
                text = await asyncio.wait_for(asyncio.wrap_future(answer), _ANSWER)
                self._answer(number, True, text)
            except ValueError as error:
                self._answer(number, False, str(error))
            except (asyncio.TimeoutError, TimeoutError):
                self._answer(number, False, 'the robot does not answer')

        self.console.background(wait())

    def _answer(self, number: int, done: bool, text: str) -> None:
        self._send({'type': 'answer', 'id': number, 'done': done, 'text': text})


def _read(message: str) -> dict[str, Any]:
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError):
        raise Misuse('messages are JSON') from None
    if not isinstance(asked, dict):
        raise Misuse('messages are JSON objects')
    return asked


def _real(asked: dict[str, Any], name: str) -> float:
    value: Any = asked.get(name)
    if type(value) not in (int, float) or not abs(value) < 1e15:  # also NaN
        raise Misuse(f'{name} has to be a number')
    return float(value)


def _share(asked: dict[str, Any], name: str) -> float:
    value = _real(asked, name)
    if not abs(value) <= 1.0:
        raise Misuse(f'{name} is -1 to 1')
    return value


def _whole(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name)
    if type(value) is not int or not 0 <= value < 2**31:
        raise Misuse(f'{name} has to be a whole number')
    return value


def _episodes(robot: Robot, recorded: bool) -> list[dict[str, Any]]:
    return [
        {
            'name': one.name,
            'instruction': one.instruction,
            'began': round(one.began, 1),
            'outcome': one.outcome,
            'message': one.message,
            'steps': len(one.decisions),
            'bag': bool(one.outcome) and recorded,
        }
        for one in robot.timeline.episodes
    ]


def _number(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
