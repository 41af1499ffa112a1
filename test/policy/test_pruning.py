"""Which tokens of an old frame stay."""

from pathlib import Path

from janusvln_ros.measurement import goldens
from janusvln_ros.policy import JanusPolicy
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.preprocessing import Grid
from janusvln_ros.policy.pruning import kept_tokens, redundancy, TokenPruner, VoxelPruner
import numpy as np
import pytest
import torch

CPU = torch.device('cpu')
GOLDEN = Path(__file__).parent / 'data' / 'goldens' / 'depth_a'


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


def wall(*places):
    """Make pixels of five rows and columns of patches; each of the four tokens is at one place."""
    points = np.zeros((70, 70, 3))
    for token, place in enumerate(places):
        row, column = divmod(token, 2)
        points[28 * row : 28 * row + 28, 28 * column : 28 * column + 28] = place
    points[56:], points[:, 56:] = -50, -50  # the odd row and column, which is no token
    return points


def voxels(newest, kept):
    return VoxelPruner(newest, kept, Grid(5, 5), CPU)


def test_tokens_whose_place_no_newer_frame_shows_stay():
    chooser = voxels(newest=1, kept=4)
    chooser.observe(0, wall(10, 20, 30, 40))
    # in other places of the picture: 10 and, nearly, 30
    assert chooser.observe(1, wall(31, 10, 12, 90)).tolist() == [0, 2, 4, 5]
    # the odd row shows places as well: -50, so that 31 is farther from all than 10
    assert chooser.observe(2, wall(100, 100, 100, 100)).tolist() == [0, 1, 3, 5]


def test_any_newer_frame_may_show_a_place():
    chooser = voxels(newest=3, kept=3)
    for frame, place in enumerate((10, 21, 31)):
        chooser.observe(frame, wall(*((10, 20, 30, 40) if frame == 0 else [place] * 4)))
    # frame 0 is old, of which frames 1, 2 and 3 show 20, 30 and 40, each nearly
    assert chooser.observe(3, wall(41, 41, 41, 41)).tolist() == [0, 1, 5]


def test_what_lies_nobody_knows_where_stays():
    chooser = voxels(newest=1, kept=3)
    chooser.observe(0, wall(10, np.nan, 30, 40))
    assert chooser.observe(1, wall(0, 1, 2, 3)).tolist() == [0, 2, 5]


def decisions(pruning, heads='points', place=None, fraction=0.5):
    """Walk through golden frames; log-probabilities of each step, and the memory's end."""
    policy = JanusPolicy.from_pretrained(
        GOLDEN / 'checkpoint',
        device='cpu',
        image_width=126,
        memory=MemoryConfig(
            'windowed', 1, 6, whole_frames=2, kept_fraction=fraction, pruning=pruning
        ),
        geometry_heads=heads,
        place=place,
    )
    policy.reset('Go to the door.')
    steps = []
    for frame in range(7):
        rgb = goldens.read_frame(GOLDEN / 'episodes' / 'ep0_landscape', frame)
        decision = policy.step(rgb)
        assert decision.geometry is None  # nobody asked
        steps.append(decision.log_probabilities)
    return steps, policy.episode.language.end


def test_decisions_part_where_the_first_frame_grows_old():
    (features, tokens), (places, as_many) = map(decisions, ('features', 'voxels'))
    assert tokens == as_many
    # frame 1 grows old with frame 3, so step 4 is the first without some of its tokens
    assert places[:4] == features[:4] and places[4:] != features[4:]


def test_places_may_come_from_depth_and_whoever_knows_the_camera():
    seen = []

    def place(geometry):
        seen.append(geometry.depth.shape)
        return np.repeat(geometry.depth[..., None], 3, axis=-1)

    by_depth, _ = decisions('voxels', 'depth', place)
    assert seen == [(98, 126)] * 7
    assert by_depth[:4] == decisions('voxels')[0][:4]


def test_without_places_it_is_refused_unless_nothing_is_pruned():
    for heads in ('none', 'depth'):
        with pytest.raises(ValueError, match="geometry_heads 'points'"):
            decisions('voxels', heads)
    assert decisions('voxels', 'none', fraction=1.0) == decisions('features', 'none', fraction=1.0)


def test_another_rule_is_refused():
    with pytest.raises(ValueError, match="'features' or 'voxels'"):
        MemoryConfig('windowed', pruning='cubes')
