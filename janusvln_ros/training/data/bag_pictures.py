"""The pictures of a robot's bag: the nearest to where each step begins, written as they pass."""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.actions import Action
from janusvln_ros.imaging.encodings import ImageError
from janusvln_ros.recordings.frames import Frame, ImageReader
from janusvln_ros.recordings.messages import shortened
from janusvln_ros.training.data.bag_drives import BagOfDrives, Drive
from janusvln_ros.training.data.layout import AnnotationWriter
from janusvln_ros.training.data.recorded import Recorded
from janusvln_ros.training.data.segmenter import Step
from janusvln_ros.training.data.stories import best_time, cut_out, Source, tell, why_not
from tqdm import tqdm

PAUSE = 1.0  # s without a picture that are told


@dataclass(frozen=True)
class _Taken:
    """A step's picture: when it was taken (ns), and how much later than it should have (s)."""

    step: Step
    time: int
    lag: float


class PictureFinder:
    """Finds and writes the pictures of drives, in the order of recording."""

    def __init__(self, drives: list[Drive], writer: AnnotationWriter) -> None:
        self.notes: list[str] = []
        self._writer = writer
        self._waiting = [
            (drive, step, window)
            for drive in drives
            if drive.found is not None
            for step, window in zip(drive.found.steps, drive.windows)
        ]
        self._taken: dict[str, list[_Taken]] = {drive.name: [] for drive in drives}
        self._stories: list[Recorded] = []

    def look(self, bag: BagOfDrives) -> None:
        """Go through the pictures of the next bag."""
        reader = ImageReader(bag.bag, bag.camera)
        before: tuple[int, Frame] | None = None
        pauses, broken = [], []
        total = bag.bag.counts.get(bag.camera)
        messages = tqdm(
            bag.bag.messages([bag.camera]), 'pictures', total, leave=False, disable=None
        )
        for message in messages:
            frame = reader.frame(message)
            if frame is None or frame.stamp is None:
                continue
            time = bag.picture_clock.at(frame.stamp, frame.logged)
            if before is not None and time <= before[0]:
                continue  # a repeated picture, or one that comes too late
            if before is not None and time - before[0] > PAUSE * 1e9:
                pauses.append(
                    f'{bag.bag.path}: {bag.camera} pauses for {(time - before[0]) / 1e9:.1f} s, '
                    f'{(before[1].logged - bag.first) / 1e9:.1f} s after the beginning'
                )
            broken += self._take(before, (time, frame), bag)
            before = time, frame
        # What the bag's last picture has to serve, since its poses end here.
        broken += self._take(before, None, bag)
        self.notes += shortened(pauses) + shortened(broken)
        self.notes += [f'{bag.bag.path}: {one}' for one in reader.problems]

    def _take(
        self, before: tuple[int, Frame] | None, after: tuple[int, Frame] | None, bag: BagOfDrives
    ) -> list[str]:
        """Serve the steps that no later picture is nearer to; return what was wrong."""
        broken = []
        while self._waiting:
            drive, step, (low, high) = self._waiting[0]
            if str(bag.bag.path) not in drive.bags:
                break
            best = best_time(step)
            if after is None and best > bag.last_time:
                break
            if after is not None and after[0] < best:
                break
            del self._waiting[0]
            frames = [one for one in (before, after) if one is not None]
            frames.sort(key=lambda one: abs(one[0] - best))
            for time, frame in frames:
                taken = self._taken[drive.name]
                if not low <= time <= high or (taken and time <= taken[-1].time):
                    continue
                try:
                    rgb = frame.rgb()
                except ImageError as error:
                    broken.append(
                        f'{bag.bag.path}: picture {frame.index} of {bag.camera} cannot be read '
                        f'and is left out ({error})'
                    )
                    continue
                self._writer.picture(drive.name, len(taken), rgb)
                taken.append(_Taken(step, time, (time - best) / 1e9))
                break
            if step.action == Action.STOP:
                self._finish(drive)
        return broken

    def finish(self) -> list[Recorded]:
        """Give what was written, in order; what waits for pictures still gets none."""
        for drive, step, _ in self._waiting:
            if step.action == Action.STOP:
                self._finish(drive)
        self._waiting = []
        return self._stories

    def _finish(self, drive: Drive) -> None:
        """Write what goes with the pictures of a drive; the last of them is that of STOP."""
        found, taken = drive.found, self._taken.pop(drive.name)
        assert found is not None
        steps = [one.step for one in taken]
        self.notes += [f'{drive.name}: {note}' for note in cut_out(found, len(taken))]
        why = why_not(found, steps)
        if why:
            self.notes.append(f'{drive.name} ({drive.instruction!r}) is left out: {why}')
            self._writer.forget(drive.name)
            return
        source = Source(
            drive.name, drive.instruction, tuple(drive.bags), drive.camera, drive.motion
        )
        story = tell(source, found, [(one.step, one.lag) for one in taken], drive.shown)
        story.write(self._writer.folder)
        self._writer.finish(story.name, [story.instruction], story.actions)
        self._stories.append(story)
