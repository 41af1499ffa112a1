"""Logits to an action: penalty, tree of answers, free and constrained greedy decoding."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from janusvln_ros.policy import Action
from janusvln_ros.policy.decoding import AnswerTree, MAX_NEW_TOKENS, penalise
from janusvln_ros.policy.network.language import Rotary
from janusvln_ros.policy.prompt import PromptEncoder
from plain_attention import PlainAttention
import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor

GOLDEN = Path(__file__).parent / 'data' / 'goldens' / 'tiny_act' / 'checkpoint'
ENCODER = PromptEncoder(GOLDEN)
TREE = AnswerTree(ENCODER)
VOCABULARY = 592


def answer(action):
    return ENCODER.tokenizer.encode(action.name) + [TREE.end_of_turn]


def logits_for(tokens, height=5.0):
    """Logits that make greedy decoding say these tokens, as far as they are in the tree."""
    logits = torch.zeros(1 + len(TREE.tokens), VOCABULARY)
    node = 0
    for token in tokens:
        if node is None:
            break
        logits[node, token] = height
        node = TREE.children[node].get(token)
    return logits


def beyond(tokens):
    raise AssertionError(f'the tree knows what follows {tokens}')


@given(
    seed=st.integers(0, 1000),
    penalty=st.floats(0.5, 2.0),
    seen=st.sets(st.integers(0, VOCABULARY - 1), min_size=1),
)
@settings(deadline=None)
def test_penalty_is_that_of_transformers(seed, penalty, seen):
    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed))
    stock = RepetitionPenaltyLogitsProcessor(penalty)(
        torch.tensor([sorted(seen)]), logits.clone()[None]
    )[0]
    assert torch.allclose(penalise(logits, seen, penalty), stock, rtol=1e-6)


@pytest.mark.parametrize('action', Action)
def test_both_decodings_say_an_answer_without_another_pass(action):
    logits = logits_for(answer(action))
    said, generation = TREE.published(logits, {1}, 1.0, beyond)
    assert (said, TREE.text(generation)) == (action, action.name)
    assert TREE.constrained(TREE.edges(logits), {1}, 1.0)[0] == action
    assert Action(int(TREE.log_probabilities(logits).argmax())) == action


@pytest.mark.parametrize('text', ['GO', 'MOVE_FORWARD now', 'turn_left', 'STOP.', ' STOP'])
def test_anything_else_means_stop(text):
    tokens = ENCODER.tokenizer.encode(text) + [TREE.end_of_turn]
    script = [logits_for([token])[0] for token in tokens]
    said, generation = TREE.published(
        logits_for(tokens), set(), 1.0, lambda so_far: script[len(so_far)]
    )
    assert generation.tokens == tokens
    assert TREE.text(generation) == text
    assert said == Action.STOP


def test_end_of_text_does_not_end_an_answer_and_24_tokens_do():
    end_of_text = ENCODER.tokenizer.convert_tokens_to_ids('<|endoftext|>')
    row = logits_for([end_of_text])[0]
    action, generation = TREE.published(row[None], set(), 1.0, lambda so_far: row)
    assert generation.tokens == [end_of_text] * MAX_NEW_TOKENS
    assert action == Action.STOP


def test_penalty_also_falls_on_what_was_said():
    first, second = 7, 8
    row = torch.zeros(VOCABULARY)
    row[first], row[second] = 1.0, 0.9
    _, generation = TREE.published(row[None], set(), 1.2, lambda so_far: row)
    assert generation.tokens[:3] == [first, second, first]


def test_penalty_can_turn_the_constrained_choice():
    forward, stop = answer(Action.MOVE_FORWARD), answer(Action.STOP)
    logits = logits_for(stop) + 0.99 * logits_for(forward)
    assert TREE.constrained(TREE.edges(logits), set(), 1.05)[0] == Action.STOP
    assert TREE.constrained(TREE.edges(logits), {stop[0]}, 1.05)[0] == Action.MOVE_FORWARD


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_constrained_always_gives_an_answer(seed):
    logits = torch.randn(
        1 + len(TREE.tokens), VOCABULARY, generator=torch.Generator().manual_seed(seed)
    )
    action, generation = TREE.constrained(TREE.edges(logits), {3}, 1.1)
    assert generation.tokens == answer(action)


def test_one_pass_over_the_tree_equals_four_passes(golden_policies):
    """Logits of the tree, and so log-probabilities, are those of each answer on its own."""
    model = golden_policies['sampled'].model
    rotary = Rotary(model.config.language, torch.device('cpu'))
    prompt = ENCODER.suffix('Go to the door.')

    def run(tokens, depths, mask):
        positions = torch.cat((torch.arange(len(prompt)), len(prompt) + torch.as_tensor(depths)))
        attend = PlainAttention(rotary(positions.expand(3, -1)), mask)
        embeddings = model.model.embed_tokens(torch.tensor([*prompt, *tokens]))[None]
        return model.lm_head(model.model(embeddings, attend))[0, len(prompt) - 1 :]

    size = len(prompt) + len(TREE.tokens)
    mask = torch.ones(size, size, dtype=torch.bool).tril()
    mask[len(prompt) :, len(prompt) :] = TREE.visible
    together = TREE.log_probabilities(run(TREE.tokens, TREE.depths, mask))
    for action in Action:
        tokens = answer(action)
        logits = run(tokens[:-1], range(len(tokens) - 1), None).log_softmax(-1)
        alone = sum(logits[index, token] for index, token in enumerate(tokens))
        assert together[action] == pytest.approx(float(alone), abs=1e-4)
