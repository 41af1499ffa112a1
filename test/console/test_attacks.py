"""Who has no business here gets nothing, moves nothing, and keeps nobody else out."""

import asyncio
import json
import socket
import time

from browser import Browser, closed, hear, say, SCRIPT
from janusvln_ros.console import server
from janusvln_ros.console.access import Role
from janusvln_ros.console.handlers import PAGES
import pytest
from tornado.httpclient import HTTPClientError
from waiting import wait_for

COMMANDS = (
    {'type': 'take', 'id': 1},
    {'type': 'drive', 'linear': 1.0, 'angular': 0.0, 'time': 0.0},
    {'type': 'do', 'id': 2, 'verb': 'send', 'text': 'go'},
    {'type': 'reset', 'id': 3},
)
MALFORMED = (
    '',
    'null',
    '[]',
    '"stop"',
    '{',
    '{}',
    '{"type": "take"}',
    '{"type": "take", "id": -1}',
    '{"type": "take", "id": true}',
    '{"type": "take", "id": 1e99}',
    '{"type": ["take"], "id": 1}',
    '{"type": "fly", "id": 1}',
    '{"type": "do", "id": 1, "verb": "reset_e_stop", "text": ""}',
    '{"type": "do", "id": 1, "verb": "__class__", "text": ""}',
    '{"type": "do", "id": 1, "verb": "send", "text": 7}',
    '{"type": "drive", "linear": NaN, "angular": 0, "time": 0}',
    '{"type": "drive", "linear": Infinity, "angular": 0, "time": 0}',
    '{"type": "drive", "linear": 2, "angular": 0, "time": 0}',
    '{"type": "drive", "linear": "1", "angular": 0, "time": 0}',
    '{"type": "drive", "linear": true, "angular": 0, "time": 0}',
    '{"type": "seen", "number": 0}',
    '{"type": "look", "size": "huge"}',
    '[' * 5000,
    '{"type": "x", "a": ' * 300,
    '\u0000\ud7ff',
    'x' * 9000,
    b'\x00\x01\x02',
    b'x' * 100_000,
)


def unmoved(browser: Browser) -> bool:
    """Tell whether nobody has asked a robot for anything but pictures."""
    robots = browser.console.robots.values()
    return not any(
        robot.driven or [one for one in robot.asked if one[0] != 'watch'] for robot in robots
    )


async def refused(browser: Browser, *codes: int, **headers) -> None:
    with pytest.raises(HTTPClientError) as error:
        await browser.socket(**headers)
    assert error.value.code in codes


def test_without_a_token_there_is_nothing_to_see_or_do(browser):
    told = json.loads(browser.ask('GET', '/session').body)
    assert told == {'stop': False}
    for path in ('/picture?robot=r1&number=0', '/map?robot=r1'):
        assert browser.ask('GET', path).status == 401
    assert browser.ask('POST', '/stop', {'robot': ''}).status == 401
    asyncio.run(refused(browser, 401))
    browser.cookie = f'{browser.console.cookie}=invented'
    asyncio.run(refused(browser, 401))
    assert unmoved(browser)


def test_wrong_tokens_are_refused_and_then_throttled_but_the_right_one_is_not(browser):
    tokens = ['', 'x', 'ä\ud7ff', 'x' * 2000, browser.console.access.tokens[Role.VIEWER][:-1]]
    for token in tokens:
        assert browser.ask('POST', '/session', {'token': token}).status == 401
    for document in (None, [], {}, {'token': 7}, {'token': 'x' * 2001}):
        assert browser.ask('POST', '/session', document).status == 400
    codes = {browser.ask('POST', '/session', {'token': 'x'}).status for _ in range(8)}
    assert codes == {401, 429}
    browser.login()


@pytest.mark.parametrize(
    'origin', ['http://evil.example', 'null', 'https://{host}', '{host}', None]
)
def test_another_origin_is_refused(browser, origin):
    browser.login()
    given = origin and origin.format(host=browser.host)
    for path, document in (('/session', {'token': 'x'}), ('/stop', {'robot': ''})):
        assert browser.ask('POST', path, document, Origin=given).status == 403
    assert browser.ask('DELETE', '/session', Origin=given).status == 403
    asyncio.run(refused(browser, 403, Origin=given))
    assert browser.ask('GET', '/session', Sec_Fetch_Site='cross-site').status == 403
    assert unmoved(browser)


