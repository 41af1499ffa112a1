"""Pictures come one at a time and newest first; TLS; who may stop; what cannot be served."""

import asyncio
import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from browser import hear, say
import cv2
from janusvln_ros.console.access import Role
from janusvln_ros.console.facts import Facts
from janusvln_ros.console.options import ConsoleParameters
from janusvln_ros.console.pictures import encode, Frame, LEVELS, Pace
from janusvln_ros.console.server import Console
from janusvln_ros.parameters import build
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.recordings.writer import BagWriter
import numpy as np
import pytest
from waiting import wait_for


def test_one_picture_is_under_way_and_the_newest_comes_next(browser):
    browser.login()
    robot = browser.console.robots['r1']

    def take_pictures(count: int) -> None:
        for _ in range(count):
            robot.live()
            browser.console.news('r1')

    async def look() -> None:
        socket = await browser.socket()
        take_pictures(2)
        with pytest.raises(asyncio.TimeoutError):
            await hear(socket, 'picture', 0.3)  # nobody looks
        socket = await browser.socket()
        await say(socket, type='look', size='large')
        first = await hear(socket, 'picture')
        take_pictures(5)
        with pytest.raises(asyncio.TimeoutError):
            await hear(socket, 'picture', 0.3)  # the first has not been seen
        socket.close()
        socket = await browser.socket()
        await say(socket, type='look', size='large')
        number = await hear(socket, 'picture')
        assert number == first + 5
        await say(socket, type='seen', number=number)
        take_pictures(1)
        assert await hear(socket, 'picture') == number + 1
        while (await hear(socket, 'state'))['link']['latency'] is None:
            pass
        await say(socket, type='look', size='none')  # hidden while one is under way
        await say(socket, type='seen', number=number + 1)
        take_pictures(1)
        await say(socket, type='look', size='large')
        assert await hear(socket, 'picture') == number + 2
        socket.close()

    asyncio.run(look())
    wait_for(lambda: robot.asked and robot.asked[-1] == ('watch', False), 'nobody looks')


def test_the_pace_follows_the_link():
    pace, number = Pace(), 0

    def see(took: float, times: int) -> None:
        nonlocal number
        for _ in range(times):
            number += 1
            frame = Frame(number, 0.0, 0.0, lambda: None)
            assert pace.wants(frame)
            pace.sent(frame, 10.0)
            assert not pace.wants(Frame(number + 1, 0.0, 0.0, lambda: None))
            with pytest.raises(ValueError, match='not sent'):
                pace.on_seen(number + 1, 10.0, 0.0)
            pace.on_seen(number, 10.0 + took, 0.2)

    see(0.15, 1)  # what this link takes at least
    begun = pace.level
    see(0.5, 1)
    assert pace.level == begun  # a packet was lost, no more
    see(0.5, 20)
    assert pace.level == len(LEVELS) - 1 and pace.latency == 0.2
    see(0.3, 20)
    assert pace.level == len(LEVELS) - 1
    see(0.15, 400)
    assert pace.level == 0
    see(0.6, 2)
    assert pace.level == 1
    see(0.15, 50)
    assert pace.level == 1  # after what it has learnt it takes its time
    see(0.15, 50)
    assert pace.level == 0
    pace.limit(4)
    see(0.15, 100)
    assert pace.level == 4


