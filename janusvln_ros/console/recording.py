"""The recording of a past episode, for who wants to replay it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from pathlib import Path
import subprocess
import sys
from tempfile import TemporaryDirectory

from janusvln_ros.console.access import Role
from janusvln_ros.console.handlers import Handler
from janusvln_ros.console.timeline import Episode
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

_BEFORE, _AFTER = 2.0, 1.0  # s of the recording around an episode
_LONGEST = 600.0  # s that cutting may take
_PIECE = 1 << 18  # bytes
_PATIENCE = 30.0  # s for a piece to be taken


class Recording(Handler):
    """An episode, cut out of the recording by a process of its own. One at a time."""

    async def get(self) -> None:
        """Send an MCAP file."""
        self.entered(Role.OPERATOR)
        episode = self._episode()
        recording = Path(self.console.parameters.recording)
        if self.console.cuts:
            raise HTTPError(503, reason='another recording is being downloaded: try again')
        self.console.cuts = True
        try:
            with TemporaryDirectory(dir=recording.absolute().parent) as folder:
                target = Path(folder) / 'episode'
                await self._cut(recording, target, episode)
                await self._send(next(target.glob('*.mcap')), episode)
        except OSError as error:
            raise HTTPError(500, reason=f'it cannot be written: {error.strerror}') from None
        finally:
            self.console.cuts = False

    def _episode(self) -> Episode:
        robot = self.console.robots.get(self.get_query_argument('robot', ''))
        name = self.get_query_argument('episode', '')
        if robot is not None and self.console.parameters.recording:
            with robot.lock:
                for episode in robot.timeline.episodes:
                    if episode.name == name and episode.outcome:
                        return episode
        raise HTTPError(404, reason='there is no recording of such an episode')

    async def _cut(self, recording: Path, target: Path, episode: Episode) -> None:
        span = f'{episode.began - _BEFORE}', f'{episode.ended + _AFTER}'
        words = '-m', 'janusvln_ros.recordings.cut', recording, target, *span
        run = partial(
            subprocess.run,
            ['nice', '-n', '10', sys.executable, *map(str, words)],
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST,
        )
        done = await asyncio.get_running_loop().run_in_executor(None, run)
        if done.returncode:
            raise HTTPError(404, reason='the recording has nothing of it')

    async def _send(self, path: Path, episode: Episode) -> None:
        name = ''.join(letter for letter in episode.name[:8] if letter.isalnum())
        self.set_header('Content-Type', 'application/octet-stream')
        self.set_header('Content-Disposition', f'attachment; filename="episode_{name}.mcap"')
        self.set_header('Content-Length', str(path.stat().st_size))
        with path.open('rb') as file, contextlib.suppress(StreamClosedError):
            while piece := file.read(_PIECE):
                self.write(piece)
                await asyncio.wait_for(self.flush(), _PATIENCE)
