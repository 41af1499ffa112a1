"""A page for each recorded trajectory: to look at it, and to mend it."""

from __future__ import annotations

from pathlib import Path

import cv2
from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.imaging.page import data_url, render
from janusvln_ros.training.data.layout import read_annotations, read_picture
from janusvln_ros.training.data.recorded import read_recorded, Recorded
from tqdm import tqdm

PAGES = 'pages'
_WIDTH = 640  # pixels of a picture on the page, at most
_QUALITY = 80


def write_pages(folder: Path) -> list[Path]:
    """Write the pages of a folder of recorded trajectories; ValueError where there are none."""
    stories = list(read_recorded(folder))
    if not stories:
        raise ValueError(
            f'{folder} has no recorded trajectories; make some: janusvln data from-bag'
        )
    pictures = {one.name: one for one in read_annotations(folder)}
    (folder / PAGES).mkdir(exist_ok=True)
    names = [story.name for story in stories]
    written = []
    for number, story in enumerate(tqdm(stories, 'pages', leave=False, disable=None)):
        trajectory = pictures.get(story.name)
        if trajectory is None or len(trajectory.pictures) != len(story.steps):
            raise ValueError(f'{folder}: annotations.json and recorded/{story.name}.json differ')
        urls = [_url(trajectory.folder / name) for name in trajectory.pictures]
        page = folder / PAGES / f'{story.name}.html'
        page.write_text(
            render(
                'training/data/trajectory.html',
                name=story.name,
                notes=story.notes,
                facts=_facts(story),
                before=names[number - 1] if number else '',
                after=names[number + 1] if number + 1 < len(names) else '',
                place=f'{number + 1} of {len(names)}',
                data={
                    'name': story.name,
                    'instruction': story.instruction,
                    'names': ACTION_NAMES,
                    'track': [_rounded(pose) for pose in story.track],
                    'cuts': [
                        {'why': cut.why, 'end': round(cut.end, 2), 'place': _rounded(cut.place)}
                        for cut in story.cuts
                    ],
                    'steps': [
                        {
                            'action': step.action,
                            'time': round(step.time, 2),
                            'lag': round(step.lag, 3),
                            'pose': _rounded(step.pose),
                            'ideal': _rounded(step.ideal),
                            'picture': url,
                        }
                        for step, url in zip(story.steps, urls)
                    ],
                },
            ),
            encoding='utf-8',
        )
        written.append(page)
    return written


def _facts(story: Recorded) -> list[tuple[str, str]]:
    def off(pair: tuple[float, float]) -> str:
        return f'{100 * pair[0]:.0f} cm, {pair[1] * 57.29578:.0f}°'

    median, worst, end = story.drift
    return [
        ('bag', ', '.join(story.bags)),
        ('pictures', story.camera),
        ('path', story.motion),
        ('steps', f'{len(story.steps)} in {story.steps[-1].time - story.steps[0].time:.0f} s'),
        ('steps off the track', f'median {off(median)}; worst {off(worst)}; end {off(end)}'),
    ]


def _rounded(pose: tuple[float, float, float]) -> list[float]:
    return [round(value, 3) for value in pose]


def _url(path: Path) -> str:
    """Give a picture as the page shows it."""
    rgb = read_picture(path)
    height, width = rgb.shape[:2]
    if width > _WIDTH:
        size = _WIDTH, round(height * _WIDTH / width)
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    packed = cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return data_url('image/jpeg', packed.tobytes())
