"""Storage and work of a step, known beforehand, against what a step really holds and does."""

from dataclasses import replace
from pathlib import Path

from janusvln_ros.measurement import estimate
from janusvln_ros.measurement.estimate import Computer, Part, Workload
from janusvln_ros.policy import JanusPolicy, MemoryConfig
import pytest
import torch
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

PROFILES = sorted((Path(__file__).parents[2] / 'config' / 'computers').glob('*.yaml'))
FULL = {mode: Workload(memory=MemoryConfig(mode)) for mode in ('sampled', 'windowed')}


@pytest.mark.slow
@pytest.mark.parametrize(
    'memory',
    [
        MemoryConfig('windowed', 1, 2),
        MemoryConfig('sampled', 1, 2, history_frames=2),
        MemoryConfig('windowed', 1, 4, whole_frames=1, kept_fraction=0.5),
    ],
)
def test_a_step_holds_and_does_what_was_said(checkpoint_folder, make_frames, memory):
    policy = JanusPolicy.from_pretrained(checkpoint_folder, 'cpu', 'float32', memory=memory)
    policy.reset('Go.')
    frames = make_frames(7, 224, 168)
    for frame in frames[:6]:
        policy.step(frame)
    # plain products, so that those of attention are counted too, or what torch does not count
    uncounted = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(
        display=False, custom_mapping={uncounted: lambda q, k, v, **_: sdpa_flop_count(q, k, v)}
    )
    with sdpa_kernel(SDPBackend.MATH), counter:
        policy.step(frames[6])
    work = Workload(
        policy.model.config,
        memory,
        torch.float32,
        None,
        (224, 168),
        suffix_tokens=len(policy.encoder.suffix('Go.')),
        prefix_tokens=len(policy.episode.prompt.prefix),
        answer_tokens=len(policy.tree.tokens),
    )
    counted = counter.get_total_flops()
    said = sum(part.operations for part in estimate.step(work, 6).values())
    # the count has the masked half of causal attention in it
    assert 0.93 * counted < said < 1.001 * counted
    held = estimate.storage(work)
    kept = held['geometry memory'] + held['language memory']
    if memory.mode == 'sampled':
        kept += policy.episode.features.nbytes
    if memory.prunes:
        kept += policy.episode._pruner.nbytes
    assert policy.memory_usage().bytes == kept


@pytest.mark.parametrize('weights, limit', [(None, 30e9), ('int8', 22e9), ('int4', 18e9)])
@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_full_size_fits(mode, weights, limit):
    held = estimate.storage(replace(FULL[mode], language_weights=weights))
    assert sum(held.values()) < limit


def test_full_size_needs_what_the_operations_say():
    windowed, sampled = (estimate.step(FULL[mode], 56) for mode in ('windowed', 'sampled'))
    assert windowed['geometry'].operations == pytest.approx(2.9e12 + 14.0e12, rel=0.04)
    assert windowed['vision'].operations == pytest.approx(2.2e12, rel=0.1)
    assert windowed['prefill'].operations == pytest.approx(11e12, rel=0.05)
    assert sampled['prefill'].operations == pytest.approx(54e12 * 27 / 28, rel=0.06)
    frame = (
        estimate.storage(FULL['windowed'])['language memory']
        - estimate.storage(
            replace(FULL['windowed'], memory=MemoryConfig('windowed', recent_frames=47))
        )['language memory']
    )
    assert frame == pytest.approx(22.5e6, rel=0.01)


def test_cost_is_bounded_by_the_window_and_not_without():
    work = replace(FULL['windowed'], memory=MemoryConfig('windowed', 2, 4))
    done = {
        past: {
            again: estimate.step(work, past, again)['geometry'].operations
            for again in (False, True)
        }
        for past in (6, 60)
    }
    assert done[6][False] == done[60][False]
    assert done[60][True] > 20 * done[6][True]


def test_the_longer_of_the_two_counts():
    computer = Computer('c', operations=10, bandwidth=100)
    assert Part(20, 100).seconds(computer) == 2
    assert Part(5, 100).seconds(computer) == 1


@pytest.mark.parametrize('profile', PROFILES, ids=lambda path: path.stem)
def test_profile_fits_its_computer(profile):
    work, computer, memory = estimate.read_profile(profile)
    assert sum(estimate.storage(work).values()) < 0.9 * memory
    assert computer.operations > computer.bandwidth > 1e9


def test_file_that_is_no_profile_is_refused(tmp_path):
    path = tmp_path / 'robot.yaml'
    path.write_text('/**:\n  ros__parameters:\n    dtype: bfloat16\n')
    with pytest.raises(ValueError, match=r'robot.yaml.*hardware'):
        estimate.read_profile(path)