def test_a_picture_is_as_large_as_its_level():
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    sizes = [len(encode(rgb, *level)) for level in LEVELS]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 20
    half = cv2.imdecode(np.frombuffer(encode(rgb, 320, 40), np.uint8), cv2.IMREAD_COLOR)
    assert half.shape == (240, 320, 3)
    flat = np.zeros((4, 4, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    red = cv2.imdecode(np.frombuffer(encode(flat, 640, 90), np.uint8), cv2.IMREAD_COLOR)
    assert red[0, 0, 2] > 200 > 50 > red[0, 0, 0]


def decide(facts: Facts, name: str, step: int, stamp: float) -> None:
    facts.on_decision(
        stamp, name, step=step, action=1, probabilities=[0.1, 0.7, 0.1, 0.1], seconds=0.1
    )


def test_decisions_are_kept_with_their_pictures_and_told_once(browser):
    browser.login()
    robot = browser.console.robots['r1']
    navigator = {'state': 'DECIDING', 'step': 0, 'frames': 12, 'bytes': 1, 'message': 'why'}
    robot.on_settings({'initial_frames': '8', 'recent_frames': '48'})
    robot.on_navigator(instruction_id='a', instruction='go', reason='NONE', **navigator)
    robot.live()
    decide(robot, 'a', 0, robot.frame.stamp)
    decide(robot, 'a', 1, 5.0)

    async def look() -> None:
        socket = await browser.socket()
        told = await hear(socket, 'decisions')
        assert [one['step'] for one in told['decisions']] == [0, 1]
        decide(robot, 'a', 2, 5.1)
        assert [one['step'] for one in (await hear(socket, 'decisions'))['decisions']] == [2]
        memory = (await hear(socket, 'state'))['memory']
        assert memory == {'initial': 8, 'recent': 4, 'initial_size': 8, 'recent_size': 48}
        robot.on_navigator(instruction_id='a', instruction='go', reason='BLOCKED', **navigator)
        while not (episode := (await hear(socket, 'episodes'))['episodes'][-1])['outcome']:
            pass
        assert episode['outcome'] == 'BLOCKED' and episode['message'] == 'why'

    asyncio.run(look())
    wait_for(lambda: robot.timeline.find(0).picture, 'a picture')
    picture = browser.ask('GET', '/picture?robot=r1&number=0')
    assert picture.headers['Content-Type'] == 'image/jpeg' and picture.body[:2] == b'\xff\xd8'
    assert browser.ask('GET', '/picture?robot=r1&number=1').status == 204  # it has none
    assert browser.ask('GET', '/picture?robot=r1&number=7').status == 404


def test_what_is_kept_is_bounded():
    facts = Facts('r1', time.time)
    facts.on_picture(1.0, 0, lambda: np.zeros((8, 8, 3), np.uint8))
    for episode in range(3):
        for step in range(520):
            decide(facts, f'e{episode}', step, 1.0)
    facts._pool.shutdown()
    episodes = facts.timeline.episodes
    kept = [one.picture is not None for episode in episodes for one in episode.decisions]
    assert [len(episode.decisions) for episode in episodes] == [500] * 3
    assert sum(kept) <= 600 and kept[-1]
    for number in range(100):
        facts.timeline.episode(f'more {number}', 'x' * 2000, 0.0)
        facts.on_light(f'light {number}', 0, 'x' * 10_000)
        facts.on_pose('odometry', float(number), 0.0, 0.0)
    assert len(episodes) == 30 and len(json.dumps(facts.state())) < 30_000
    facts.on_pose('odometry', float('nan'), 0.0, 0.0)
    json.loads(json.dumps(facts.state(), allow_nan=False))


def test_everybody_may_stop_where_that_is_allowed(make):
    browser = make(stop_without_login=True)
    assert json.loads(browser.ask('GET', '/session').body) == {'stop': True}
    assert browser.ask('POST', '/stop', {'robot': ''}).status == 202
    assert all(robot.asked == [('stop',)] for robot in browser.console.robots.values())
    assert browser.ask('POST', '/stop', {'robot': 'r9'}).status == 404
    assert browser.ask('POST', '/stop', {'robot': ''}, Origin='http://evil').status == 403


@pytest.mark.skipif(not shutil.which('openssl'), reason='openssl is not here')
def test_tls_by_certificate_and_key(make, tmp_path):
    certificate, key = tmp_path / 'certificate.pem', tmp_path / 'key.pem'
    subprocess.run(
        f'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 '
        f'-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {key} '
        f'-out {certificate}'.split(),
        check=True,
        capture_output=True,
    )
    browser = make(certificate=str(certificate), key=str(key))
    root = f'https://localhost:{browser.console.port}'
    token = next(iter(browser.console.access.tokens.values()))
    request = urllib.request.Request(
        f'{root}/session', json.dumps({'token': token}).encode(), {'Origin': root}
    )
    context = ssl.create_default_context(cafile=str(certificate))
    with urllib.request.urlopen(request, context=context) as response:
        assert 'Secure' in response.headers['Set-Cookie']
    with pytest.raises(urllib.error.URLError, match='certificate verify failed'):
        urllib.request.urlopen(root, context=ssl.create_default_context())
    assert browser.console.links().popitem()[1].startswith('https://127.0.0.1:')


def test_what_cannot_be_served_is_said(make, robots, tmp_path):
    port = make().console.port
    for values, words in (
        ({'certificate': __file__}, 'belong together'),
        ({'certificate': 'no.pem', 'key': __file__}, 'there is no such file'),
        ({'certificate': __file__, 'key': __file__, 'port': 0}, 'cannot serve'),
        ({'port': port}, 'cannot serve at 127.0.0.1'),
        ({'address': '203.0.113.7', 'port': 0}, 'cannot serve'),
    ):
        with pytest.raises(ValueError, match=words):
            Console(build(ConsoleParameters, values), robots).start()


@pytest.mark.slow
def test_a_past_episode_is_cut_out_of_the_recording(make, robots, tmp_path):
    recording, robot = tmp_path / 'recording', robots['r1']
    status = {'state': 'IDLE', 'step': 0, 'frames': 0, 'bytes': 0, 'message': ''}
    robot.on_navigator(instruction_id='a', instruction='go', reason='NONE', **status)
    robot.on_navigator(instruction_id='a', instruction='go', reason='SUCCEEDED', **status)
    now = int(time.time())
    with BagWriter(recording) as writer:
        for seconds, topic, text in (
            (-100, 'policy_settings', 'old'),
            (-90, 'policy_settings', 'latched'),
            (-80, 'instruction', 'before'),
            (0, 'instruction', 'go'),
            (60, 'instruction', 'after'),
        ):
            message = writer.message_class('std_msgs/msg/String')(data=text)
            writer.write_message(f'/r1/{topic}', message, (now + seconds) * 1_000_000_000)
    path = '/recording?robot=r1&episode='
    browser = make()
    browser.login()
    assert browser.ask('GET', f'{path}a').status == 404  # nothing is recorded here
    browser = make(recording=str(recording))
    assert browser.ask('GET', f'{path}a').status == 401
    browser.login(Role.VIEWER)
    assert browser.ask('GET', f'{path}a').status == 403
    browser.login()
    for wrong in ('b', '', '../a'):
        assert browser.ask('GET', f'{path}{wrong}').status == 404
    answer = browser.ask('GET', f'{path}a')
    assert answer.status == 200 and 'episode_a.mcap' in answer.headers['Content-Disposition']
    (tmp_path / 'got.mcap').write_bytes(answer.body)
    with Bag(tmp_path / 'got.mcap') as bag:
        decode = bag.decoder(bag.topics)
        assert [decode(message).data for message in bag.messages()] == ['latched', 'go']
    robot.timeline.episodes[0].began -= 1000.0
    robot.timeline.episodes[0].ended -= 1000.0
    assert browser.ask('GET', f'{path}a').status == 404
    assert {one.name for one in tmp_path.iterdir()} == {'recording', 'got.mcap'}
