"""What tests of real ROS 2 processes need: a domain of their own, and an end of every process."""

from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import uuid

from domains import free_domain
from hypothesis import settings
import numpy as np
import pytest

pytest_plugins = ['stalls']
ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / 'test' / 'policy' / 'data' / 'goldens' / 'tiny_act'

# A job in a shell's background ignores Ctrl-C and so do its processes; tests send it to theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every run tries the same examples; `--hypothesis-profile=default` searches for new ones.
settings.register_profile('repeatable', derandomize=True)
settings.load_profile('repeatable')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts real ROS 2 processes, before `-m` selects; the longest files come first."""
    for item in items:
        if 'ros_domain' in getattr(item, 'fixturenames', ()):
            item.add_marker('ros')
    # At the end of a run by several workers one would be left alone with them.
    items.sort(key=lambda item: 'training' not in item.path.parts)


@pytest.fixture(scope='session', autouse=True)
def _episodes_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep built episodes for the tests of one run only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='session')
def one_thread() -> None:
    """Compute with one thread: the same sums in the same order on every machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """Give a checkpoint of small random weights."""
    from janusvln_ros.policy.random_checkpoint import write_random_checkpoint

    return write_random_checkpoint(tmp_path_factory.mktemp('policy') / 'tiny')


@pytest.fixture(scope='session')
def golden_policies(one_thread: None) -> dict[str, object]:
    """Give the golden model in both memory modes, with a window of 2 + 4 frames."""
    from janusvln_ros.policy import JanusPolicy, MemoryConfig

    return {
        mode: JanusPolicy.from_pretrained(
            GOLDEN / 'checkpoint',
            device='cpu',
            dtype='float32',
            image_width=112,
            memory=MemoryConfig(mode, initial_frames=2, recent_frames=4),
        )
        for mode in ('sampled', 'windowed')
    }


@pytest.fixture(scope='session')
def make_frames() -> Callable[..., np.ndarray]:
    """Give a function that draws frames of moving coloured blocks."""

    def blocks(count: int, width: int = 160, height: int = 120, seed: int = 0) -> np.ndarray:
        """Camera frames: uint8 (count, height, width, 3)."""
        generator = np.random.default_rng(seed)
        small = generator.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
        large = small.repeat(-(-height // 6), 1).repeat(-(-width // 8), 2)
        return large[:, :height, :width].copy()

    return blocks


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give this test a DDS domain that nobody else on this machine uses; local discovery only."""
    with free_domain() as domain:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(ROOT / 'config' / 'fastdds.xml'))
        yield domain


@pytest.fixture
def other_domain() -> Iterator[int]:
    """Give a second such domain, for what must not find the rest of the test by itself."""
    with free_domain() as domain:
        yield domain


@pytest.fixture
def marked() -> Iterator[tuple[dict[str, str], Callable[[], dict[int, str]]]]:
    """Give an environment to start a process with, and a function that tells what runs in it."""
    mark = f'JANUSVLN_TEST_RUN={uuid.uuid4().hex}'

    def running() -> dict[int, str]:
        found = {}
        for folder in Path('/proc').glob('[0-9]*'):
            try:
                if mark.encode() in (folder / 'environ').read_bytes():
                    line = (folder / 'cmdline').read_bytes()
                    found[int(folder.name)] = line.replace(b'\0', b' ').decode()
            except OSError:
                continue
        return found

    yield {**os.environ, **dict([mark.split('=')])}, running
    for number in running():
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


@pytest.fixture
def start_process(ros_domain: int) -> Iterator[Callable[..., subprocess.Popen]]:
    """
    Give a function that starts a command as a process of its own, from the root of the checkout.

    Keyword arguments go to subprocess.Popen. What still runs when the test ends is interrupted,
    and killed with its children if that does not help: a killed one leaves its shared memory.
    """
    processes: list[subprocess.Popen] = []

    def start(command: list[str], **options: object) -> subprocess.Popen:
        processes.append(
            subprocess.Popen(command, start_new_session=True, **{'cwd': ROOT, **options})
        )
        return processes[-1]

    yield start
    for number in (signal.SIGCONT, signal.SIGINT):
        for process in processes:
            _signal_group(process, number)
    for process in processes:
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            print(f'did not end by itself: {process.args}')
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


@pytest.fixture
def start_command(
    start_process: Callable[..., subprocess.Popen],
) -> Callable[..., subprocess.Popen]:
    """Give a function that starts `janusvln NAME ARGUMENTS...` as start_process does."""

    def start(*arguments: str, **options: object) -> subprocess.Popen:
        return start_process([sys.executable, '-m', 'janusvln_ros.cli', *arguments], **options)

    return start
