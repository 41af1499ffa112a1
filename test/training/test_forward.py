"""What training computes for whole episodes is what the policy computes step by step."""

import json
import shutil

from janusvln_ros.evaluation.ablations import agent_of
from janusvln_ros.evaluation.agents import AgentSpec
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.preprocessing import patch_grid
from janusvln_ros.training import forward
from janusvln_ros.training.imitation import Batch, IGNORED, ImitationNetwork, MEMORIES
import numpy as np
import pytest
import torch

INSTRUCTIONS = ('Go to the red chair.', 'Turn left. Walk past the yellow lamp and stop.')
FRAMES = 12


@pytest.fixture(scope='module')
def painted(fresh, tmp_path_factory):
    """Give the checkpoint with other colours than Qwen2.5-VL's, which training has to take."""
    folder = shutil.copytree(fresh, tmp_path_factory.mktemp('painted') / 'checkpoint')
    path = folder / 'preprocessor_config.json'
    colours = {'image_mean': [0.4, 0.5, 0.6], 'image_std': [0.2, 0.25, 0.3]}
    path.write_text(json.dumps({**json.loads(path.read_text()), **colours}))
    return folder


def _policy(fresh, memory):
    return _moved(JanusPolicy.from_pretrained(fresh, device='cpu', dtype='float32', memory=memory))


def _moved(policy):
    """Change what a fresh model has at zero."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in policy.model.named_parameters():
        if 'ls1' in name or 'norm' in name or name.endswith('bias'):
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return policy


def _questions(encoder, steps):
    suffixes = [encoder.suffix(text) for text in INSTRUCTIONS]
    return suffixes, forward.QuestionBatch.pack(
        [
            [(step, suffix, (1, 2)[: number % 3]) for number, step in enumerate(steps)]
            for suffix in suffixes
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    'memory',
    [
        MemoryConfig('windowed'),
        MemoryConfig('sampled', history_frames=4),
        MemoryConfig('sampled', initial_frames=2, recent_frames=3, history_frames=8),
    ],
)
def test_answers_equal_the_policys(painted, memory):
    policy = _policy(painted, memory)
    frames = np.random.default_rng(0).integers(
        0, 256, (len(INSTRUCTIONS), FRAMES, 84, 112, 3), dtype=np.uint8
    )
    wanted = []
    for instruction, episode in zip(INSTRUCTIONS, frames):
        policy.reset(instruction)
        wanted.append(torch.stack([policy.step(frame).logits for frame in episode]))

    model = policy.model
    suffixes, questions = _questions(policy.encoder, [0, 3, 7, FRAMES - 1])
    prompt = policy.encoder.prompt(suffixes[0], patch_grid(112, 84, 112))
    pixels = torch.from_numpy(frames)
    semantics = forward.merge_vision(model, forward.encode_vision(model, pixels), 6, 8)
    geometry = forward.merge_geometry(model, forward.encode_geometry(model, pixels, memory), 6, 8)
    if memory.mode == 'windowed':
        hidden = forward.answer_windowed(
            model, prompt, fuse(semantics, geometry, model.config.lam), questions
        )
    else:
        hidden = forward.answer_sampled(
            model, prompt, semantics, geometry, questions, memory.history_frames
        )
    for row in range(len(suffixes)):
        logits = model.lm_head(hidden[row, questions.decisions[row]])
        reference = wanted[row][questions.steps[row]]
        assert (logits - reference).norm() / reference.norm() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['windowed', 'sampled'])
@pytest.mark.parametrize(
    ('row', 'forget'),
    [
        ('windowed', ()),
        ('no_spatial_memory', ('spatial',)),
        ('no_semantic_memory', ('semantic',)),
        ('neither_memory', MEMORIES),
    ],
)
def test_what_is_learned_without_a_memory_is_what_that_row_of_an_evaluation_computes(
    painted, row, forget, mode
):
    spec = AgentSpec(str(painted), memory={'initial_frames': 2, 'recent_frames': 9})
    agent = agent_of(row, spec).changed(memory={'mode': mode}).make()
    policy = _moved(agent.policy)
    frames = np.random.default_rng(0).integers(0, 256, (2, FRAMES, 84, 112, 3), dtype=np.uint8)
    steps = [0, 3, 7, FRAMES - 1]
    wanted = []
    for instruction, episode in zip(INSTRUCTIONS, frames):
        policy.reset(instruction)
        said = []
        for frame in episode:
            agent.act(frame)
            said.append(agent.decision.logits)
        wanted += [said[step] for step in steps]

    suffixes, questions = _questions(policy.encoder, steps)
    targets = torch.full_like(questions.tokens, IGNORED)
    targets.scatter_(1, questions.decisions, 0)
    batch = Batch(
        frames=torch.from_numpy(frames),
        questions=questions,
        targets=targets,
        bearing=torch.full_like(questions.steps, IGNORED),
        distance=torch.zeros(questions.steps.shape),
        visible=torch.zeros(questions.steps.shape),
        prompt=policy.encoder.prompt(suffixes[0], patch_grid(112, 84, 112)),
        mode=mode,
    )
    network = ImitationNetwork(
        policy.model, trained=(), memory=policy.memory, auxiliary=0.0, forget=forget
    ).eval()
    with torch.no_grad():
        logits = network(batch)[1]['logits']
    reference = torch.stack(wanted)
    assert (logits - reference).norm() / reference.norm() < 1e-6


def test_window_mask_is_what_a_memory_retains():
    mask = forward.window_mask(7, 2, 3, torch.device('cpu'))
    seen = [np.flatnonzero(row).tolist() for row in mask.numpy()]
    assert seen == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5],
        [0, 1, 3, 4, 5, 6],
    ]


def test_a_question_does_not_see_later_frames(fresh):
    """Changing frame 5 changes no answer asked before it, and changes those after."""
    policy = _policy(fresh, MemoryConfig('windowed'))
    model = policy.model
    _, questions = _questions(policy.encoder, [4, 5])
    prompt = policy.encoder.prompt(
        policy.encoder.suffix(INSTRUCTIONS[0]), patch_grid(112, 84, 112)
    )
    fused = torch.randn(2, 8, 12, 128, generator=torch.Generator().manual_seed(0))
    changed = fused.clone()
    changed[:, 5] += 1.0
    before, after = (
        forward.answer_windowed(model, prompt, part, questions).gather(
            1, questions.decisions[..., None].expand(-1, -1, 128)
        )
        for part in (fused, changed)
    )
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-3)
