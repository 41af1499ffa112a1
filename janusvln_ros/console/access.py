"""Who may come in, and as what: tokens, sessions, the names of the host, and how often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
import hashlib
import hmac
import secrets
import socket
import time
from urllib.parse import urlsplit

from janusvln_ros.console.options import ConsoleParameters

_SESSION = 12 * 3600.0  # s without a request after which a login is void
_MOST_SESSIONS = 200
_LOGINS = (
    10  # that may fail within a minute; a token cannot be guessed, the processor can be kept busy
)


class Role(Enum):
    """What a session may do: look and stop, or everything."""

    VIEWER = 'viewer'
    OPERATOR = 'operator'


@dataclass
class Session:
    """A login; closing: called when it ends."""

    role: Role
    used_at: float
    closing: set[Callable[[], None]] = field(default_factory=set)


class Allowance:
    """So many at once, and so many a second: more are refused."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._at = float(burst), clock()

    def take(self) -> bool:
        """Tell whether one more is allowed, and count it."""
        now = self._clock()
        self._left = min(self._burst, self._left + self._rate * (now - self._at))
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class TooManyLogins(Exception):
    """Wait a minute."""


class Access:
    """One token for each role, made anew at each start; sessions by the hash of their cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.tokens = {role: secrets.token_urlsafe(24) for role in Role}
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._failures = Allowance(_LOGINS / 60.0, _LOGINS, clock)

    def login(self, token: str) -> str | None:
        """Return a new session's cookie, or None for a wrong token; TooManyLogins."""
        roles = [
            role
            for role, right in self.tokens.items()
            if hmac.compare_digest(token.encode(), right.encode())
        ]
        if not roles:
            if not self._failures.take():
                raise TooManyLogins
            return None
        cookie = secrets.token_urlsafe(32)
        self._sessions[_hash(cookie)] = Session(roles[0], self._clock())
        while len(self._sessions) > _MOST_SESSIONS:
            self._end(next(iter(self._sessions)))
        return cookie

    def session(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie that is valid."""
        name = _hash(cookie or '')
        session = self._sessions.get(name)
        if session is None:
            return None
        if self._clock() - session.used_at > _SESSION:
            self._end(name)
            return None
        session.used_at = self._clock()
        self._sessions.move_to_end(name)
        return session

    def logout(self, cookie: str | None) -> None:
        """End a session, and all that it has open."""
        self._end(_hash(cookie or ''))

    def _end(self, name: str) -> None:
        session = self._sessions.pop(name, None)
        for close in list(session.closing) if session else ():
            close()


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode(errors='replace')).hexdigest()


class Hosts:
    """The names by which browsers may call it: no other page can borrow its address."""

    def __init__(self, parameters: ConsoleParameters, port: int) -> None:
        self._scheme, self._port = parameters.scheme, port
        names = {'localhost', '127.0.0.1', '::1', *_listed(parameters.hosts)}
        if parameters.address in ('0.0.0.0', '::', ''):
            names |= {socket.gethostname(), f'{socket.gethostname()}.local', *own_addresses()}
        else:
            names.add(parameters.address)
        self.names = frozenset(name.lower() for name in names)

    def allow(self, host: str) -> bool:
        """Tell whether a Host header names this console."""
        try:
            parts = urlsplit(f'//{host}')
            port = parts.port or {'http': 80, 'https': 443}[self._scheme]
        except ValueError:
            return False
        plain = not (parts.username or parts.password or parts.path or parts.query)
        return plain and (parts.hostname or '') in self.names and port == self._port

    def same(self, origin: str | None, host: str) -> bool:
        """Tell whether a request comes from the console's own page, called by the same name."""
        return origin == f'{self._scheme}://{host}' and self.allow(host)


def own_addresses() -> list[str]:
    """Return the address that this computer has in its network, if it is in one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))  # sends nothing
        except OSError:
            return []
        return [probe.getsockname()[0]]


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(',') if name.strip()]
