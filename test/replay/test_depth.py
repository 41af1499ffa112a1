"""Depth in a replay: pictures of it, its topics, and a cloud of the whole walk in its place."""

from dataclasses import replace
import json
import math
import re

import av
from janusvln_ros.policy import JanusPolicy
from janusvln_ros.policy.interface import FrameGeometry
from janusvln_ros.policy.metric_depth import DepthParameters
from janusvln_ros.policy.pinhole import downward, Pinhole
from janusvln_ros.recordings.frames import Frame
from janusvln_ros.recordings.timeline import RecordedPath
from janusvln_ros.replay.depth import DepthReader, level_mount
from janusvln_ros.replay.points import Points, ThinnedCloud, WalkCloud
from janusvln_ros.replay.run import Seen
from made_bags import EPOCH, MadeBag, number_of, poses
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

pytestmark = pytest.mark.slow
HFOV, HEIGHT, TILT, UNIT, WALL = 1.4, 1.25, 0.15, 2.5, 3.0
WIDTH = 84  # pixels that the policy sees
LEGS = [(1.0, 0.5, 0.0, 0.0), (2.0, 0.0, 0.0, 1.0), (1.0, 0.5, 0.0, 0.0)]
MOUNTED = f'--camera-height={HEIGHT}', f'--camera-tilt={TILT}'


def seen_from(x, y, yaw, ahead_of_base=0.0):
    """Give what a perfect head says in a room: a floor, walls 3 m from where odometry begins."""
    x, y = x + ahead_of_base * math.cos(yaw), y + ahead_of_base * math.sin(yaw)
    rays = Pinhole.of_field(32, 24, HFOV).seen_by_encoder(WIDTH).rays()
    down = downward(TILT)
    ahead, left = rays @ np.array([0.0, -down[2], down[1]]), -rays[..., 0]
    ways = (
        math.cos(yaw) * ahead - math.sin(yaw) * left,
        math.sin(yaw) * ahead + math.cos(yaw) * left,
    )
    with np.errstate(divide='ignore'):
        reached = [np.where(rays @ down > 0, HEIGHT / (rays @ down), np.inf)]
        reached += [(np.copysign(WALL, way) - at) / way for way, at in zip(ways, (x, y))]
    depth = (np.min(reached, axis=0) / UNIT).astype(np.float32)
    confidence = np.full(depth.shape, 2.0, np.float32)
    confidence[:3] = 1.1
    return FrameGeometry(depth, confidence)


@pytest.fixture
def room(monkeypatch):
    """Give a bag's drive; the depth head sees the room from where its robot was."""
    step, drive = JanusPolicy.step, MadeBag(LEGS, hfov=HFOV, camera_rate=4.0)
    found = poses(LEGS, 30.0)

    def look(self, rgb, geometry=False):
        decision = step(self, rgb)
        if not geometry:
            return decision
        when = drive.times[number_of(rgb)]
        place = [pose for pose in found if pose[0] <= when][-1]
        ahead_of_base = drive.mount[0] if drive.mount else 0.0
        return replace(decision, geometry=seen_from(*place[1:4], ahead_of_base))

    monkeypatch.setattr(JanusPolicy, 'step', look)
    return drive


def points(folder):
    return f'--points={folder / "walk.ply"}', *MOUNTED, '--every=frame'


def vertices(path):
    """Read a PLY file: places (N, 3) and colours (N, 3)."""
    plyfile = pytest.importorskip('plyfile')
    found = plyfile.PlyData.read(str(path))['vertex']
    return tuple(
        np.stack([found[name] for name in names], axis=1)
        for names in (('x', 'y', 'z'), ('red', 'green', 'blue'))
    )


def off_the_room(places):
    """Tell how far points are from floor and walls, m."""
    x, y, z = np.abs(places.T)
    return np.min([z, np.abs(WALL - x), np.abs(WALL - y)], axis=0)


def test_the_cloud_of_a_walk_is_the_room(tmp_path, replay, room, capsys):
    status, _ = replay(
        room.write(tmp_path / 'bag'),
        f'--points={tmp_path / "walk.ply"}',
        *MOUNTED,
        '--every=frame',
    )
    assert status == 0
    said = capsys.readouterr().out
    assert re.search(r'\d+ points of 1[56] frames in .*walk\.ply, one each 2 cm', said), said
    assert '1 frames are not in the cloud: depth was not known in metres' in said  # the first
    places, colours = vertices(tmp_path / 'walk.ply')
    assert len(places) > 5000
    off = off_the_room(places)
    assert np.quantile(off, 0.95) < 0.08 and off.max() < 0.3
    on_walls = places[places[:, 2] > 0.3]
    assert {'x', 'y'} == {'xy'[n] for n in np.unique(np.abs(on_walls[:, :2]).argmax(axis=1))}
    assert {tuple(colour) for colour in colours} <= {(0, 16 * n, 0) for n in range(16)} | {
        (16, 16 * n, 0) for n in range(16)
    }
    assert b'floor' in (tmp_path / 'walk.ply').read_bytes()[:300]


