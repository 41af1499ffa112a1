"""The report says what was decided, stands alone, and works in a real browser."""

import html
import json
from pathlib import Path
import re
import shutil
import subprocess

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.depth import DepthPicture
from janusvln_ros.recordings.timeline import RecordedAction, RecordedPath
from janusvln_ros.replay.compare import compare
from janusvln_ros.replay.decisions import DecisionRecord
from janusvln_ros.replay.depth import SeenDepth
from janusvln_ros.replay.report import MAX_PATH_POINTS, ReportHeader, Thumbnails, write_report
from janusvln_ros.replay.run import Outcome, Seen, Step, Timing
import numpy as np
import pytest

NASTY = 'Go to the </script><b onload="x">"red" & \u00e9 chair\' @@DATA@@ <!--'
BROWSER = shutil.which('chromium') or shutil.which('google-chrome')


def outcome(count: int, deep: bool = False) -> tuple[Outcome, Thumbnails, RecordedPath]:
    rng = np.random.default_rng(0)
    thumbnails, path, steps = Thumbnails(), RecordedPath(), []
    for i in range(count):
        p = tuple(float(np.float32(v)) for v in rng.dirichlet([1, 1, 1, 1]))
        stamp = 10**18 + i * 10**9
        action = int(np.argmax(p))
        decision = DecisionRecord(i // 50, NASTY, i % 50, 2 * i, stamp, ACTION_NAMES[action], p)
        recorded = RecordedAction(stamp, stamp, 'a', i, 1, p, 0.1)
        timing = Timing(0.1 + i / 1e4, {'vision': 0.05}, min(i, 56), 56, 1000 * i)
        step = Step(decision, timing, recorded)
        steps.append(step)
        rgb, depth = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), None
        if deep:
            values = np.full((48, 64), 1.0 + i % 4)
            depth = SeenDepth(None, None, DepthPicture(values, i >= 50, f'why <{i}> ' * 9))
        thumbnails.add(step, Seen(None, rgb, depth))
        for j in range(10):
            path.append(stamp + j * 10**8, i + j / 10, np.sin(i / 9), 0.1 * i)
    return Outcome(steps, ['a note: <1>']), thumbnails, path


def write(target: Path, count: int, random_weights: bool = False, deep: bool = False) -> str:
    result, thumbnails, path = outcome(count, deep)
    ours = [step.decision for step in result.steps]
    header = ReportHeader(
        'bag <1>',
        [('model', '/a&b')],
        path if count else RecordedPath(),
        [('live', compare(ours, ours))],
        random_weights,
    )
    write_report(target, header, result, thumbnails)
    return target.read_text(encoding='utf-8')


def test_the_report_holds_all_data_and_no_foreign_markup(tmp_path):
    page = write(tmp_path / 'r.html', 120)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert len(data['steps']) == 120 and data['episodes'][1]['instruction'] == NASTY
    assert [e['first'] for e in data['episodes']] == [0, 50, 100]
    text = re.search(r'<pre id="decisions" hidden>\n(.*?)</pre>', page, re.S)[1]
    result, _, _ = outcome(120)
    assert html.unescape(text) == ''.join(s.decision.to_line() + '\n' for s in result.steps)
    assert NASTY not in page and '<b onload' not in page
    assert page.count('</script>') == 2
    assert 'a note: &lt;1&gt;' in page and 'random one' not in page
    assert 'random one' in write(tmp_path / 'r.html', 3, random_weights=True)


def test_the_report_needs_no_network(tmp_path):
    page = write(tmp_path / 'r.html', 5)
    assert not re.search(r'(src|href)\s*=\s*["\'](?!data:|\$\{)', page)
    assert not re.search(r'https?://|@import|url\(', page)


def test_pictures_and_path_are_thinned_out_evenly(tmp_path):
    thumbnails = Thumbnails(limit=240)
    rgb = np.zeros((4, 4, 3), np.uint8)
    for i in range(5000):
        thumbnails.add(None, Seen(None, rgb))
        assert len(thumbnails.pictures) <= 240
        if i == 239:
            assert [n for n, *_ in thumbnails.pictures] == list(range(240))
    numbers = [n for n, *_ in thumbnails.pictures]
    assert numbers[0] == 0 and len(set(np.diff(numbers))) == 1 and len(numbers) >= 120
    assert numbers[-1] > 4950
    path = RecordedPath()
    for i in range(50_000):
        path.append(i * 10**7, i / 1000, 0.0, 0.0)
    write_report(
        tmp_path / 'r.html', ReportHeader('a', [], path, [], False), Outcome(), thumbnails
    )
    data = re.search(r'id="data">(.*?)</script>', (tmp_path / 'r.html').read_text(), re.S)[1]
    (points,) = json.loads(data)['path']
    assert MAX_PATH_POINTS / 2 < len(points) <= MAX_PATH_POINTS + 1
    assert points[0] == [0, 0] and points[-1] == [49.999, 0]


