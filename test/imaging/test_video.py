"""The MP4 file, read back."""

import av
from janusvln_ros.imaging.video import VideoWriter
import numpy as np
import pytest


@pytest.mark.parametrize('size', [(64, 48), (65, 49)])
def test_frames_come_back_in_order(tmp_path, size):
    width, height = size
    path = tmp_path / 'film.mp4'
    with VideoWriter(path, 12.5, size) as video:
        for number in range(20):
            video.write(np.full((height, width, 3), number * 12, np.uint8))
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == 'h264' and stream.codec_context.pix_fmt == 'yuv420p'
        assert float(stream.average_rate) == 12.5
        frames = [frame.to_ndarray(format='rgb24') for frame in film.decode(stream)]
    assert len(frames) == 20 and frames[0].shape == (48, 64, 3)
    assert [frame.mean() for frame in frames] == pytest.approx(range(0, 240, 12), abs=4)


def test_frame_of_another_size_is_refused(tmp_path):
    with VideoWriter(tmp_path / 'film.mp4', 5, (64, 48)) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(ValueError, match='64x48'):
            video.write(np.zeros((64, 48, 3), np.uint8))


def test_a_full_disk_is_an_error_and_no_more():
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    video = VideoWriter('/dev/full', 10.0, (640, 480))
    with pytest.raises(OSError, match='No space left'):
        for _ in range(60):
            video.write(noise)
    video.close()