def test_tf_tells_where_the_camera_sits(tmp_path, replay, room, capsys):
    room.mount = 0.4, TILT
    height = f'--camera-height={HEIGHT}'
    bag = room.write(tmp_path / 'bag')
    status, folder = replay(bag, f'--points={tmp_path / "walk.ply"}', height, '--every=frame')
    assert status == 0
    off = off_the_room(vertices(tmp_path / 'walk.ply')[0])
    assert np.quantile(off, 0.95) < 0.08 and off.max() < 0.3
    assert 'looks 8.6 degrees down, by tf_static' in (folder / 'report.html').read_text()


def test_report_video_and_bag_show_depth(tmp_path, replay, room, capsys):
    status, folder = replay(
        room.write(tmp_path / 'bag'),
        '--depth',
        *MOUNTED,
        '--every=0.5s',
        '--video',
        '--output-bag',
    )
    assert status == 0
    page = (folder / 'report.html').read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert len(data['depths']) == len(data['pictures']) == len(data['steps'])
    assert all(picture.startswith('data:image/jpeg') for picture, *_ in data['depths'])
    assert {title for _, title, _ in data['depths']} >= {
        'depth in metres: scale from height, +- 7 %'
    }
    with av.open(str(folder / 'video.mp4')) as video:
        assert {(one.width, one.height) for one in video.decode(video=0)} == {(1280, 596)}
    with AnyReader([folder / 'bag']) as bag:
        counts = {topic.topic: topic.msgcount for topic in bag.connections}
    for names, unknown in (
        (('relative', 'confidence'), 0),
        (('image', 'camera_info', 'points'), 1),  # metres take two frames that agree
    ):
        for name in names:
            assert counts[f'/replay/depth/{name}'] == len(data['steps']) - unknown, name


def test_another_library_reads_the_points_of_the_bag(tmp_path, replay, room):
    pypcd4 = pytest.importorskip('pypcd4')
    _, folder = replay(
        room.write(tmp_path / 'bag'), '--depth', *MOUNTED, '--every=frame', '--output-bag',
        '--points-stride=2',
    )  # fmt: skip
    newest = {}
    with AnyReader([folder / 'bag']) as bag:
        for topic, _, data in bag.messages():
            newest[topic.topic] = bag.deserialize(data, topic.msgtype)
    image, info, cloud = (newest[f'/replay/depth/{n}'] for n in ('image', 'camera_info', 'points'))
    depth = image.data.view('<f4').reshape(image.height, image.width)[::2, ::2]
    assert (cloud.height, cloud.width) == depth.shape
    assert cloud.header == image.header == info.header
    found = pypcd4.PointCloud.from_msg(cloud)
    assert found.fields == ('x', 'y', 'z', 'rgb')
    x, y, z = found.numpy(('x', 'y', 'z')).T.reshape(3, *depth.shape)
    assert np.array_equal(z, depth, equal_nan=True) and np.isnan(depth).any()
    columns, rows = np.meshgrid(*(np.arange(0, n, 2) for n in (image.width, image.height)))
    known = np.isfinite(depth)
    assert np.allclose(x[known], ((columns - info.k[2]) / info.k[0] * z)[known], atol=1e-5)
    assert np.allclose(y[known], ((rows - info.k[5]) / info.k[4] * z)[known], atol=1e-5)
    colours = pypcd4.PointCloud.decode_rgb(found.pc_data['rgb'])
    assert len(np.unique(colours, axis=0)) == 1
    assert tuple(colours[0]) == tuple(newest['/image'].data[:3])


def test_ctrl_c_keeps_the_cloud(tmp_path, replay, room, monkeypatch, capsys):
    look, count = JanusPolicy.step, 0

    def interrupted(self, rgb, geometry=False):
        nonlocal count
        count += 1
        if count == 6:
            raise KeyboardInterrupt
        return look(self, rgb, geometry)

    monkeypatch.setattr(JanusPolicy, 'step', interrupted)
    status, folder = replay(
        room.write(tmp_path / 'bag'),
        f'--points={tmp_path / "walk.ply"}',
        *MOUNTED,
        '--every=frame',
    )
    assert status == 130
    assert 'of 4 frames' in capsys.readouterr().out
    places, _ = vertices(tmp_path / 'walk.ply')
    assert len(places) > 1000 and off_the_room(places).max() < 0.3
    assert 'interrupted' in (folder / 'report.html').read_text()


