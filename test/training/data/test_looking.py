"""The page of a recorded trajectory, mended in a real browser, and what is built of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
import re

from chromium import CHROMIUM, Chromium
from janusvln_ros.training.data.command import main
from janusvln_ros.training.data.layout import AnnotationWriter
from made_bags import MadeBag
import numpy as np
import pytest
from waiting import wait_for

STILL, AHEAD = (1.0, 0.0, 0.0, 0.0), (2.5, 0.4, 0.0, 0.0)
WALK = [STILL, AHEAD, STILL, (0.5 * np.pi / 0.6, 0.0, 0.0, 0.6), STILL, AHEAD, STILL]
EVIL = '</script><img src=x onerror="document.title=1"> go to the door'


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of two trajectories."""
    place = tmp_path_factory.mktemp('own')
    MadeBag(WALK, said=[(0.0, EVIL), (8.0, 'go on')]).write(place / 'flat')
    assert main(['from-bag', str(place / 'flat'), str(place / 'out')]) == 0
    return place / 'out'


def built(folder: Path, *edits: object) -> list[dict[str, object]]:
    """Build examples with edits; give them."""
    target = folder.parent / 'built.jsonl'
    words = ['build', target, '--annotations', folder, *(w for e in edits for w in ('--edits', e))]
    assert main([*map(str, words)]) == 0
    return [json.loads(line) for line in target.read_text('utf-8').splitlines()]


def answers(examples: list[dict[str, object]], name: str) -> list[str]:
    return [e['conversations'][1]['value'] for e in examples if e['id'].startswith(f'{name}_')]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason='there is no chromium')
def test_a_trajectory_is_mended_in_a_browser_and_the_next_command_applies_it(folder, tmp_path):
    page = folder / 'pages' / 'flat_000.html'
    text = page.read_text('utf-8')
    assert not re.search(r'(src|href)="?(https?:)?//', text)

    saved = tmp_path / 'flat_000.edits.json'

    async def mend() -> None:
        browser = Chromium(tmp_path / 'profile', 1400, 900)
        try:
            await browser.open(page.as_uri())
            allow = {'behavior': 'allow', 'downloadPath': str(tmp_path)}
            await browser.call('Page.setDownloadBehavior', **allow)
            count = 'document.querySelectorAll("#film button").length'
            assert await browser.run(count) == 11
            assert await browser.run('document.getElementById("instruction").value') == EVIL
            assert await browser.run('document.getElementById("save").disabled')
            for width in (1400, 390):
                await browser.resize(width, 844)
                wide = 'document.documentElement.scrollWidth - innerWidth'
                assert await browser.run(wide) <= 0
            await browser.resize(1400, 900)
            await browser.key('ArrowRight', True)
            await browser.run('document.querySelector("#actions [data-action=\'3\']").click()')
            await browser.run('document.querySelector("#film button:nth-child(9)").click()')
            await browser.click('last')
            await browser.run(
                'const box = document.getElementById("instruction"); box.value = "到门口去";'
                ' box.dispatchEvent(new Event("input"))'
            )
            said = await browser.run('document.getElementById("said").textContent')
            assert said == 'steps 1 to 9 kept, 1 relabelled, other words'
            await browser.click('save')
            wait_for(lambda: saved.exists() and saved.stat().st_size > 0, 'the download')
            assert browser.problems == []
        finally:
            browser.end()

    asyncio.run(mend())
    assert json.loads(saved.read_text('utf-8'))['edits'] == {
        'flat_000': {'steps': 11, 'instruction': '到门口去', 'last': 8, 'actions': {'1': 3}}
    }
    before, after = built(folder), built(folder, saved)
    assert answers(before, 'flat_000')[:3] == ['MOVE_FORWARD'] * 3
    mended = answers(after, 'flat_000')
    assert mended[:3] == ['MOVE_FORWARD', 'TURN_RIGHT', 'MOVE_FORWARD']
    assert len(mended) == 9 and mended[-1] == 'STOP'
    assert '到门口去' in after[0]['conversations'][0]['value']
    assert answers(after, 'flat_001') == answers(before, 'flat_001')


def test_what_is_left_out_is_not_built_and_the_last_file_counts(folder, tmp_path):
    one, two = tmp_path / 'one.json', tmp_path / 'two.json'
    one.write_text('{"edits": {"flat_000": {"steps": 11, "drop": true}}}')
    two.write_text('{"edits": {"flat_000": {"steps": 11, "first": 2}}}')
    assert answers(built(folder, one), 'flat_000') == []
    assert len(answers(built(folder, one, two), 'flat_000')) == 9


@pytest.mark.parametrize(
    ('edits', 'error'),
    [
        ('{', 'not readable as JSON'),
        ('[]', 'no file of edits'),
        ('{"edits": {"flat_000": {"steps": 12}}}', 'made for 12 steps, and there are 11'),
        ('{"edits": {"flat_000": {"steps": 11, "first": 9, "last": 9}}}', 'at least two are'),
        ('{"edits": {"flat_000": {"steps": 11, "actions": {"1": 0}}}}', 'action 0 of picture 1'),
        ('{"edits": {"flat_000": {"steps": 11, "instruction": " "}}}', 'instruction is empty'),
        ('{"edits": {"flat_000": {"steps": 11, "colour": 1}}}', 'no colour can be edited'),
        ('{"edits": {"kitchen": {"steps": 3}}}', 'kitchen: there is no such trajectory'),
    ],
)
def test_edits_that_do_not_fit_are_named_and_nothing_is_written(
    folder, tmp_path, capfd, edits, error
):
    file, target = tmp_path / 'e.json', tmp_path / 'built.jsonl'
    file.write_text(edits)
    words = ['build', target, '--annotations', folder, '--edits', file]
    assert main([*map(str, words)]) == 2
    told = capfd.readouterr().err
    assert error in told and str(file) in told
    assert not target.exists()


def test_a_folder_without_recorded_trajectories_has_no_pages(tmp_path, capfd):
    AnnotationWriter(tmp_path, 'train')
    assert main(['look', str(tmp_path)]) == 2
    assert 'has no recorded trajectories' in capfd.readouterr().err