@pytest.mark.parametrize(
    'host', ['evil.example:{port}', '127.0.0.1', '127.0.0.1:1', 'u@127.0.0.1:{port}', '[', '']
)
def test_another_host_is_refused(browser, host):
    browser.login()
    host = host.format(port=browser.console.port)
    assert browser.ask('GET', '/session', Host=host).status in (400, 421)
    assert browser.ask('GET', '/', Host=host).status in (400, 421)
    asyncio.run(refused(browser, 400, 421, Host=host, Origin=f'http://{host}'))


def test_the_cookie_is_for_this_page_alone_and_void_after_logout(browser):
    response = browser.ask(
        'POST', '/session', {'token': browser.console.access.tokens[Role.OPERATOR]}
    )
    words = {word.strip() for word in response.headers['Set-Cookie'].split(';')}
    assert {'HttpOnly', 'SameSite=Strict', 'Path=/'} <= words
    browser.login()

    async def replay() -> None:
        open_socket = await browser.socket()
        await hear(open_socket, 'state')
        assert browser.ask('DELETE', '/session').status == 204
        await closed(open_socket)
        await refused(browser, 401)

    asyncio.run(replay())
    assert browser.ask('GET', '/picture?robot=r1&number=0').status == 401


def test_ten_thousand_malformed_and_huge_messages(browser):
    browser.login()

    async def flood() -> None:
        witness = await browser.socket()
        for message in MALFORMED:
            victim = await browser.socket()
            await victim.write_message(message, binary=isinstance(message, bytes))
            assert await closed(victim) in (1008, 1009, 1007, 1006, None), message
        for begin in range(10):
            victim = await browser.socket()
            for number in range(1000):
                try:
                    message = MALFORMED[(begin + number) % len(MALFORMED)]
                    victim.write_message(message, binary=isinstance(message, bytes))
                except Exception:  # it has been closed meanwhile
                    break
            await closed(victim)
        await hear(witness, 'state')
        witness.close()

    asyncio.run(flood())
    assert unmoved(browser)
    assert browser.ask('GET', '/session').status == 200


def test_more_messages_than_a_page_sends_close_the_socket(browser):
    browser.login()

    async def flood() -> None:
        hasty = await browser.socket()
        for _ in range(500):
            hasty.write_message('{"type": "look", "size": "none"}')
        assert await closed(hasty) == 1008

    asyncio.run(flood())


def test_a_viewer_looks_and_stops_but_commands_nothing(browser):
    browser.login(Role.VIEWER)

    async def try_all() -> None:
        viewer = await browser.socket()
        for command in COMMANDS:
            await viewer.write_message(json.dumps(command))
            if 'id' in command:
                answer = await hear(viewer, 'answer')
                assert not answer['done'] and 'viewer' in answer['text']

    asyncio.run(try_all())
    assert unmoved(browser)
    assert browser.ask('POST', '/stop', {'robot': 'r1'}).status == 202
    assert browser.console.robots['r1'].asked[-1] == ('stop',)


@pytest.mark.slow
def test_two_hundred_connections_keep_nobody_out(make):
    browser = make(max_connections=24)
    browser.login()
    idle = []

    async def crowd() -> None:
        witness = await browser.socket()
        for _ in range(200):
            one = socket.create_connection(('127.0.0.1', browser.console.port))
            one.setblocking(False)
            idle.append(one)
        await asyncio.sleep(0.3)
        for _ in range(5):
            await hear(witness, 'state')
        other = await browser.socket()
        await hear(other, 'state')
        witness.close()
        other.close()

    asyncio.run(crowd())
    assert browser.ask('POST', '/stop', {'robot': 'r1'}).status == 202

    def alive() -> int:
        count = 0
        for one in idle:
            try:
                count += one.recv(1) != b''
            except BlockingIOError:
                count += 1
            except OSError:
                pass
        return count

    wait_for(lambda: alive() <= 24, 'the rest is closed')
    for one in idle:
        one.close()


@pytest.fixture
def hasty(monkeypatch, make) -> Browser:
    """Give a browser whose console waits for nobody."""
    limits = {'idle_connection_timeout': 0.4, 'body_timeout': 0.4}
    monkeypatch.setattr(server, 'LIMITS', {**server.LIMITS, **limits})
    return make()


