"""A real browser, headless, driven over its DevTools."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
import json
import os
from pathlib import Path
import shutil
import subprocess
from typing import Any
import urllib.request

from tornado.websocket import websocket_connect

SHOTS = os.environ.get('JANUSVLN_SCREENSHOTS')  # a folder for pictures
SCREENS = (1400, 900), (390, 844)
_NAMES = 'chromium', 'chromium-browser', 'google-chrome'
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)


class Chromium:
    """One page. `await` all of it in one event loop."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._size, self._count = (width, height), 0
        self.problems: list[str] = []  # what the page has complained about
        self._process = subprocess.Popen(
            [
                str(CHROMIUM),
                '--headless=new',
                '--no-sandbox',
                '--disable-gpu',
                '--remote-debugging-port=0',
                f'--user-data-dir={folder}',
                f'--window-size={width},{height}',
                'about:blank',
            ],
            stderr=subprocess.PIPE,
            text=True,
        )

    async def open(self, url: str) -> None:  # noqa: A003
        """Open a page."""
        port = next(
            line.rsplit(':', 1)[1].split('/')[0]
            for line in self._process.stderr or ()
            if 'DevTools listening' in line
        )
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/json') as answer:
            pages = json.load(answer)
        page = next(one for one in pages if one['type'] == 'page')
        self._socket = await websocket_connect(
            page['webSocketDebuggerUrl'], max_message_size=1 << 27
        )
        for domain in ('Runtime', 'Log', 'Page'):
            await self.call(f'{domain}.enable')
        await self.resize(*self._size)
        await self.call('Page.navigate', url=url)
        await self.until(
            "location.protocol !== 'about:' && document.readyState", 'the page', 'complete'.__eq__
        )

    async def resize(self, width: int, height: int) -> None:
        """Be a screen of another size; a narrow one is a telephone."""
        await self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    async def call(self, method: str, **parameters: Any) -> Any:
        """Send a command; return its result."""
        self._count += 1
        number = self._count
        await self._socket.write_message(
            json.dumps({'id': number, 'method': method, 'params': parameters})
        )
        while True:
            message = json.loads(await asyncio.wait_for(self._socket.read_message(), 60.0))
            if message.get('id') == number:
                assert 'error' not in message, message
                return message['result']
            if message.get('method') in ('Runtime.exceptionThrown', 'Log.entryAdded'):
                self.problems.append(json.dumps(message['params'])[:500])

    async def run(self, script: str) -> Any:
        """Return the value of a script."""
        result = await self.call(
            'Runtime.evaluate', expression=script, awaitPromise=True, returnByValue=True
        )
        assert 'exceptionDetails' not in result, (script, result)
        return result['result'].get('value')

    async def text(self, name: str) -> str:
        """Return the text of what has an id."""
        return await self.run(f"document.getElementById('{name}').innerText")

    async def click(self, name: str) -> None:
        """
        Click on what has an id, as a finger would: nothing may lie above it.

        Again if nothing has heard it: on a busy computer a button is disabled for a moment.
        """
        await self.run(
            "addEventListener('click', (event) => { window.hit = "
            f"document.getElementById('{name}').contains(event.target); }}, "
            '{capture: true, once: true})'
        )
        heard, tries = None, 0
        while heard is None and tries < 10:
            tries += 1
            place = await self.until(
                f"(() => {{ window.hit = null; const e = document.getElementById('{name}'); "
                "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect(); "
                'const at = [b.left + b.width / 2, b.top + b.height / 2]; '
                'return !e.disabled && e.contains(document.elementFromPoint(...at)) && at; })()',
                f'{name} is disabled or hidden, or something lies above it',
            )
            for kind in ('mousePressed', 'mouseReleased'):
                await self.call(
                    'Input.dispatchMouseEvent',
                    type=kind,
                    x=place[0],
                    y=place[1],
                    button='left',
                    clickCount=1,
                )
            heard = await self.run(
                'new Promise((heard) => '
                'setTimeout(() => heard(window.hit), window.hit === null ? 500 : 0))'
            )
        assert heard, f'a click on {name} was not heard, or by something else'

    async def key(self, key: str, down: bool) -> None:
        """Press or let go of a key."""
        kind = 'rawKeyDown' if down else 'keyUp'
        await self.call('Input.dispatchKeyEvent', type=kind, key=key)

    async def press(self, key: str) -> None:
        """Press a key that does something, and let go of it."""
        code = {'Enter': 13, 'Tab': 9, 'Escape': 27}[key]
        text = {'text': '\r'} if key == 'Enter' else {}
        for kind in ('keyDown', 'keyUp'):
            await self.call(
                'Input.dispatchKeyEvent',
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(text if kind == 'keyDown' else {}),
            )

    async def touch(self, name: str = '', across: float = 0.5, down: float = 0.5) -> None:
        """Put a finger on what has an id, at shares of its size; without one: take it away."""
        points = []
        if name:
            box = await self.run(
                f"(() => {{ const b = document.getElementById('{name}').getBoundingClientRect();"
                ' return [b.left, b.top, b.width, b.height]; })()'
            )
            points = [{'x': box[0] + across * box[2], 'y': box[1] + down * box[3]}]
        kind = 'touchStart' if name else 'touchEnd'
        await self.call('Input.dispatchTouchEvent', type=kind, touchPoints=points)

    async def until(
        self, script: str, what: str, fits: Callable[[Any], bool] = bool, patience: float = 60.0
    ) -> Any:
        """Wait until a script gives what fits; return that."""
        end = asyncio.get_running_loop().time() + patience
        while True:
            value = await self.run(script)
            if fits(value):
                return value
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(
                    f'{what}: {value!r}; page: {await self.run("document.body.innerText")}'
                )
            await asyncio.sleep(0.1)

    async def screens(self, name: str) -> None:
        """Look at two sizes whether all can be read; keep pictures where that is asked for."""
        for width, height in SCREENS:
            await self.resize(width, height)
            await asyncio.sleep(0.3)
            assert await self.run('document.documentElement.scrollWidth') <= width
            for problems in (OVERLAPS, FAINT):
                found = await self.run(problems)
                assert not found, found
            if SHOTS:
                Path(SHOTS).mkdir(parents=True, exist_ok=True)
                await self.shoot(Path(SHOTS) / f'{name}_{width}x{height}.png')
        await self.resize(*SCREENS[0])

    async def shoot(self, path: Path) -> None:
        """Write a picture of the page, of a telephone's all of it."""
        shot = await self.call('Page.captureScreenshot', captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot['data']))

    def end(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()


# Texts that lie upon each other.
OVERLAPS = """
(() => {
  const texts = 'button, h2, dd, dt, label, output, textarea, li';
  const apart = 'dialog, header, .stage';
  const shown = [...document.querySelectorAll(texts)]
    .filter((e) => e.checkVisibility() && !e.closest(apart));
  const found = [];
  for (const a of shown) for (const b of shown) {
    if (a === b || a.contains(b) || b.contains(a)) continue;
    const p = a.getBoundingClientRect(), q = b.getBoundingClientRect();
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 1) found.push(`${a.outerHTML} / ${b.outerHTML}`);
  }
  return found;
})()
"""

# Texts whose contrast with what is behind them is below AA of WCAG; disabled controls need none.
FAINT = """
(() => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colours) => {
    paint.clearRect(0, 0, 1, 1);
    for (const colour of colours) { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (colours) => {
    const [r, g, b] = rgb(colours).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const words = [...e.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!(words || e.matches('input, textarea')) || !e.checkVisibility()) continue;
    if (e.matches(':disabled, noscript')) continue;
    const style = getComputedStyle(e), behind = [];
    for (let up = e; up; up = up.parentElement) {
      behind.unshift(getComputedStyle(up).backgroundColor);
    }
    const [low, high] = [light(behind), light([...behind, style.color])].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const ratio = (high + 0.05) / (low + 0.05);
    const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    if (ratio < least) found.push(`${ratio} ${e.outerHTML}`);
  }
  return found;
})()
"""
