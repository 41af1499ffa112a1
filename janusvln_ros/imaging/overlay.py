"""Draw what the policy was told, what it answered and at what cost onto a camera frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from janusvln_ros.actions import Action, ACTION_NAMES
from janusvln_ros.imaging.depth import DepthPicture, draw_depth, marks, scale_colours, stripes
import numpy as np

WIDTH = 640  # pixels; a smaller frame is enlarged to it so that the text stays legible

_PANEL = 116  # pixels
_Colour = tuple[int, int, int]  # RGB
_INK = (24, 27, 32)
_TEXT = (236, 239, 242)
_FAINT = (150, 158, 168)
_TRACK = (52, 58, 66)
_COLOURS = dict(zip(ACTION_NAMES, ((240, 96, 88), (88, 200, 130), (92, 164, 250), (250, 186, 84))))
_LABELS = ('stop', 'forward', 'left', 'right')
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MAX_LINES = 3


def annotate(
    rgb: np.ndarray,
    *,
    instruction: str,
    step: int,
    action_name: str,
    probabilities: Sequence[float],
    latency: float | None = None,
    memory: tuple[int, int] | None = None,
    depth: DepthPicture | None = None,
) -> np.ndarray:
    """
    Return a new uint8 frame (H', W', 3) with the decision drawn on and below the camera frame.

    rgb is uint8 (H, W, 3); probabilities are those of STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT;
    latency is in seconds; memory is (frames held, capacity); depth, of the same pixels as rgb,
    stands beside the frame. H' and W' are even and depend only on H and W, and whether there is
    depth, so that a video keeps its size.
    """
    scale = max(1.0, WIDTH / rgb.shape[1])
    width, height = (2 * round(side * scale / 2) for side in (rgb.shape[1], rgb.shape[0]))
    frame = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
    unit = width / WIDTH
    canvas = np.full((height + 2 * round(_PANEL * unit / 2), width, 3), _INK, np.uint8)
    canvas[:height] = frame
    _draw_instruction(canvas, instruction, unit)
    panel = canvas[height:]
    colour = _COLOURS.get(action_name, _FAINT)
    cv2.rectangle(panel, (0, 0), (width, max(1, round(2 * unit))), colour, -1)
    _draw_action(panel, action_name, colour, unit)
    _draw_bars(panel, probabilities, action_name, unit)
    _draw_numbers(panel, step, latency, memory, unit)
    if depth is None:
        return canvas
    beside = np.full_like(canvas, _INK)
    beside[:height] = draw_depth(depth, width, height)
    _draw_scale(beside[height:], depth, unit)
    return np.hstack([canvas, beside])


def _put(
    image: np.ndarray, text: str, x: float, y: float, size: float, colour: _Colour, thick: int = 1
) -> None:
    cv2.putText(image, text, (round(x), round(y)), _FONT, size, colour, thick, cv2.LINE_AA)


def _text_width(text: str, size: float) -> int:
    return cv2.getTextSize(text, _FONT, size, 1)[0][0]


def wrap(text: str, width: float, size: float) -> list[str]:
    """Break text into at most three lines of the given width in pixels; cut what is left."""
    plain = text.encode('ascii', 'replace').decode()  # the font has no other letters
    lines = ['']
    for word in plain.split():
        candidate = f'{lines[-1]} {word}'.strip()
        if _text_width(candidate, size) <= width or not lines[-1]:
            lines[-1] = candidate
        else:
            lines.append(word)
    if len(lines) > _MAX_LINES:
        lines = [*lines[: _MAX_LINES - 1], f'{lines[_MAX_LINES - 1]} ...']
    for number, line in enumerate(lines):
        while _text_width(line, size) > width:
            line = f'{line.removesuffix("...").rstrip()[:-1]}...'
        lines[number] = line
    return lines


def _draw_instruction(canvas: np.ndarray, instruction: str, unit: float) -> None:
    size, margin, advance = 0.52 * unit, 14 * unit, 21 * unit
    lines = wrap(instruction, canvas.shape[1] - 2 * margin, size)
    strip = canvas[: round(advance * len(lines) + 12 * unit)]
    strip[:] = (strip * 0.35 + np.array(_INK) * 0.65).astype(np.uint8)
    for number, line in enumerate(lines):
        _put(canvas, line, margin, advance * (number + 1), size, _TEXT)


def _draw_action(panel: np.ndarray, action_name: str, colour: _Colour, unit: float) -> None:
    centre = np.array([58, 50]) * unit
    cv2.circle(panel, _point(centre), round(36 * unit), _TRACK, -1, cv2.LINE_AA)
    if action_name == Action.STOP.name:
        half = 14 * unit
        cv2.rectangle(panel, _point(centre - half), _point(centre + half), colour, -1)
    elif action_name in _COLOURS:
        shape = _FORWARD if action_name == Action.MOVE_FORWARD.name else _TURN
        if action_name == Action.TURN_RIGHT.name:
            shape = shape * (-1, 1)
        points = np.round((centre + shape * unit) * 16).astype(np.int32)
        cv2.fillPoly(panel, [points], colour, cv2.LINE_AA, shift=4)
    label = action_name.replace('_', ' ').lower()
    size = 0.42 * unit
    _put(panel, label, centre[0] - _text_width(label, size) / 2, 105 * unit, size, colour)


def _point(xy: np.ndarray) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))


def _bent_arrow() -> np.ndarray:
    """Outline an arrow that rises and bends to the left, in pixels around its centre."""
    angles = np.radians(np.linspace(0, 90, 19))
    corner = np.array([-4, 8])
    outer = corner + 17 * np.stack([np.cos(angles), -np.sin(angles)], -1)
    inner = corner + 7 * np.stack([np.cos(angles), -np.sin(angles)], -1)
    head = np.array([[-7, -19], [-25, -4], [-7, 11]])
    return np.concatenate([[[13, 22]], outer, [[-7, -9]], head, [[-7, 1]], inner[::-1], [[3, 22]]])


_FORWARD = np.array([[0, -26], [19, -4], [6, -4], [6, 23], [-6, 23], [-6, -4], [-19, -4]])
_TURN = _bent_arrow()


def _draw_bars(
    panel: np.ndarray, probabilities: Sequence[float], action_name: str, unit: float
) -> None:
    left, right = 190 * unit, panel.shape[1] - 230 * unit
    for number, (name, label, value) in enumerate(zip(ACTION_NAMES, _LABELS, probabilities)):
        middle = (23 + 24 * number) * unit
        chosen = name == action_name
        _put(panel, label, 122 * unit, middle + 5 * unit, 0.42 * unit, _TEXT if chosen else _FAINT)
        top, bottom = round(middle - 6 * unit), round(middle + 6 * unit)
        cv2.rectangle(panel, (round(left), top), (round(right), bottom), _TRACK, -1)
        share = min(1.0, max(0.0, float(value))) if np.isfinite(value) else 0.0
        if share > 0.005:
            colour = np.array(_COLOURS[name]) * (1.0 if chosen else 0.62)
            end = round(left + share * (right - left))
            cv2.rectangle(panel, (round(left), top), (end, bottom), tuple(colour.tolist()), -1)
        _put(
            panel,
            f'{100 * share:.0f} %',
            right + 9 * unit,
            middle + 5 * unit,
            0.42 * unit,
            _TEXT if chosen else _FAINT,
        )


def _draw_numbers(
    panel: np.ndarray,
    step: int,
    latency: float | None,
    memory: tuple[int, int] | None,
    unit: float,
) -> None:
    left, right = panel.shape[1] - 168 * unit, panel.shape[1] - 16 * unit
    rows = [('step', str(step))]
    if latency is not None:
        rows.append(('latency', f'{1000 * latency:.0f} ms'))
    if memory is not None:
        rows.append(('memory', f'{memory[0]} / {memory[1]}'))
    for number, (label, value) in enumerate(rows):
        y = (28 + 24 * number) * unit
        _put(panel, label, left, y, 0.42 * unit, _FAINT)
        _put(panel, value, right - _text_width(value, 0.45 * unit), y, 0.45 * unit, _TEXT)
    if memory is not None and memory[1] > 0:
        top, bottom = round(89 * unit), round(95 * unit)
        filled = left + (right - left) * min(1.0, memory[0] / memory[1])
        cv2.rectangle(panel, (round(left), top), (round(right), bottom), _TRACK, -1)
        cv2.rectangle(panel, (round(left), top), (round(filled), bottom), (160, 140, 250), -1)


def _draw_scale(panel: np.ndarray, depth: DepthPicture, unit: float) -> None:
    """Draw what the colours of depth mean, for a panel below it."""
    width, margin, size = panel.shape[1], 16 * unit, 0.42 * unit
    unknown = 'not known'
    swatch = width - margin - _text_width(unknown, size)
    left, right = 1.5 * margin, swatch - 5 * margin
    top, bottom = round(58 * unit), round(76 * unit)
    for number, line in enumerate(wrap(depth.title, width - 2 * margin, 0.45 * unit)[:2]):
        _put(panel, line, margin, (22 + 19 * number) * unit, 0.45 * unit, _TEXT)
    start, end = round(left), round(right)
    panel[top:bottom, start:end] = scale_colours(end - start)
    for share, label in marks(depth.metric):
        x = left + share * (right - left)
        panel[bottom : bottom + round(5 * unit), round(x) : round(x + unit)] = _TEXT
        place = x - _text_width(label, size) / 2
        _put(panel, label, max(place, margin / 2), 97 * unit, size, _TEXT)
    box = slice(round(swatch - 2.2 * margin), round(swatch - margin / 2))
    panel[top:bottom, box] = stripes(box.stop - box.start, bottom - top)
    _put(panel, unknown, swatch, 72 * unit, size, _FAINT)