def test_half_open_connections_end(hasty):
    browser = hasty
    for begun in (
        b'',
        b'GET / HT',
        b'POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{',
    ):
        one = socket.create_connection(('127.0.0.1', browser.console.port), timeout=5.0)
        one.sendall(begun)
        while one.recv(1000):
            pass
        one.close()
    assert browser.ask('GET', '/session').status == 200


@pytest.mark.slow
def test_a_slow_reader_holds_nothing_up_and_nothing_back(browser):
    browser.login()
    robot = browser.console.robots['r1']
    for number in range(40):
        robot.on_light(f'light {number}', 0, 'x' * 400)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(('127.0.0.1', browser.console.port))
    slow.sendall(
        f'GET /socket?robot=r1 HTTP/1.1\r\nHost: {browser.host}\r\nOrigin: {browser.origin}\r\n'
        f'Cookie: {browser.cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'.encode()
    )

    async def watch() -> None:
        quick = await browser.socket()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            await hear(quick, 'state', 0.8)
        quick.close()

    asyncio.run(watch())
    slow.setblocking(False)
    held, end = 0, time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            held += len(slow.recv(1 << 16))
        except BlockingIOError:
            time.sleep(0.001)
    slow.close()
    assert 0 < held < 300_000  # all that was told meanwhile is more


@pytest.mark.parametrize(
    'path',
    [
        '/../options.py',
        '/static/../server.py',
        '/%2e%2e/%2e%2e/etc/passwd',
        '/console.js/../server.py',
        '//etc/passwd',
        '/console.js%00.html',
        '/index.html',
        '/.git/config',
        '/picture?robot=../r1&number=../../etc/passwd',
        '/picture?robot=r1&number=-1',
        '/map?robot=../../etc/passwd',
    ],
)
def test_no_path_leads_out(browser, path):
    browser.login()
    response = browser.ask('GET', path)
    assert response.status in (400, 404) and b'root:' not in response.body
    assert b'passwd' not in response.body


def test_pages_take_no_script_but_their_own_and_repeat_nothing(browser):
    for path in PAGES:
        response = browser.ask('GET', path)
        policy = response.headers['Content-Security-Policy']
        assert "default-src 'none'" in policy and 'unsafe' not in policy and '*' not in policy
        assert response.headers['X-Content-Type-Options'] == 'nosniff'
        assert response.headers['X-Frame-Options'] == 'DENY'
        assert response.headers['Cache-Control'] == 'no-store'
    page = browser.ask('GET', '/').body.decode()
    assert '<style' not in page and 'onclick' not in page and page.count('<script src=') == 3
    sources = b''.join(PAGES[path][1] for path in PAGES if path.endswith('.js')).decode()
    for word in ('innerHTML', 'outerHTML', 'insertAdjacentHTML', 'document.write', 'eval('):
        assert word not in sources
    response = browser.ask('GET', '/%3Cscript%3Ealert(1)%3C/script%3E')
    assert response.status == 404 and b'script' not in response.body


def test_scripts_in_names_and_instructions_travel_as_text(browser):
    browser.login()
    robot = browser.console.robots[SCRIPT]
    robot.on_navigator(
        state='DECIDING',
        reason='NONE',
        instruction_id='a',
        instruction=SCRIPT,
        step=0,
        frames=0,
        bytes=0,
        message=SCRIPT,
    )

    async def look() -> None:
        viewer = await browser.socket(robot='%3Cimg%20src=x%20onerror=alert(1)%3E')
        assert (await hear(viewer, 'hello'))['robot'] == SCRIPT
        assert (await hear(viewer, 'state'))['navigator']['instruction'] == SCRIPT
        await say(viewer, type='do', id=1, verb='send', text=SCRIPT)
        assert (await hear(viewer, 'answer'))['done']

    asyncio.run(look())
    assert robot.asked[-1] == ('send', SCRIPT)


def test_broken_http_ends_in_nothing(hasty):
    browser = hasty
    for raw in (
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 5000,
        b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
        b'POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n',
        b'POST /session HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
        b'\x00' * 20_000,
    ):
        with socket.create_connection(('127.0.0.1', browser.console.port), timeout=15.0) as one:
            one.sendall(raw)
            answer = one.recv(1000)
            assert not answer or answer.startswith(b'HTTP/1.1 4')
    assert browser.ask('GET', '/session').status == 200
