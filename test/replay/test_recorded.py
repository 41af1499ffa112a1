"""
A bag that was recorded in the simulator still gives the decisions of that day.

`record_test_bag.py` beside this file makes it anew, with the expected decisions.
"""

from pathlib import Path

from janusvln_ros.policy.random_checkpoint import write_random_checkpoint
from janusvln_ros.replay.command import main
from janusvln_ros.replay.decisions import read_decisions
import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).with_name('data')


@pytest.fixture
def shipped(tmp_path):
    """Find the checkpoint that the bag was recorded with."""
    name = (DATA / 'checkpoint.txt').read_text().strip()
    if name.startswith('random:'):
        return write_random_checkpoint(tmp_path / 'random', int(name.removeprefix('random:')))
    if not (ROOT / name / 'config.json').is_file():
        pytest.skip(f'needs the checkpoint {name}')
    return ROOT / name


@pytest.mark.slow
def test_the_decisions_are_the_expected_ones(tmp_path, shipped):
    words = ['--device=cpu', '--threads=1', f'--model={shipped}', f'--output={tmp_path / "out"}']
    arguments = [str(DATA / 'simulator'), *words, '--compare']
    assert main([*arguments, str(DATA / 'expected.jsonl')]) == 0
    assert main([*arguments, 'live']) == 0
    decisions = read_decisions(tmp_path / 'out' / 'decisions.jsonl')
    expected = read_decisions(DATA / 'expected.jsonl')
    assert [d.stamp for d in decisions] == [d.stamp for d in expected]
    assert len(decisions) >= 10 and len({d.episode for d in decisions}) == 2
    # Other processors round differently, but not much.
    for ours, theirs in zip(decisions, expected):
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-3)


def test_the_bag_stays_small():
    assert sum(f.stat().st_size for f in DATA.rglob('*') if f.is_file()) < 2 * 2**20
