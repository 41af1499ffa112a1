"""The memory in place against lists, and what stays the same while an episode goes on."""

import gc

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.policy import MemoryConfig
from janusvln_ros.policy.memory import FeatureMemory, KeyValueMemory
import numpy as np
import pytest
import torch

CPU = torch.device('cpu')


def evict(frames, initial, recent):
    """Keep the first `initial` and the last `recent` of a list."""
    if len(frames) <= initial + recent:
        return frames
    return frames[:initial] + frames[len(frames) - recent :]


@settings(max_examples=150, deadline=None)
@given(
    initial=st.integers(0, 4),
    recent=st.integers(0, 5),
    whole=st.integers(1, 5),
    tokens=st.integers(2, 4),
    aged_tokens=st.integers(1, 2),
    pinned=st.integers(0, 2),
    suffix=st.integers(0, 2),
    steps=st.integers(1, 16),
    seed=st.integers(0, 99),
)
def test_storage_holds_what_lists_hold(
    initial, recent, whole, tokens, aged_tokens, pinned, suffix, steps, seed
):
    if initial + recent == 0:
        initial = 1
    whole = min(whole, recent)
    memory = KeyValueMemory(
        layers=2,
        heads=1,
        head_dim=2,
        frame_tokens=tokens,
        initial=initial,
        recent=recent,
        whole=whole,
        aged_tokens=aged_tokens,
        pinned=pinned,
        scratch=suffix,
        dtype=torch.float32,
        device=CPU,
    )
    storage = memory.keys.data_ptr(), memory.values.data_ptr(), memory.nbytes
    choose = np.random.default_rng(seed)
    for episode in range(2):  # the second in the storage of the first
        memory.clear()
        pin, frames, kept_of = [], [], {}
        for step in range(steps):
            ids = [1000 * (episode + 1) + 10 * step + index for index in range(tokens)]
            new = ids + [-1 - index for index in range(suffix)]
            if step == 0:
                pin = [-100 - index for index in range(pinned)]
                new = pin + new
            for layer in range(2):
                x = torch.tensor(new, dtype=torch.float32)
                x = torch.stack((x, x + layer / 2), dim=-1)[None, None]
                keys, values = memory.room(layer, len(new))
                keys[:, :, -len(new) :], values[:, :, -len(new) :] = x, 2 * x
                assert torch.equal(values, 2 * keys)
                assert bool((keys[..., 1] - keys[..., 0] == layer / 2).all())
                got = keys[0, 0, :, 0].tolist()
                want = (pin if step else []) + [token for _, held in frames for token in held]
                assert sorted(got[: len(got) - len(new)]) == sorted(want)
                assert got[len(got) - len(new) :] == new  # the new ones last, and in order
            kept_of[step] = sorted(choose.choice(tokens, aged_tokens, replace=False).tolist())
            memory.commit(torch.tensor(kept_of.get(step - whole, kept_of[step])))
            frames = evict([*frames, (step, ids)], initial, recent)
            frames = [
                (number, [held[index] for index in kept_of[number]])
                if initial <= number <= step - whole and len(held) == tokens
                else (number, held)
                for number, held in frames
            ]
            assert memory.retained() == [number for number, _ in frames]
            assert memory.end == pinned + sum(len(held) for _, held in frames)
    assert storage == (memory.keys.data_ptr(), memory.values.data_ptr(), memory.nbytes)


def tensor_bytes():
    """Bytes of all storages of tensors that are alive."""
    gc.collect()
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in gc.get_objects()
        if issubclass(type(tensor), torch.Tensor)
    }
    return sum(storages.values())


@pytest.mark.slow
def test_full_window_neither_grows_nor_moves(golden_policies, make_frames):
    policy = golden_policies['windowed']
    policy.reset('Go.')
    usage, addresses, alive = set(), set(), set()
    for step, frame in enumerate(make_frames(14)):
        policy.step(frame)
        usage.add(policy.memory_usage().bytes)
        episode = policy.episode
        addresses.add((episode.geometry.keys.data_ptr(), episode.language.keys.data_ptr()))
        if step >= 7:
            alive.add(tensor_bytes())
    assert len(usage) == len(addresses) == len(alive) == 1
    assert policy.memory_usage()[:2] == (6, 6)


def test_reset_keeps_the_storage(golden_policies, make_frames):
    policy = golden_policies['windowed']
    first, *rest = make_frames(5)
    policy.reset('Turn left at the sofa, then stop.')
    before = policy.step(first)
    storage = policy.episode.geometry.keys.data_ptr(), policy.episode.language.keys.data_ptr()
    for frame in rest:
        policy.step(frame)
    policy.reset('Turn left at the sofa, then stop.')
    assert policy.memory_usage().frames == 0
    again = policy.step(first)
    assert torch.equal(again.logits, before.logits)
    assert storage == (
        policy.episode.geometry.keys.data_ptr(),
        policy.episode.language.keys.data_ptr(),
    )
    assert policy.memory_usage().frames == 1


def test_storage_that_was_not_to_be_had_is_asked_for_again(
    golden_policies, make_frames, monkeypatch
):
    def allocate(*arguments):
        raise torch.OutOfMemoryError('no room')

    policy = golden_policies['windowed']
    with monkeypatch.context() as patch:
        patch.setattr('janusvln_ros.policy.janus.geometry_memory', allocate)
        policy.reset('Go.')
        with pytest.raises(torch.OutOfMemoryError):
            policy.step(make_frames(1, 128, 96)[0])
    assert policy.step(make_frames(1, 128, 96)[0]).logits.isfinite().all()


@pytest.mark.parametrize('mode', ['sampled', 'windowed'])
def test_frame_of_another_size_names_both_and_changes_nothing(golden_policies, make_frames, mode):
    policy = golden_policies[mode]
    frames = make_frames(3)

    def episode(disturb):
        policy.reset('Go.')
        policy.step(frames[0])
        if disturb:
            with pytest.raises(ValueError, match=r'96 x 128.*160 x 120'):
                policy.step(make_frames(1, 96, 128)[0])
        return policy.step(frames[1]).logits

    assert torch.equal(episode(False), episode(True))


@pytest.mark.parametrize(
    'options, complaint',
    [
        ({'mode': 'all'}, 'sampled'),
        ({'initial_frames': -1}, 'initial_frames is -1'),
        ({'initial_frames': 0, 'recent_frames': 0}, 'nothing'),
        ({'whole_frames': 0}, 'whole_frames'),
        ({'mode': 'windowed', 'kept_fraction': 1.5}, 'from 0 to 1'),
        ({'kept_fraction': 0.5}, 'windowed'),
    ],
)
def test_impossible_memory_is_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        MemoryConfig(**options)


def test_features_come_back_as_they_went():
    memory = FeatureMemory(resident=2, device=CPU)
    features = torch.randn(6, 3, 4)
    for index, rows in enumerate(features):
        memory.keep(index, rows)
    memory.keep(5, features[5])  # a step repeated
    assert torch.equal(memory.gather([0, 3, 5]), features[[0, 3, 5]])
    assert memory.nbytes == features.nbytes