PROBE = """
<script>
addEventListener('error', e => document.title = 'ERROR ' + e.message);
</script>"""
MEASURE = """
<script>
addEventListener('load', async () => {
  if (document.title.startsWith('ERROR')) return;
  const get = id => document.getElementById(id);
  get('slider').value = 77;
  get('slider').oninput({target: get('slider')});
  let saved = null;
  URL.createObjectURL = blob => { saved = blob; return '#'; };
  document.querySelector('[data-from=decisions]').click();
  const lines = (await saved.text()).trimEnd().split('\\n');
  const overlap = [...document.querySelectorAll('.tile, .card')].some(e =>
    e.scrollWidth > e.clientWidth + 1);
  document.title = 'RESULT ' + JSON.stringify({
    wide: document.documentElement.scrollWidth > innerWidth, overlap,
    details: get('details').textContent, action: get('action').textContent,
    instruction: get('instruction').textContent, lines: lines.length,
    last: JSON.parse(lines[lines.length - 1]).frame,
    plots: [...document.querySelectorAll('.plot svg')].map(s => s.clientWidth > 200),
    film: get('film').children.length,
    picture: get('picture').naturalWidth});
});
</script>"""


def browse(page: Path, width: int, profile: Path) -> dict:
    run = subprocess.run(
        [
            BROWSER,
            *'--headless --no-sandbox --disable-gpu --disable-quic --no-first-run'.split(),
            *'--disable-background-networking --disable-component-update --disable-sync'.split(),
            f'--user-data-dir={profile}',
            f'--window-size={width},900',
            '--virtual-time-budget=5000',
            '--dump-dom',
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    title = re.search(r'<title>(.*?)</title>', run.stdout, re.S)[1]
    assert title.startswith('RESULT '), title
    return json.loads(html.unescape(title.removeprefix('RESULT ')))


@pytest.mark.skipif(BROWSER is None, reason='needs Chromium')
@pytest.mark.parametrize('width', [500, 1280])
def test_in_a_browser(tmp_path, width):
    page = write(tmp_path / 'r.html', 120)
    page = page.replace('<head>', f'<head>{PROBE}').replace('</body>', f'{MEASURE}</body>')
    (tmp_path / 'probe.html').write_text(page, encoding='utf-8')
    seen = browse(tmp_path / 'probe.html', width, tmp_path / 'profile')
    result, _, _ = outcome(120)
    answer = result.steps[77].decision.action
    assert not seen['wide'] and not seen['overlap'], 'something sticks out to the right'
    assert '78 of 120' in seen['details'] and 'pose' in seen['details']
    assert seen['action'] == answer.rpartition('_')[2].lower()
    assert seen['instruction'] == NASTY
    assert (seen['lines'], seen['last']) == (120, 238)
    assert seen['plots'] == [True] * 4 and seen['film'] == 120 and seen['picture'] == 64


DEPTH = """
<script>
addEventListener('load', () => {
  if (document.title.startsWith('ERROR')) return;
  const get = id => document.getElementById(id);
  const shown = [3, 77].map(number => {
    get('slider').value = number;
    get('slider').oninput({target: get('slider')});
    return {title: get('depth-title').textContent, depth: get('depth').src,
      marks: [...get('marks').children].map(mark => mark.textContent)};
  });
  const inside = [...get('marks').children].every(mark => {
    const [a, b] = [mark.getBoundingClientRect(), get('player').getBoundingClientRect()];
    return a.left >= b.left && a.right <= b.right;
  });
  const [camera, depth] = ['picture', 'depth'].map(id => get(id).getBoundingClientRect());
  document.title = 'RESULT ' + JSON.stringify({shown, inside,
    wide: document.documentElement.scrollWidth > innerWidth,
    beside: camera.right <= depth.left, below: camera.bottom <= depth.top,
    same: Math.abs(camera.width - depth.width) < 2});
});
</script>"""


@pytest.mark.skipif(BROWSER is None, reason='needs Chromium')
@pytest.mark.parametrize('width', [500, 1280])
def test_depth_in_a_browser(tmp_path, width):
    page = write(tmp_path / 'r.html', 120, deep=True)
    assert 'id="depth"' not in write(tmp_path / 's.html', 3)
    page = page.replace('<head>', f'<head>{PROBE}').replace('</body>', f'{DEPTH}</body>')
    (tmp_path / 'probe.html').write_text(page, encoding='utf-8')
    seen = browse(tmp_path / 'probe.html', width, tmp_path / 'profile')
    relative, metric = seen['shown']
    assert relative['marks'] == ['nearest', 'farthest']
    assert metric['marks'] == ['0 m', '1 m', '2 m', '3 m', '4 m', '5 m+']
    assert 'not in metres: why <3>' in relative['title'] and 'why <77>' in metric['title']
    assert relative['depth'] != metric['depth']
    assert seen['inside'] and not seen['wide'] and seen['same']
    assert (seen['beside'], seen['below']) == (width > 760, width <= 760)


@pytest.mark.skipif(BROWSER is None, reason='needs Chromium')
def test_an_empty_report_in_a_browser(tmp_path):
    page = write(tmp_path / 'r.html', 0)
    measure = MEASURE[: MEASURE.index("  get('slider')")] + (
        "document.title = 'RESULT ' + JSON.stringify({hidden: get('player').hidden}); });</script>"
    )
    page = page.replace('<head>', f'<head>{PROBE}').replace('</body>', f'{measure}</body>')
    (tmp_path / 'probe.html').write_text(page, encoding='utf-8')
    assert browse(tmp_path / 'probe.html', 800, tmp_path / 'profile') == {'hidden': True}
