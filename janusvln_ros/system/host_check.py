"""What a robot needs of the computer itself: transport, shared memory, time, priority."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import os
from pathlib import Path
import resource
import shutil
import subprocess
from xml.etree import ElementTree

from janusvln_ros.measurement.findings import FAIL, Finding, OK, WARN
from janusvln_ros.system.processes import PROFILES

DEFAULT_SEGMENT = 512 * 1024  # bytes: what Fast DDS shares between processes without a profile
LEAST_SHARED = 64e6  # bytes of /dev/shm: a segment of 16 MB for each of a few nodes
_MOST_OFFSET = 0.1  # s that the computer's clock may be off, by what chrony believes
_NICE = 1 << 23  # CAP_SYS_NICE
_PROFILE = (
    'export FASTRTPS_DEFAULT_PROFILES_FILE=.../share/janusvln_ros/config/fastdds.xml for every '
    'process that sends or takes raw images, in this shell too; or image_transport:=compressed'
)


def check_host() -> Iterator[Finding]:
    """Look at what does not depend on what the robot sends."""
    free = shutil.disk_usage('/dev/shm').free if Path('/dev/shm').is_dir() else 0
    if free < LEAST_SHARED:
        yield Finding(
            FAIL, 'shared memory', f'{free / 1e6:.0f} MB are free in /dev/shm, nodes take '
            f'{LEAST_SHARED / 1e6:.0f}',
            'docker run --shm-size=256m (or --ipc=host); or remove what dead processes left there',
        )  # fmt: skip
    else:
        yield Finding(OK, 'shared memory', f'{free / 1e6:.0f} MB are free in /dev/shm')
    yield _synchronised()
    allowed = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if allowed == resource.RLIM_INFINITY or allowed > 0 or _may_raise():
        yield Finding(OK, 'real-time priority', 'motion_executor may take it')
    else:
        yield Finding(
            WARN, 'real-time priority', 'motion_executor may not take it (ulimit -r is 0)',
            'a line "USER - rtprio 20" in /etc/security/limits.d/janusvln.conf, and a new login',
        )  # fmt: skip


def _may_raise() -> bool:
    """Tell whether this process has the capability to take any priority."""
    for line in Path('/proc/self/status').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == 'CapEff':
            return bool(int(value, 16) & _NICE)
    return False


def _synchronised() -> Finding:
    """Ask whoever keeps this computer's time; one computer alone needs nobody."""
    about, do = 'time synchronisation', 'chrony on all computers, one of them the server'
    fields = _output('chronyc', '-c', 'tracking').split(',')
    if len(fields) > 13:
        offset, state = float(fields[4]), fields[13].strip()
        text = f'chrony: {state}, {1000 * offset:.1f} ms off'
        bad = state == 'Not synchronised' or abs(offset) > _MOST_OFFSET
        return Finding(WARN, about, text, do) if bad else Finding(OK, about, text)
    answer = _output('timedatectl', 'show', '-p', 'NTPSynchronized', '--value').strip()
    if answer == 'no':
        return Finding(WARN, about, 'timedatectl: this computer is not synchronised', do)
    if answer == 'yes':
        return Finding(OK, about, 'timedatectl: synchronised')
    return Finding(OK, about, 'neither chronyc nor timedatectl answers: needed across computers')


def _output(*command: str) -> str:
    """Return what a command prints; '' where it is missing or fails."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=3.0, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ''


def check_transport(
    rmw: str, environment: Mapping[str, str], image_bytes: int, received: float
) -> Finding:
    """
    Compare the size of raw images with what Fast DDS is set to carry in this shell.

    image_bytes: 0 if there are no raw images. received: share of the images that arrived.
    """
    about = 'transport profile'
    if 'fastrtps' not in rmw:
        return Finding(OK, about, f'{rmw} needs none of ours')
    name = next((n for n in PROFILES if environment.get(n)), None)
    if name is None:
        text = f'Fast DDS without a profile ({PROFILES[0]} is not set)'
        if not image_bytes:
            return Finding(OK, about, f'{text}; there are no raw images')
        if received < 0.5:
            lost = f'{text}: {1 - received:.0%} of the raw images are lost'
            return Finding(FAIL, about, lost, _PROFILE)
        if image_bytes > DEFAULT_SEGMENT:
            text += f': raw images of {image_bytes / 1e6:.1f} MB do not fit its shared memory'
            return Finding(WARN, about, text, _PROFILE)
        return Finding(OK, about, f'{text}; images of {image_bytes / 1e6:.2f} MB are small enough')
    path = Path(environment[name])
    try:
        sizes = [
            int(element.text or '')
            for element in ElementTree.parse(path).iter()
            if element.tag.rpartition('}')[2] == 'segment_size'
        ]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        return Finding(FAIL, about, f'{name}={path} cannot be read: {error}', _PROFILE)
    if not sizes or max(sizes) < image_bytes:
        text = f'{path} shares {max(sizes, default=DEFAULT_SEGMENT) / 1e6:.1f} MB'
        return Finding(FAIL, about, f'{text}, an image has {image_bytes / 1e6:.1f} MB', _PROFILE)
    return Finding(OK, about, f'{path} shares {max(sizes) / 1e6:.0f} MB')


def environment() -> dict[str, str]:
    """Return what of the environment decides whether nodes find each other."""
    names = 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY', *PROFILES
    return {name: os.environ[name] for name in names if name in os.environ}
