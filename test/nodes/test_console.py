"""The console beside real nodes and the simulator, by its protocol and in a browser."""

import asyncio
import json
import re
import signal
import subprocess
import time
from types import SimpleNamespace
import urllib.request

from browser import Browser, hear, say
from chromium import CHROMIUM, Chromium
from geometry_msgs.msg import Twist
from janusvln_ros.console.access import Role
from janusvln_ros.msg import MotionStatus, NavigatorStatus
from janusvln_ros.navigation.mission import State
from janusvln_ros.nodes.common.qos import LATCHED
from nav_msgs.msg import Odometry
import pytest
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from ros import spinning
from waiting import stays, wait_for

pytestmark = [pytest.mark.ros, pytest.mark.slow]
PATIENCE = 60.0  # s, on a busy machine


class Witness(Node):
    """Hears what the robot is told and does."""

    def __init__(self, context):
        super().__init__('witness', context=context)
        self.commanded, self.navigator, self.motion, self.turned = Twist(), None, None, 0.0
        self.create_subscription(
            Twist, 'cmd_vel', lambda message: setattr(self, 'commanded', message), 10
        )
        self.create_subscription(
            NavigatorStatus,
            'navigator_status',
            lambda message: setattr(self, 'navigator', message),
            LATCHED,
        )
        self.create_subscription(
            MotionStatus, 'motion_status', lambda message: setattr(self, 'motion', message), 10
        )
        self.create_subscription(Odometry, 'odom', self.on_odometry, qos_profile_sensor_data)

    def on_odometry(self, message):
        self.turned += abs(message.twist.twist.angular.z) / 20.0

    def moves(self):
        return self.commanded != Twist()


@pytest.fixture
def witness(ros_domain):
    with spinning(Witness, ros_domain) as node:
        yield node


@pytest.fixture
def console(witness, start_command, start_navigator):
    """
    Give what is needed to talk to a console beside a simulated robot that is ready.

    All of it on simulated time: a simulator that a busy machine slows down is no fault then.
    """
    timed = ('--ros-args', '-p', 'use_sim_time:=true')
    start_command('sim_robot', *timed, '-p', 'image_width:=160', '-p', 'image_height:=120')
    start_command('motion_executor', *timed)
    start_navigator('heartbeat_rate:=5.0', 'use_sim_time:=true')
    process = start_command('console', *timed, '-p', 'port:=0', stdout=subprocess.PIPE, text=True)
    links = []
    while len(links) < 2:
        links += re.findall(r'http://\S+', process.stdout.readline())
    tokens = dict(zip(Role, reversed([link.split('#token=')[1] for link in links])))
    port = int(re.search(r':(\d+)/', links[0])[1])
    fake = SimpleNamespace(port=port, access=SimpleNamespace(tokens=tokens))
    wait_for(
        lambda: witness.navigator and witness.navigator.state == State.IDLE and witness.motion,
        'a robot that is ready',
        120.0,
    )
    return SimpleNamespace(process=process, link=links[0], browser=Browser(fake), port=port)


def test_a_killed_console_stops_the_robot_and_the_navigator_does_not_notice(console, witness):
    console.browser.login()
    number = iter(range(1, 1000))

    async def drive() -> None:
        socket = await console.browser.socket('robot')

        async def ask(**message):
            while True:
                name = next(number)
                await say(socket, id=name, **message)
                answer = await hear(socket, 'answer', PATIENCE)
                # a navigator that has just begun may be unseen, or not have heard the clock
                if answer['done'] or not re.search('is not there|/clock', answer['text']):
                    return answer
                await asyncio.sleep(0.2)

        await say(socket, type='look', size='large')
        seen = await hear(socket, 'picture', PATIENCE)
        await say(socket, type='seen', number=seen)
        refused = await ask(type='do', verb='send', text=' ')
        assert not refused['done'] and 'it is empty' in refused['text']
        assert (await ask(type='do', verb='send', text='L R .2'))['text'] == 'accepted'
        told = (await hear(socket, 'decisions', PATIENCE))['decisions'][0]
        assert told['action'] == 2
        assert (await ask(type='take'))['done']
        end = time.monotonic() + PATIENCE
        while not (witness.moves() and witness.navigator.state == State.PAUSED):
            await say(socket, type='drive', linear=0.0, angular=1.0, time=time.monotonic())
            message = await socket.read_message()
            if isinstance(message, bytes):
                await say(socket, type='seen', number=int.from_bytes(message[:4], 'little'))
            assert time.monotonic() < end, json.loads(message).get('drive')

    asyncio.run(drive())
    session = witness.navigator.session_id
    console.process.send_signal(signal.SIGKILL)
    wait_for(lambda: not witness.moves(), 'zero', PATIENCE)
    stays(lambda: not witness.moves(), 'the robot stands', 0.5)
    assert witness.navigator.state == State.PAUSED and witness.navigator.session_id == session