@pytest.mark.parametrize(
    'bag, options, said',
    [
        ({'source': 'twist', 'hfov': HFOV}, MOUNTED, 'needs odometry'),
        ({}, MOUNTED, 'needs a camera_info beside /image'),
        ({'hfov': HFOV}, (), 'give --camera-height'),
    ],
)
def test_points_say_what_they_lack(tmp_path, replay, capsys, bag, options, said):
    made = MadeBag(LEGS, camera_rate=2.0, **bag).write(tmp_path / 'bag')
    status, _ = replay(made, f'--points={tmp_path / "walk.ply"}', *options, '--every=frame')
    error = capsys.readouterr().err
    assert status == 2 and said in error.splitlines()[-1]
    assert not (tmp_path / 'walk.ply').exists()


def test_a_walk_without_metres_says_that_there_is_no_cloud(tmp_path, replay, capsys):
    bag = MadeBag(LEGS, camera_rate=1.0, hfov=HFOV).write(tmp_path / 'bag')
    assert replay(bag, *points(tmp_path))[0] == 0  # random weights see no floor
    said = capsys.readouterr().out
    assert 'walk.ply is not written: no frame has points in metres' in said
    assert '4 frames are not in the cloud: depth was not known in metres' in said
    assert not (tmp_path / 'walk.ply').exists()


def test_depth_without_metres_is_shown_as_relative(tmp_path, replay, room):
    made = MadeBag(LEGS, camera_rate=4.0)  # without camera_info
    made.write(tmp_path / 'bag')
    room.times = made.times
    status, folder = replay(tmp_path / 'bag', '--depth', *MOUNTED, '--every=0.5s', '--output-bag')
    assert status == 0
    page = (folder / 'report.html').read_text()
    assert 'depth relative, not in metres: the recording has no camera_info' in page
    with AnyReader([folder / 'bag']) as bag:
        topics = set(bag.topics)
    assert '/replay/depth/relative' in topics and '/replay/depth/image' not in topics


def test_recorded_depth_is_not_taken_for_the_camera(tmp_path, replay, drive):
    pictures = [(time, image) for topic, time, image in drive.messages if topic == '/image']
    messages = [
        ('/front/image_raw' if topic == '/image' else topic, time, message)
        for topic, time, message in drive.messages
    ]
    messages += [('/depth/image', *picture) for picture in pictures[:3]]
    bag = replace(drive, messages=messages).write(tmp_path / 'bag')
    assert replay(bag, '--compare', 'live')[0] == 0


def test_a_walk_ends_where_odometry_begins_anew(tmp_path):
    path = RecordedPath()
    for n in range(200):
        later = 5 if n >= 100 else 0  # s of silence
        path.append(EPOCH + n * 10**7 + later * 10**9, n * 0.01 if n < 100 else 0.0, 0.0, 0.0)
    cloud = WalkCloud(tmp_path / 'walk.ply', path, HEIGHT, level_mount(TILT))
    seen = seen_from(0.0, 0.0, 0.0)
    measured = _measured(seen)
    for stamp in (EPOCH + 10**8, EPOCH + 6 * 10**9, EPOCH + 10**12):
        frame = Frame(0, stamp, stamp, lambda: None)
        cloud.add(None, Seen(frame, np.zeros((24, 32, 3), np.uint8), measured))
    cloud.close()
    first, second = vertices(tmp_path / 'walk.ply')[0], vertices(tmp_path / 'walk_2.ply')[0]
    assert np.allclose(np.median(first[:, 0]) - np.median(second[:, 0]), 0.1, atol=0.03)
    assert 'walk_2.ply' in cloud.told[1] and '1 frames are not' in cloud.told[2]


def _measured(seen):
    lens = Pinhole.of_field(32, 24, HFOV)
    info = type('CameraInfo', (), {
        'width': 32, 'height': 24, 'd': [],
        'k': [lens.fx, 0, lens.cx, 0, lens.fy, lens.cy, 0, 0, 1],
    })  # fmt: skip
    reader = DepthReader(DepthParameters(HEIGHT, TILT), info, RecordedPath(), None)
    rgb = np.zeros((24, 32, 3), np.uint8)
    reader.read(seen, rgb, None)
    return reader.read(seen, rgb, None)


def test_a_cloud_is_bounded_and_keeps_what_was_seen_from_near():
    cloud, rng = ThinnedCloud(limit=2000), np.random.default_rng(0)
    for n in range(40):
        places = rng.uniform(0, 1, (1000, 3)).astype('<f4')
        near = np.full(1000, 40 - n, '<f4')
        cloud.add(Points(places, np.full((1000, 3), n, np.uint8), near))
        assert cloud.held <= 5000
    points = cloud.thinned()
    assert 200 < len(points.places) <= 2000
    assert cloud.voxel > 0.05
    assert np.median(points.distances) < 10
    cubes = np.floor(points.places / cloud.voxel)
    assert len(np.unique(cubes, axis=0)) == len(cubes)
