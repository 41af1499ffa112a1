"""`janusvln data from-bag` on a camera that somebody carries: it tilts, goes aside and back."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

from chromium import CHROMIUM, Chromium
import cv2
from janusvln_ros.actions import Action
from janusvln_ros.recordings import topics
from janusvln_ros.recordings.bag import Bag
from janusvln_ros.recordings.headings import heading_of, of_body, of_camera
from janusvln_ros.recordings.timeline import choose_topics, read_timeline
from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import read_annotations
from janusvln_ros.training.data.recorded import read_recorded, Recorded
from made_bags import Leg, MadeBag
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytestmark = pytest.mark.slow  # together
STILL = (1.0, 0.0, 0.0, 0.0)
AHEAD = (2.5, 0.4, 0.0, 0.0)  # 1 m
ASIDE = (3.0, 0.05, 0.3, 0.1)
BACK = (2.0, -0.3, 0.0, 0.0)
LEFT = (0.5 * np.pi / 0.6, 0.0, 0.0, 0.6)
CARRIED = [STILL, AHEAD, ASIDE, AHEAD, BACK, LEFT, AHEAD]
OPTICAL = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # in the camera's body


class HandHeld(MadeBag):
    """
    A camera in a hand, whose poses have six degrees of freedom, with depth beside its pictures.

    frame: 'body', 'optical', or 'lying', which is neither. rise: m that it goes up and down.
    """

    def __init__(
        self, legs: list[Leg], frame: str = 'body', rise: float = 0.1, **more: object
    ) -> None:
        super().__init__(legs, **more)
        self.frame, self.rise = frame, rise

    def height(self, when: float) -> float:
        return 1.4 + self.rise / 2 * math.sin(when)

    def turned(self, when: float, yaw: float) -> tuple[float, float, float, float]:
        yaw += 0.01 * math.sin(9 * when)
        angles = yaw, 0.45 + 0.15 * math.sin(1.3 * when), 0.2 * math.sin(2 * when)
        turn = Rotation.from_euler('ZYX', angles)
        if self.frame == 'optical':
            turn = turn * OPTICAL
        elif self.frame == 'lying':
            turn = turn * Rotation.from_euler('X', math.pi)
        x, y, z, w = turn.as_quat()
        return float(x), float(y), float(z), float(w)

    def _image(self, when: float, logged: int, number: int) -> None:
        super()._image(when, logged, number)
        header, depth = self._header(when, 'camera'), np.full((24, 32), 1500, np.uint16)
        message = self._of(topics.IMAGE, header=header, height=24, width=32, encoding='16UC1',
                           is_bigendian=0, step=64, data=depth.view(np.uint8).ravel())  # fmt: skip
        self._writer.write_message('/depth/image_raw', message, logged)
        packed = cv2.imencode('.png', depth)[1].ravel()
        message = self._of(topics.COMPRESSED_IMAGE, header=header, data=packed,
                           format='16UC1; compressedDepth png')  # fmt: skip
        self._writer.write_message('/depth/image_raw/compressedDepth', message, logged)


def from_bag(capfd: pytest.CaptureFixture[str], *words: object, status: int = 0) -> str:
    """Run the command; give its notes, and errors."""
    assert main(['from-bag', *map(str, words)]) == status
    return capfd.readouterr().err


def only(folder: Path) -> Recorded:
    (story,) = read_recorded(folder)
    (trajectory,) = read_annotations(folder)
    assert len(trajectory.pictures) == len(story.steps)
    return story


@pytest.mark.parametrize('source', ['odometry', 'tf'])
@pytest.mark.parametrize('frame', ['body', 'optical'])
def test_what_no_step_does_is_cut_out_and_the_rest_is_kept(tmp_path, capfd, source, frame):
    bag = HandHeld(CARRIED, frame, source=source).write(tmp_path / 'bag')
    notes = from_bag(capfd, bag, tmp_path / 'out')
    story = only(tmp_path / 'out')
    assert [cut.why for cut in story.cuts] == ['strafing', 'reversing']
    assert 'bag_000: strafing from' in notes and 'bag_000: reversing from' in notes
    assert story.actions.count(Action.MOVE_FORWARD) in (10, 11, 12)
    assert story.actions.count(Action.TURN_LEFT) in (6, 7)
    assert story.drift[1][0] < 0.2
    assert ('optical frame of a camera' in notes) == (frame == 'optical')
    assert ('optical' in story.motion) == (frame == 'optical')
    assert 'heights' not in notes


def test_depth_beside_the_pictures_is_not_taken_for_them(tmp_path, capfd):
    bag = HandHeld([STILL, AHEAD, STILL]).write(tmp_path / 'bag')
    from_bag(capfd, bag, tmp_path / 'out')
    assert only(tmp_path / 'out').camera == '/image'
    named = '--image-topic', '/depth/image_raw'
    error = from_bag(capfd, bag, tmp_path / 'two', *named, status=2)
    assert 'topic /depth/image_raw holds depth, not pictures' in error


def test_poses_of_a_frame_that_does_not_stand_are_refused(tmp_path, capfd):
    bag = HandHeld(CARRIED, 'lying').write(tmp_path / 'bag')
    error = from_bag(capfd, bag, tmp_path / 'out', status=2)
    assert '/odom is no pose of a robot: neither the z axis of its frame points up' in error


def test_heights_that_no_floor_has_are_told(tmp_path, capfd):
    bag = HandHeld([STILL, AHEAD, STILL, AHEAD], rise=0.8).write(tmp_path / 'bag')
    notes = from_bag(capfd, bag, tmp_path / 'out')
    assert 'the heights of /odom differ by 0.8 m over' in notes and 'z is up' in notes
    assert only(tmp_path / 'out').actions[-1] == Action.STOP


def test_going_aside_more_than_back_is_strafing_and_times_are_of_the_drive(tmp_path, capfd):
    legs = [STILL, (2.0, -0.12, 0.25, 0.0), STILL, AHEAD, STILL]
    bag = HandHeld(legs).write(tmp_path / 'bag')
    from_bag(capfd, bag, tmp_path / 'out')
    story = only(tmp_path / 'out')
    (cut,) = story.cuts
    assert cut.why == 'strafing' and cut.moved == pytest.approx(0.55, abs=0.05)
    assert 0.0 <= cut.begin < 1.3 and cut.end <= story.steps[0].time


def test_a_drive_that_is_cut_out_altogether_says_so(tmp_path, capfd):
    bag = HandHeld([STILL, (3.0, 0.0, 0.3, 0.0), STILL]).write(tmp_path / 'bag')
    lines = from_bag(capfd, bag, tmp_path / 'out', status=2).splitlines()
    assert any('bag_000: strafing from' in line for line in lines)
    assert any('what is left does not move by a step' in line for line in lines)
    assert lines[-1] == 'janusvln data from-bag: there is no trajectory'


def test_another_transform_of_tf_is_offered(tmp_path, capfd):
    class OtherNames(HandHeld):
        def _header(self, when: float, frame: str) -> object:
            return super()._header(when, {'odom': 'slam'}.get(frame, frame))

    bag = OtherNames(CARRIED, 'optical', source='tf').write(tmp_path / 'bag')
    error = from_bag(capfd, bag, tmp_path / 'out', status=2)
    assert 'slam to base_link: choose by --frames' in error
    from_bag(capfd, bag, tmp_path / 'out', '--frames', 'slam', 'base_link')
    assert only(tmp_path / 'out').cuts


def test_a_replay_sees_the_same_path_by_either_frame(tmp_path):
    found = []
    for frame in ('body', 'optical'):
        with Bag(HandHeld(CARRIED, frame).write(tmp_path / frame)) as bag:
            path = read_timeline(bag, choose_topics(bag)).path
            found.append(np.stack([path.x, path.y, path.yaw], 1))
    assert len(found[0]) > 300
    assert np.abs(found[0] - found[1]).max() < 1e-6


@pytest.mark.skipif(CHROMIUM is None, reason='there is no chromium')
def test_the_page_shows_between_which_pictures_something_is_cut_out(tmp_path):
    bag = HandHeld(CARRIED).write(tmp_path / 'bag')
    assert main(['from-bag', str(bag), str(tmp_path / 'out')]) == 0
    story = only(tmp_path / 'out')

    async def look() -> tuple[list[list[object]], int]:
        browser = Chromium(tmp_path / 'profile', 1400, 900)
        try:
            await browser.open((tmp_path / 'out' / 'pages' / 'bag_000.html').as_uri())
            found = await browser.run(
                '[...document.querySelectorAll("#film button")].map((b, i) => [i, b.title])'
                '.filter(pair => pair[1])'
            )
            ways = 'document.querySelectorAll("#map polyline[stroke-dasharray]").length'
            lines = await browser.run(ways)
            assert browser.problems == []
            return found, lines
        finally:
            browser.end()

    found, lines = asyncio.run(look())
    assert [said for _, said in found] == [
        f'before it is cut out: {why}' for why in ('strafing', 'reversing')
    ]
    for (index, _), cut in zip(found, story.cuts):
        assert story.steps[index - 1].time <= cut.begin and cut.end <= story.steps[index].time
    assert lines == 3  # where steps lead, not through what is cut out


@pytest.mark.parametrize('yaw', [-3.0, -1.0, 0.4, 2.5])
def test_both_frames_of_a_camera_look_the_same_way(yaw):
    turns = [Rotation.from_euler('ZYX', (yaw, tilt, 0.2)) for tilt in (-0.3, 0.2, 0.6)]
    body, camera = (
        [_message(turn.as_quat()) for turn in those]
        for those in (turns, [turn * OPTICAL for turn in turns])
    )
    assert heading_of(body) is of_body and heading_of(camera) is of_camera
    assert heading_of([]) is of_body
    for one, other in zip(body, camera):
        assert of_body(one) == pytest.approx(yaw)
        assert math.remainder(of_camera(other) - yaw, math.tau) == pytest.approx(0.0, abs=1e-9)


def _message(numbers: np.ndarray) -> object:
    return type('Quaternion', (), dict(zip('xyzw', map(float, numbers))))
