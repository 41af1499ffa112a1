"""What stands in for a browser and for a robot where the console is tested without ROS."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
import http.client
import json
import time
from typing import Any

from janusvln_ros.console.access import Role
from janusvln_ros.console.facts import Facts
from janusvln_ros.console.pictures import HEADER
from janusvln_ros.console.server import Console
import numpy as np
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect, WebSocketClientConnection
from waiting import wait_for

SCRIPT = '<img src=x onerror=alert(1)>'  # a robot is named so


class WrittenRobot(Facts):
    """A robot.Robot that writes down what is asked of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, time.time)
        self.asked: list[tuple[Any, ...]] = []
        self.driven: list[tuple[float, float]] = []
        self.hear('motion', state='IDLE', result='NONE', message='', open_loop=False)

    def live(self) -> None:
        """Go on telling that it is well, with a picture that was just taken."""
        self.hear('motion', state='IDLE', result='NONE', message='', open_loop=False)
        self.on_picture(time.time(), 0, lambda: np.zeros((48, 64, 3), np.uint8))

    def state(self) -> dict[str, Any]:
        return {**super().state(), 'stop': 'none'}

    def watch(self, looks: bool) -> None:
        self.asked.append(('watch', looks))

    def stop(self) -> None:
        self.asked.append(('stop',))

    def act(self, verb: str, text: str) -> Future[str]:
        self.asked.append((verb, text))
        answer: Future[str] = Future()
        answer.set_result('')
        return answer

    def take(self) -> Future[str]:
        return self.act('take', '')

    def drive(self, linear: float, angular: float) -> None:
        self.driven.append((linear, angular))

    def give(self) -> None:
        self.asked.append(('give',))

    def chart(self) -> None:
        return None


class Browser:
    """Asks a console as a browser would; all of it can be told to lie."""

    def __init__(self, console: Console) -> None:
        self.console, self.host, self.cookie = console, f'127.0.0.1:{console.port}', ''
        self.origin = f'http://{self.host}'

    def ask(self, method: str, path: str, document: Any = None, **headers: str | None) -> Any:
        """Return the response, with its body as `body`; header=None leaves one out."""
        given: dict[str, str | None] = {'Host': self.host, 'Cookie': self.cookie}
        given |= {'Origin': self.origin} if method not in ('GET', 'HEAD') else {}
        given |= {name.replace('_', '-'): value for name, value in headers.items()}
        connection = http.client.HTTPConnection('127.0.0.1', self.console.port, timeout=10.0)
        connection.putrequest(method, path, skip_host=True)
        body = b'' if document is None else json.dumps(document).encode()
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.putheader('Content-Length', str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        response.body = response.read()
        connection.close()
        return response

    def login(self, role: Role = Role.OPERATOR) -> None:
        """Get a cookie."""
        response = self.ask('POST', '/session', {'token': self.console.access.tokens[role]})
        assert response.status == 204
        self.cookie = response.headers['Set-Cookie'].split(';')[0]

    async def socket(self, robot: str = 'r1', **headers: str | None) -> WebSocketClientConnection:
        """Open a socket; HTTPError when it is refused."""
        given = {'Host': self.host, 'Cookie': self.cookie, 'Origin': self.origin, **headers}
        request = HTTPRequest(
            f'ws://127.0.0.1:{self.console.port}/socket?robot={robot}',
            headers={name: value for name, value in given.items() if value is not None},
        )
        return await websocket_connect(request)


async def hear(socket: WebSocketClientConnection, kind: str, patience: float = 5.0) -> Any:
    """Return the next message of a kind; 'picture': the number of a picture."""
    end = asyncio.get_running_loop().time() + patience
    while True:
        left = end - asyncio.get_running_loop().time()
        message = await asyncio.wait_for(socket.read_message(), max(0.01, left))
        assert message is not None, f'closed: {socket.close_code} {socket.close_reason}'
        if isinstance(message, bytes):
            if kind == 'picture':
                return HEADER.unpack_from(message)[0]
        elif json.loads(message)['type'] == kind:
            return json.loads(message)


async def closed(socket: WebSocketClientConnection, patience: float = 5.0) -> int | None:
    """Wait until a socket is closed; return why."""

    async def read() -> None:
        while await socket.read_message() is not None:
            pass

    await asyncio.wait_for(read(), patience)
    return socket.close_code


async def say(socket: WebSocketClientConnection, **message: Any) -> None:
    """Send a message."""
    await socket.write_message(json.dumps(message))


def started(console: Console) -> Console:
    """Start a console."""
    console.start()
    wait_for(lambda: console.port, 'a port')
    return console
