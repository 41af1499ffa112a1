"""The console's pages: who calls is looked at before anything is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.console.access import Role, Session, TooManyLogins
from tornado.web import HTTPError, RequestHandler

if TYPE_CHECKING:
    from janusvln_ros.console.server import Console

_STATIC = Path(__file__).parent / 'static'
_KINDS = {'html': 'text/html', 'css': 'text/css', 'js': 'text/javascript', 'svg': 'image/svg+xml'}
PAGES = {
    path: (f'{_KINDS[name.rsplit(".")[-1]]}; charset=utf-8', (_STATIC / name).read_bytes())
    for path, name in (
        ('/', 'index.html'),
        ('/console.css', 'console.css'),
        ('/console.js', 'console.js'),
        ('/drive.js', 'drive.js'),
        ('/draw.js', 'draw.js'),
        ('/icon.svg', 'icon.svg'),
    )
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LONGEST = 2000  # characters of a token or a name


class Guard:
    """Refuses what does not come from the console's own page; mixed into every handler."""

    request: Any

    def initialize(self, console: Console) -> None:
        """Take the console."""
        self.console = console

    def set_default_headers(self) -> None:
        """Say nothing of the server, and let no other page use what comes from here."""
        self.set_header('Server', 'console')  # type: ignore[attr-defined]
        for name, value in (
            ('X-Content-Type-Options', 'nosniff'),
            ('X-Frame-Options', 'DENY'),
            ('Referrer-Policy', 'no-referrer'),
            ('Cross-Origin-Resource-Policy', 'same-origin'),
            ('Cross-Origin-Opener-Policy', 'same-origin'),
            ('Cache-Control', 'no-store'),
            ('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"),
        ):
            self.set_header(name, value)  # type: ignore[attr-defined]

    def look_at_caller(self, always_origin: bool) -> None:
        """Raise HTTPError for a foreign Host or Origin."""
        request, hosts = self.request, self.console.hosts
        host = request.headers.get('Host', '')
        if len(request.headers.get_list('Host')) != 1 or not hosts.allow(host):
            raise HTTPError(421, reason='this console is not called by that name (hosts)')
        origin = request.headers.get('Origin')
        if (always_origin or origin is not None) and not hosts.same(origin, host):
            raise HTTPError(403, reason='this comes from another page')
        if request.headers.get('Sec-Fetch-Site', 'none') not in ('none', 'same-origin'):
            raise HTTPError(403, reason='this comes from another page')

    def session(self) -> Session | None:
        """Return the session of the caller's cookie."""
        cookie = self.get_cookie(self.console.cookie)  # type: ignore[attr-defined]
        return self.console.access.session(cookie)

    def entered(self, role: Role = Role.VIEWER) -> Session:
        """Return the caller's session; HTTPError without one, or with too small a role."""
        session = self.session()
        if session is None:
            raise HTTPError(401, reason='log in first')
        if role is Role.OPERATOR and session.role is not Role.OPERATOR:
            raise HTTPError(403, reason='a viewer may not do that')
        return session


class Handler(Guard, RequestHandler):
    """A request that was looked at."""

    def prepare(self) -> None:
        """Look at the caller."""
        self.look_at_caller(always_origin=self.request.method not in ('GET', 'HEAD'))

    def write_error(self, status_code: int, **details: Any) -> None:
        """Answer in words; nothing of what was asked is repeated."""
        self.set_header('Content-Type', 'text/plain; charset=utf-8')
        self.finish(f'{status_code}: {self._reason}\n')

    def document(self) -> dict[str, Any]:
        """Return the JSON object of a request; HTTPError for anything else."""
        try:
            document = json.loads(self.request.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise HTTPError(400, reason='a JSON object is needed')
        return document

    def text(self, document: dict[str, Any], name: str) -> str:
        """Return a text of a document; HTTPError for anything else."""
        value = document.get(name)
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise HTTPError(400, reason=f'{name} has to be a text')
        return value


class Page(Handler):
    """The page and its parts: they hold no secret, and nothing else can be named."""

    def get(self) -> None:
        """Send one of PAGES."""
        kind, body = PAGES[self.request.path]
        scheme = 'wss' if self.console.parameters.certificate else 'ws'
        policy = _POLICY.format(socket=f'{scheme}://{self.request.host}')
        self.set_header('Content-Security-Policy', policy)
        self.set_header('Content-Type', kind)
        self.finish(body)


class Login(Handler):
    """POST: a token for a cookie. GET: what the cookie is good for. DELETE: no more."""

    def get(self) -> None:
        """Tell a browser what it may do."""
        session, everybody = self.session(), self.console.parameters.stop_without_login
        told: dict[str, Any] = {'stop': everybody or session is not None}
        if session is not None:
            told |= {'role': session.role.value, 'robots': list(self.console.robots)}
            told['actions'] = [name.rpartition('_')[2].lower() for name in ACTION_NAMES]
        self.finish(told)

    def post(self) -> None:
        """Log in."""
        try:
            cookie = self.console.access.login(self.text(self.document(), 'token'))
        except TooManyLogins:
            raise HTTPError(429, reason='too many wrong tokens: wait a minute') from None
        if cookie is None:
            raise HTTPError(401, reason='this token is not right')
        self.set_cookie(
            self.console.cookie,
            cookie,
            httponly=True,
            samesite='Strict',
            secure=bool(self.console.parameters.certificate),
        )
        self.set_status(204)

    def delete(self) -> None:
        """Log out: the cookie is void, and sockets that it opened are closed."""
        self.console.access.logout(self.get_cookie(self.console.cookie))
        self.clear_cookie(self.console.cookie)
        self.set_status(204)


class Stop(Handler):
    """Presses the e-stop: of one robot, or of all. It needs no lease, and perhaps no login."""

    def post(self) -> None:
        """Press; the executor's state says whether it has worked."""
        if not self.console.parameters.stop_without_login:
            self.entered()
        robot = self.text(self.document(), 'robot')
        if robot and robot not in self.console.robots:
            raise HTTPError(404, reason='there is no such robot')
        for name in [robot] if robot else self.console.robots:
            self.console.robots[name].stop()
        self.set_status(202)


class Picture(Handler):
    """The picture of a decision."""

    def get(self) -> None:
        """Send a JPEG, or nothing of a decision without one."""
        self.entered()
        robot = self.console.robots.get(self.get_query_argument('robot', ''))
        number = self.get_query_argument('number', '')
        if robot is None or not number.isdecimal() or len(number) > 12:
            raise HTTPError(404, reason='there is no such picture')
        with robot.lock:
            decision = robot.timeline.find(int(number))
        if decision is None:
            raise HTTPError(404, reason='there is no such decision any more')
        if decision.picture is None:
            self.set_status(204)  # nobody looked, or it is not kept any more
            return
        self.set_header('Content-Type', 'image/jpeg')
        self.finish(decision.picture)


class Map(Handler):
    """The map of where a robot is."""

    def get(self) -> None:
        """Send a PNG."""
        self.entered()
        robot = self.console.robots.get(self.get_query_argument('robot', ''))
        found = robot.chart() if robot else None
        if found is None:
            raise HTTPError(404, reason='there is no map')
        self.set_header('Content-Type', 'image/png')
        self.finish(found[1])


class Nothing(Handler):
    """Everything else."""

    def prepare(self) -> None:
        """Refuse."""
        super().prepare()
        raise HTTPError(404, reason='there is nothing here')
