"""Which tokens of an old frame stay."""

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.pruning import kept_tokens, redundancy, TokenPruner
import pytest
import torch

CPU = torch.device('cpu')


def pruner(newest, kept, tokens=4):
    return TokenPruner(newest, kept, tokens, hidden=tokens, dtype=torch.float32, device=CPU)


def test_off_by_default():
    assert not MemoryConfig('windowed').prunes
    assert MemoryConfig('windowed', kept_fraction=0.5).prunes
    assert not MemoryConfig('windowed', recent_frames=16, kept_fraction=0.5).prunes


@pytest.mark.parametrize('fraction, tokens', [(0.0, 2), (0.25, 100), (1.0, 393)])
def test_the_marks_come_on_top(fraction, tokens):
    assert kept_tokens(391, fraction) == tokens


def test_redundant_is_what_the_next_frame_shows_anywhere():
    frame = torch.eye(3)
    following = torch.tensor([[0.0, 5.0, 0.0], [1.0, 0.0, 1.0]])
    assert redundancy(frame, following).tolist() == pytest.approx([0.5**0.5, 1, 0.5**0.5])


def test_tokens_that_the_next_frame_does_not_show_stay():
    basis = torch.eye(4)
    chooser = pruner(newest=1, kept=4)
    chooser.observe(0, basis)
    # the next frame shows tokens 0 and 2 again, in other places
    assert chooser.observe(1, basis[[2, 2, 0, 0]]).tolist() == [0, 2, 4, 5]
    # and the one after shows nothing but what is token 0 or 1 of this
    assert chooser.observe(2, basis[[2, 2, 2, 2]]).tolist() == [0, 3, 4, 5]


def test_choice_waits_until_the_frame_is_old():
    basis = torch.eye(4)
    chooser = pruner(newest=3, kept=3)
    frames = [basis, basis[[0, 1, 2, 0]], basis, basis[[0, 1, 3, 0]], basis, basis[[0, 2, 3, 0]]]
    got = [chooser.observe(index, frame).tolist() for index, frame in enumerate(frames)]
    assert got[3] == [0, 4, 5]  # frame 0: its last token is missing in frame 1
    assert got[5] == [0, 3, 5]  # frame 2: its token 2 is missing in frame 3
    assert chooser.nbytes == 3 * 3 * 8 + 4 * 4 * 4