@pytest.mark.skipif(not CHROMIUM, reason='Chromium is not here')
def test_in_a_browser(console, witness, tmp_path):
    page = Chromium(tmp_path / 'profile', 1400, 900)
    try:
        asyncio.run(use(page, console, witness))
    finally:
        page.end()


async def use(page: Chromium, console, witness: Witness) -> None:
    """Log in, instruct, scrub, drive, lose the tab, stop, reset."""
    headline = "document.getElementById('headline').innerText"
    await page.open(console.link)
    await page.until(headline, 'ready', lambda text: text == 'Ready')
    assert await page.run('location.hash') == ''
    await page.until("document.getElementById('rate').innerText", 'pictures', lambda t: t > '1')
    await page.until("document.getElementById('latency').innerText", 'age', lambda t: 'ms' in t)

    await page.run(f"document.getElementById('say').value = {json.dumps('L L F .3')}")
    await page.click('send')
    answer = "document.getElementById('answer').innerText"
    assert await page.until(answer, 'an answer', lambda text: '…' not in text) == 'accepted'
    await page.until("document.getElementById('time').max", 'decisions', lambda n: int(n) >= 2)
    assert witness.turned > 0.1
    await page.run(
        "(() => { const s = document.getElementById('time'); s.value = 0;"
        " s.dispatchEvent(new Event('input')); })()"
    )
    assert 'PAST' in await page.text('past')
    await page.until(
        "document.getElementById('time-text').innerText", '1', lambda t: t[:2] == '1 '
    )
    await page.screens('decision')
    await page.click('live')

    await page.click('take')
    await page.until(headline, 'the wheel', lambda text: text == 'You drive')
    await page.until("document.getElementById('stick').className", 'live', lambda t: t == 'live')
    await page.key('d', True)
    await until(lambda: witness.commanded.angular.z < -0.1, 'it turns')
    await page.screens('drive')
    await page.resize(390, 844)
    both = (
        "['picture', 'stick'].every((id) => { const b = document.getElementById(id)"
        '.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight; })'
    )
    await page.run('scrollTo(0, 0)')
    await page.until(both, 'picture and stick on a telephone', lambda seen: seen)
    await page.resize(1400, 900)
    await page.key('d', False)
    await until(lambda: not witness.moves(), 'it stands after key up')
    await page.key('a', True)
    await until(lambda: witness.commanded.angular.z > 0.1, 'it turns again')
    await page.run(
        "(() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); })()"
    )
    await until(lambda: not witness.moves(), 'it stands when the tab is hidden')
    await page.run(
        "(() => { Object.defineProperty(document, 'hidden', {value: false});"
        " document.dispatchEvent(new Event('visibilitychange')); })()"
    )
    await page.until(headline, 'paused', lambda text: text == 'Paused')
    assert witness.navigator.state == State.PAUSED

    await page.click('resume')
    await page.until(headline, 'it goes on', lambda text: text in ('Deciding', 'Moving'))
    await page.click('stop')
    await page.until(headline, 'stopped', lambda text: text == 'Stopped')
    assert witness.motion.state == MotionStatus.STATE_ESTOPPED
    assert 'has stopped' in await page.text('stop-state')
    await page.screens('stopped')
    await page.click('reset')
    await page.click('ask-yes')
    question = "document.getElementById('ask-text').innerText"
    await page.until(question, 'asked again', lambda text: 'Reset the stop' in text)
    assert witness.motion.state == MotionStatus.STATE_ESTOPPED
    await page.click('ask-yes')
    await page.until(headline, 'reset', lambda text: text == 'Ready')
    assert 'ESTOPPED' in await page.text('past-episodes')

    await page.click('leave')
    await page.until("document.getElementById('login').hidden", 'login', lambda gone: not gone)
    assert page.problems == []
    with urllib.request.urlopen(console.link.split('#')[0]) as answer:
        assert answer.status == 200


async def until(condition, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)
