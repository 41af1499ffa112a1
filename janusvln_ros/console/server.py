"""The console's server: Tornado in a thread of its own, beside whatever spins the robots' node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
import contextlib
import math
import socket
import ssl
import threading
import time
from typing import Any

from janusvln_ros.console.access import Access, Hosts, Role
from janusvln_ros.console.handlers import Login, Map, Nothing, Page, PAGES, Picture, Stop
from janusvln_ros.console.options import ConsoleParameters
from janusvln_ros.console.pictures import Encoder
from janusvln_ros.console.recording import Recording
from janusvln_ros.console.robot import Robot
from janusvln_ros.console.viewers import Viewer
from janusvln_ros.console.wheel import Wheel
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application

_TICK = 0.05  # s between two looks at who drives
_TELLS = 2  # ticks between two states
_START = 10.0  # s that the server has to begin
_SENDS = 1 << 16  # bytes that a connection may hold: what is under way to a slow one is old
LIMITS = {
    'max_header_size': 8192,
    'max_body_size': 8192,
    'max_buffer_size': 1 << 20,
    'idle_connection_timeout': 10.0,
    'body_timeout': 5.0,
}


class Connections(HTTPServer):
    """
    A server that takes a limited number of connections.

    When there are too many, the oldest that nobody has logged in with is closed, so that one who
    only connects keeps nobody out. keeps: tells whether a stream is a logged in one's.
    """

    def limit(self, most: int, keeps: Callable[[IOStream], bool]) -> None:
        """Say how many; to be called before it listens."""
        self._most, self._keeps = most, keeps
        self._open: dict[IOStream, None] = {}

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Take a connection, or drop one."""
        if len(self._open) >= self._most:
            victim = next((one for one in self._open if not self._keeps(one)), stream)
            self._open.pop(victim, None)
            victim.close()
            if victim is stream:
                return
        self._open[stream] = None
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDS)
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """Forget connections that have ended."""
        super().on_close(server_conn)
        for stream in [one for one in self._open if one.closed()]:
            del self._open[stream]


