"""What documents promise: files that exist, one version, a changelog that follows it."""

import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PATHS = {'PYTHONPATH': str(ROOT)}
ANSWERS = re.findall(
    r'^\| ([^|]+) \| `([^`]+)` \|$',
    (ROOT / 'CONTRIBUTING.md').read_text().split('## Where does it go?')[1],
    re.MULTILINE,
)


def test_a_newcomer_finds_ten_answers():
    assert len(ANSWERS) == 10


@pytest.mark.parametrize(('question', 'path'), ANSWERS)
def test_each_answer_is_one_file(question: str, path: str):
    assert len(list(ROOT.glob(path.replace('NAME', 'go2')))) == 1


def test_every_room_stands_in_contributing():
    rooms = {path.parent.name for path in (ROOT / 'janusvln_ros').glob('*/__init__.py')}
    table = (ROOT / 'CONTRIBUTING.md').read_text().split('## Rooms')[1].split('\n## ')[0]
    assert all(f'`{room}`' in table for room in rooms)


def test_the_changelog_follows_the_version():
    version = ElementTree.parse(ROOT / 'package.xml').getroot().findtext('version')
    headings = re.findall(r'^(\S.*)\n-+$', (ROOT / 'CHANGELOG.rst').read_text(), re.MULTILINE)
    assert headings[0] == 'Forthcoming'
    assert re.fullmatch(re.escape(version) + r' \(\d{4}-\d{2}-\d{2}\)', headings[1])
    assert re.fullmatch(r'\d+\.\d+\.\d+', version)


def test_the_faults_of_the_matrix_are_those_of_the_document():
    pytest.importorskip('rclpy', reason='the matrix needs ROS 2')
    command = [sys.executable, str(ROOT / 'benchmarks' / 'fault_matrix.py'), '--list']
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **PATHS})
    assert run.returncode == 0, run.stderr

    def declared(text: str) -> list[list[str]]:
        """Return name, what the robot does, and limit of each row."""
        return [line.split('|')[1:4] for line in text.splitlines() if line.startswith('| ')]

    text = (ROOT / 'docs' / 'safety.md').read_text()
    table = text.split('<!-- fault matrix -->')[1].split('<!-- end of the fault matrix -->')[0]
    assert declared(table) == declared(run.stdout)
    assert len(declared(table)) > 100 and 'not tried' not in table
