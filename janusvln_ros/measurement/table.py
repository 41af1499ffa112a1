"""What `janusvln benchmark` has measured, as text."""

from __future__ import annotations

from typing import Any

from janusvln_ros.measurement.sharing import line as sharing_line


def table(report: dict[str, Any]) -> str:
    """Format a report in Markdown."""
    model = report['model'] + (f' with {report["adapter"]}' if report['adapter'] else '')
    lines = [
        f'{model}, {report["parameters"] / 1e6:.1f} M parameters, on '
        f'{report["device"]}, {report["dtype"]}, frames {report["frame_size"]}',
        '',
        '| mode | part | median ms | p99 ms | least ms (roofline) |',
        '|---|---|--:|--:|--:|',
    ]
    for mode, result in report['modes'].items():
        for part, times in result['seconds'].items():
            floor = result['least_seconds'].get(part)
            least = f'{1000 * floor:.2f}' if floor is not None else ''
            lines.append(
                f'| {mode} | {part} | {1000 * times["median"]:.2f} '
                f'| {1000 * times["p99"]:.2f} | {least} |'
            )
    lines.append('')
    for mode, result in report['modes'].items():
        lines += [sharing_line(mode, shared) for shared in result.get('robots', [])]
        text = f'{mode}: from step {result["from_step"]} on'
        if 'growth_per_1000_steps' in result:
            growth = result['growth_per_1000_steps']
            text += (
                f', a step grows by {100 * growth["total"]:+.2f} % of the median in 1,000 '
                f'steps ({100 * growth["processor"]:+.2f} % by processor time)'
            )
        if 'allocated_bytes' in result:
            held = result['allocated_bytes']
            text += (
                f', {held["most"] / 1e6:.3f} MB allocated, '
                f'{held["most"] - held["least"]} bytes between least and most'
            )
        lines += [text + f', memory {result["memory_bytes"]} bytes', '']
        heads = result.get('heads_bytes')
        if heads:
            lines[-1:] = [
                f'{mode}: the dense heads take '
                + ', '.join(f'{size / 1e6:.1f} MB of {name}' for name, size in heads.items()),
                '',
            ]
    return '\n'.join(lines)
