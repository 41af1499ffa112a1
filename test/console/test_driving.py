"""One drives at a time, sees what he does, and the robot stands when he does not."""

import asyncio
from contextlib import asynccontextmanager
import json
import time

from browser import hear, say
from janusvln_ros.console.pictures import HEADER
from janusvln_ros.console.wheel import Wheel
import pytest

FORWARD = (0.2, 0.0)


def moves(robot):
    return [one for one in robot.driven if one != (0.0, 0.0)]


@asynccontextmanager
async def driver(browser, looks=True):
    """Give the socket of one who has the wheel and sees pictures, and the states it is told."""
    socket, robot = await browser.socket(), browser.console.robots['r1']
    states: list[dict] = []
    going = True

    async def see() -> None:
        while going:
            robot.live()
            browser.console.news('r1')
            await asyncio.sleep(0.05)

    async def read() -> None:
        while (message := await socket.read_message()) is not None:
            if isinstance(message, bytes):
                await say(socket, type='seen', number=HEADER.unpack_from(message)[0])
            elif (told := json.loads(message))['type'] == 'state':
                states.append(told)

    await say(socket, type='take', id=1)
    assert (await hear(socket, 'answer'))['done']
    tasks = [asyncio.ensure_future(read())]
    if looks:
        await say(socket, type='look', size='large')
        tasks.append(asyncio.ensure_future(see()))
        await asyncio.sleep(0.3)
    try:
        yield socket, states
    finally:
        going = False
        for task in tasks:
            task.cancel()
        socket.close()
        await asyncio.sleep(0.1)


async def hold(socket, seconds, **values):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        held = {'linear': 1.0, 'angular': 0.0, 'time': time.monotonic(), **values}
        await say(socket, type='drive', **held)
        await asyncio.sleep(0.05)


def test_who_has_the_wheel_drives_and_nobody_else(browser):
    browser.login()
    robot = browser.console.robots['r1']

    async def drive() -> None:
        async with driver(browser) as (first, _):
            assert robot.asked[0] == ('take', '')
            second = await browser.socket()
            await say(second, type='take', id=7)
            answer = await hear(second, 'answer')
            assert not answer['done'] and 'somebody else drives' in answer['text']
            await hold(second, 0.2)
            assert not moves(robot)
            await say(second, type='do', id=8, verb='send', text='go')
            assert 'a person drives' in (await hear(second, 'answer'))['text']
            await hold(first, 0.3)
            assert set(moves(robot)) == {FORWARD}
            second.close()

    asyncio.run(drive())
    assert robot.asked[-1] == ('watch', False) and ('give',) in robot.asked


@pytest.mark.slow
def test_closing_the_page_lets_go_and_silence_sends_nothing(browser):
    browser.login()
    robot = browser.console.robots['r1']

    async def drive() -> None:
        async with driver(browser) as (socket, _):
            await hold(socket, 0.2)
            count = len(robot.driven)
            await asyncio.sleep(0.25)  # the executor halts by itself meanwhile
            assert len(robot.driven) == count
            await asyncio.sleep(0.3)
            assert len(robot.driven) > count and robot.driven[-1] == (0.0, 0.0)
            await hold(socket, 0.2)
            assert ('give',) not in robot.asked

    asyncio.run(drive())
    assert ('give',) in robot.asked


@pytest.mark.parametrize(
    'trouble', ['no picture', 'old picture', 'frozen', 'silent', 'not paused']
)
def test_driving_is_locked_while_the_driver_sees_nothing_new(browser, trouble):
    browser.login()
    robot = browser.console.robots['r1']

    async def drive() -> None:
        async with driver(browser, looks=trouble != 'no picture') as (socket, states):
            if trouble == 'old picture':
                robot.clock = lambda: time.time() + 1.0
            elif trouble == 'frozen':
                robot.on_pose('odometry', 0.0, 0.0, 0.0)
                robot.on_picture(time.time(), 7, lambda: None)
                robot.on_pose('odometry', 0.1, 0.0, 0.0)
                robot.live = lambda: robot.on_picture(time.time(), 7, robot.frame.rgb)
            elif trouble == 'silent':
                robot._heard.clear()
                robot.live = lambda: robot.on_picture(time.time(), 0, robot.frame.rgb)
            elif trouble == 'not paused':
                robot.hear('navigator', state='DECIDING', frames=0)
            await hold(socket, 0.3)
            words = {'no picture': 'not there', 'frozen': 'does not change'}
            word = words.get(trouble, trouble.split()[0])
            while word not in states[-1]['drive']['lock']:
                await asyncio.sleep(0.05)

    if trouble in ('no picture', 'silent'):
        robot._heard.clear()
    if trouble == 'no picture':
        robot.hear('motion', state='IDLE', result='NONE', message='', open_loop=False)
    asyncio.run(drive())
    assert not moves(robot)


def test_one_who_says_nothing_loses_the_wheel_after_a_while():
    wheel, who = Wheel(), object()
    assert wheel.take(who, 0.0) == ''
    wheel.hear(who, 1.0, 0.0, 100.0, 0.1)
    assert not wheel.lost(3.0) and wheel.lost(3.2)
    assert wheel.give(who) and not wheel.give(who)
    assert wheel.take(object(), 4.0) == ''


def test_what_comes_late_is_zero():
    wheel, who = Wheel(), object()
    wheel.take(who, 0.0)
    assert wheel.hear(who, 1.0, 0.5, 100.0, 0.1) == (1.0, 0.5)
    assert wheel.hear(who, 1.0, 0.5, 100.1, 0.25) == (1.0, 0.5)
    assert wheel.hear(who, 1.0, 0.5, 100.2, 0.6) == (0.0, 0.0)
    assert wheel.hear(object(), 1.0, 0.5, 100.3, 0.4) == (0.0, 0.0)


def test_a_reset_is_asked_for_twice(browser):
    browser.login()
    robot = browser.console.robots['r1']

    async def reset() -> None:
        socket = await browser.socket()
        await say(socket, type='reset', id=1)
        code = (await hear(socket, 'confirm'))['code']
        for wrong in (None, 'x', 7, True):
            await say(socket, type='reset', id=2, code=wrong)
            code = (await hear(socket, 'confirm'))['code']
        assert not robot.asked
        await say(socket, type='reset', id=3, code=code)
        assert (await hear(socket, 'answer'))['done']
        await say(socket, type='reset', id=4, code=code)
        await hear(socket, 'confirm')

    asyncio.run(reset())
    assert [one for one in robot.asked if one[0] == 'reset_e_stop'] == [('reset_e_stop', '')]
