"""The page in a real browser, with robots that write down what is asked of them."""

import asyncio
import json

from browser import SCRIPT
from chromium import CHROMIUM, Chromium
from janusvln_ros.console.access import Role
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason='Chromium is not here')]
NAVIGATOR = {'state': 'PAUSED', 'step': 3, 'frames': 12, 'bytes': 1, 'message': ''}


@pytest.fixture
def use(browser, tmp_path):
    """Give a function that has somebody use the page while the robots live."""

    def run(user, role=Role.OPERATOR) -> None:
        console = browser.console

        async def live() -> None:
            while True:
                for name, robot in console.robots.items():
                    robot.live()
                    robot.on_navigator(
                        instruction_id='a', instruction=SCRIPT, reason='NONE', **NAVIGATOR
                    )
                    console.news(name)
                await asyncio.sleep(0.1)

        async def both() -> None:
            alive = asyncio.ensure_future(live())
            page = Chromium(tmp_path / 'profile', 1400, 900)
            try:
                await page.open(console.links()[role])
                await user(page)
                assert page.problems == []
            finally:
                alive.cancel()
                page.end()

        asyncio.run(both())

    return run


def moved(robot):
    return [one for one in robot.driven if one != (0.0, 0.0)]


async def moves(page, robot):
    await page.until('0', 'it is driven', lambda _: moved(robot), 10.0)


async def stands(page, robot):
    await page.until('0', 'it stands', lambda _: robot.driven[-1] == (0.0, 0.0), 10.0)
    robot.driven.clear()


@pytest.mark.timeout(120)
def test_several_robots_on_one_page_and_one_of_them_by_hand(use, robots):
    async def user(page: Chromium) -> None:
        first = "document.querySelector('#all section')"
        await page.until(f'{first} && {first}.innerText', 'a card', lambda t: 'Paused' in str(t))
        names = await page.run(
            "[...document.querySelectorAll('#all button')].map(b => b.innerText)"
        )
        assert names == ['r1', SCRIPT]
        await page.until(
            '0', 'pictures', lambda _: all(('watch', True) in one.asked for one in robots.values())
        )
        await page.screens('all')
        assert await page.run("document.querySelectorAll('img').length") == 0

        await page.run(f'{first}.querySelector("button").focus()')
        await page.press('Enter')
        await page.until("document.getElementById('work').hidden", 'one robot', lambda h: not h)
        assert SCRIPT in await page.text('order-text')
        await page.run("document.getElementById('take').focus()")
        await page.press('Enter')
        await page.until("!!document.querySelector('#stick.live:not([hidden])')", 'the stick')
        robot = robots['r1']

        await page.touch('stick', 0.5, 0.1)
        await moves(page, robot)
        assert moved(robot)[-1][0] > 0.1 and abs(moved(robot)[-1][1]) < 0.1
        await page.touch()
        await stands(page, robot)
        await page.run('navigator.getGamepads = () => [{connected: true, axes: [-1, 0]}]; 0')
        await moves(page, robot)
        assert moved(robot)[-1] == (0.0, 0.6)
        await page.run('navigator.getGamepads = () => [{connected: true, axes: [0, 0.1]}]; 0')
        await stands(page, robot)
        await page.run('navigator.getGamepads = () => []; 0')
        await page.key('ArrowUp', True)
        await moves(page, robot)
        await page.run("document.querySelector('#robots button').click()")  # all of them again
        await stands(page, robot)
        assert ('give',) in robot.asked and not moved(robots[SCRIPT])

        await page.press('Escape')
        await page.until('1', 'stopped', lambda _: ('stop',) in robots[SCRIPT].asked)
        assert ('stop',) in robot.asked

    use(user)


@pytest.mark.timeout(120)
def test_the_page_by_keyboard_and_for_a_screen_reader(use):
    async def user(page: Chromium) -> None:
        await page.until("document.querySelectorAll('#all section').length", 'cards')
        await page.run("document.querySelector('#all button').click()")
        await page.until(
            "document.getElementById('take').disabled", 'it is here', lambda no: not no
        )
        await page.run('document.activeElement.blur()')
        reached = []
        while True:
            await page.press('Tab')
            told = await page.run(
                '(() => { const e = document.activeElement; '
                "const name = e === document.body ? 'BODY' : e.id || e.innerText || e.tagName; "
                'return [name, getComputedStyle(e).outlineStyle]; })()'
            )
            if told[0] in [name for name, _ in reached] or told[0] == 'BODY' or len(reached) > 40:
                break
            reached.append(told)
        order = [name for name, _ in reached]
        wanted = 'leave', 'stop', 'say', 'send', 'cancel', 'resume', 'forget', 'take'
        assert [name for name in order if name in wanted] == list(wanted), order
        assert [name for name, outline in reached if outline == 'none'] == []
        tree = (await page.call('Accessibility.getFullAXTree'))['nodes']
        controls = [
            node
            for node in tree
            if not node['ignored']
            and node['role']['value'] in ('button', 'textbox', 'slider', 'image', 'status', 'link')
        ]
        nameless = [
            node['role']['value']
            for node in controls
            if not node.get('name', {}).get('value') and node['role']['value'] != 'status'
        ]
        assert len(controls) > 15 and not nameless, json.dumps(nameless)
        await page.screens('one')
        await page.run("document.getElementById('leave').click()")
        await page.until("document.getElementById('login').hidden", 'login', lambda gone: not gone)
        await page.screens('login')

    use(user)