class Console:
    """Serves the pages of some robots. `start` and `stop` are for another thread than its own."""

    def __init__(self, parameters: ConsoleParameters, robots: Mapping[str, Robot]) -> None:
        self.parameters, self.robots = parameters, dict(robots)
        self.access = Access()
        self.encoder = Encoder()
        self.viewers: set[Viewer] = set()
        self.wheels = {name: Wheel() for name in self.robots}
        self.failure = ''
        self.cuts = False  # a piece out of the recording, for somebody
        self._looked: dict[str, bool] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._streams: set[IOStream] = set()
        self._tasks: set[asyncio.Task] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name='console', daemon=True)

    # ---- from another thread ----

    def start(self) -> None:
        """Serve; ValueError when the address cannot be listened at, or the certificate is bad."""
        self._thread.start()
        if not self._ready.wait(_START):
            raise ValueError('the console does not start')
        if self.failure:
            raise ValueError(self.failure)

    def stop(self) -> None:
        """Let go of every robot, and end."""
        if self._thread.is_alive() and self._ready.is_set() and not self.failure:
            self.later(self._end.set)
            self._thread.join(5.0)
        self.encoder.close()

    def news(self, name: str) -> None:
        """Note that a robot has a new picture."""
        self.later(self._show, name)

    def later(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have the server's thread call something."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(function, *arguments)

    def links(self) -> dict[Role, str]:
        """Return the address for each role, with its token where no log and no Referer has it."""
        address = self.parameters.address
        if address in ('0.0.0.0', '::', ''):
            local = {'localhost', '127.0.0.1', '::1'}
            address = min(self.hosts.names - local, key=lambda one: not one[:1].isdigit())
        host = f'[{address}]' if ':' in address else address
        root = f'{self.parameters.scheme}://{host}:{self.port}/'
        return {role: f'{root}#token={token}' for role, token in self.access.tokens.items()}

    # ---- its own thread ----

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (OSError, ValueError) as error:
            where = f'{self.parameters.address}:{self.parameters.port}'
            self.failure = f'cannot serve at {where}: {error}'
        except Exception as error:  # no page would be told
            self.failure = f'the server has failed: {error!r}'
        self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        parameters = self.parameters
        sockets = bind_sockets(parameters.port, parameters.address or None, backlog=128)
        self.port = sockets[0].getsockname()[1]
        self.hosts = Hosts(parameters, self.port)
        self.cookie = f'janusvln_console_{self.port}'  # cookies do not know ports
        server = Connections(self._application(), ssl_options=self._tls(), **LIMITS)
        server.limit(parameters.max_connections, self._streams.__contains__)
        server.add_sockets(sockets)
        self._ready.set()
        try:
            await self._tick()
        finally:
            server.stop()
            for viewer in list(self.viewers):
                self.let_go(viewer)
                viewer.close(1001, 'the console ends')
            await asyncio.wait_for(server.close_all_connections(), 2.0)

    def _application(self) -> Application:
        given = {'console': self}
        return Application(
            [
                *((path, Page, given) for path in PAGES),
                ('/session', Login, given),
                ('/stop', Stop, given),
                ('/picture', Picture, given),
                ('/map', Map, given),
                ('/recording', Recording, given),
                ('/socket', Viewer, given),
            ],
            default_handler_class=Nothing,
            default_handler_args=given,
            websocket_max_message_size=8192,
            websocket_ping_interval=5.0,
            websocket_ping_timeout=5.0,
            log_function=lambda handler: None,  # nothing of what strangers send is logged
        )

    def _tls(self) -> ssl.SSLContext | None:
        if not self.parameters.certificate:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.parameters.certificate, self.parameters.key)
        return context

    async def _tick(self) -> None:
        """Let go for who is silent, and tell everybody what is new, until the end."""
        count = 0
        while not self._end.is_set():
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._end.wait(), _TICK)
            count += 1
            self._watch_wheels()
            if count % _TELLS == 0:
                self._states.clear()
                for viewer in list(self.viewers):
                    viewer.tell()

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside all else."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- viewers ----

    def admit(self, viewer: Viewer) -> None:
        """Take a page that has logged in."""
        self.viewers.add(viewer)
        self._streams.add(viewer.stream)

    def dismiss(self, viewer: Viewer) -> None:
        """Forget a page; if it has driven, the robot stands."""
        self.let_go(viewer)
        self.viewers.discard(viewer)
        self._streams.discard(viewer.stream)
        self.count_looks(viewer.name)

    def count_looks(self, name: str) -> None:
        """Have pictures come for as long as somebody looks."""
        looks = any(one.looks for one in self.viewers if one.name == name)
        if self._looked.get(name, False) != looks:
            self._looked[name] = looks
            self.robots[name].watch(looks)

    def state(self, name: str) -> dict[str, Any]:
        """Return the state of a robot, made once for all who look."""
        if name not in self._states:
            self._states[name] = self.robots[name].state()
        return self._states[name]

    def _show(self, name: str) -> None:
        for viewer in list(self.viewers):
            if viewer.name == name:
                viewer.show()

    # ---- by hand ----

    def take(self, viewer: Viewer) -> str:
        """Give somebody the wheel; return why not, or ''."""
        return self.wheels[viewer.name].take(viewer, time.monotonic())

    def let_go(self, viewer: Viewer) -> None:
        """Take the wheel from somebody who has it."""
        if self.wheels[viewer.name].give(viewer):
            self.robots[viewer.name].give()

    def lock(self, viewer: Viewer) -> str:
        """Return why one who has the wheel cannot drive now, or ''."""
        age = viewer.latency
        if not age <= self.parameters.picture_age:
            told = f'{age:.1f} s old' if math.isfinite(age) else 'not there'
            return f'the picture is {told}'
        return viewer.robot.locked()

    def drive(self, viewer: Viewer, linear: float, angular: float, when: float) -> None:
        """Pass on what a driver holds, if he may drive now; else zero."""
        wheel = self.wheels[viewer.name]
        if wheel.holder is not viewer:
            return
        linear, angular = wheel.hear(viewer, linear, angular, when, time.monotonic())
        if (linear or angular) and self.lock(viewer):
            linear = angular = 0.0
        speeds = self.parameters.drive_linear_speed, self.parameters.drive_angular_speed
        viewer.robot.drive(linear * speeds[0], angular * speeds[1])

    def _watch_wheels(self) -> None:
        """Say zero for drivers who are silent; after a while they lose the wheel."""
        now = time.monotonic()
        for name, wheel in self.wheels.items():
            if isinstance(wheel.holder, Viewer):
                if wheel.lost(now):
                    self.let_go(wheel.holder)
                elif wheel.silent(now):
                    self.robots[name].drive(0.0, 0.0)
