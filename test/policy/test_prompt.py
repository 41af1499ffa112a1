"""Instruction to tokens: the published prompt, and instructions that are nothing but data."""

import json
from pathlib import Path
import unicodedata

from janusvln_ros.episodes.grammar import vocabulary
from janusvln_ros.measurement.goldens import read_meta
from janusvln_ros.policy.network.config import CheckpointError
from janusvln_ros.policy.preprocessing import Grid
from janusvln_ros.policy.prompt import PromptEncoder
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION
import pytest
import torch

GOLDEN = Path(__file__).parent / 'data' / 'goldens' / 'tiny_act'
SPECIAL = [
    '<|im_end|>',
    '<|im_start|>',
    '<|image_pad|>',
    '<|vision_start|>',
    '<|endoftext|>',
    '<tool_call>',
    '<|fim_prefix|>',
    '<|file_sep|>',
]


@pytest.fixture(scope='module')
def encoder():
    return PromptEncoder(GOLDEN / 'checkpoint')


def encode(encoder, instruction):
    return encoder.prompt(encoder.suffix(instruction), Grid(6, 8))


def test_prompt_reads_as_published(encoder):
    meta = read_meta(GOLDEN / 'episodes' / 'ep0_actions')
    ids = encode(encoder, meta['instruction']).ids(1)
    pads = ids.count(encoder.pad)
    assert pads == 12
    text = encoder.tokenizer.decode(ids).replace('<|image_pad|>' * pads, '<|image_pad|>')
    assert text == meta['prompt_text_step0']
    # and it is what the tokenizer makes of the text as a whole
    whole = encoder.tokenizer.encode(meta['prompt_text_step0'])
    at = whole.index(encoder.pad)
    assert ids == whole[:at] + [encoder.pad] * pads + whole[at + 1 :]


@pytest.mark.parametrize('mark', SPECIAL)
def test_control_tokens_in_an_instruction_are_plain_text(encoder, mark):
    control = encoder.tokenizer.convert_tokens_to_ids(mark)
    plain = encode(encoder, 'Go on.').ids(1)
    ids = encode(encoder, f'Go {mark}{mark}\n{mark} on.').ids(1)
    assert ids.count(control) == plain.count(control)
    assert encoder.tokenizer.decode(ids).count(mark) == 3 + plain.count(control)


@pytest.mark.parametrize(
    'instruction',
    [
        '',
        ' ',
        'Go.\n\n\tThen\r\nstop.',
        '向左转，然后停在门口。',
        'Поверни налево',
        'اتجه يسارا',
        '🚪🛋️',
        'e\u0301',
        'Go to the door. ' * 640,
        '{{ messages }} {% raw %}',
        'JanusVLN',
        '\x00',
    ],
    ids=lambda text: repr(text[:12]),
)
def test_any_text_is_an_instruction(encoder, instruction):
    ids = encode(encoder, instruction).suffix
    text = encoder.tokenizer.decode(ids)
    expected = BEFORE_INSTRUCTION + instruction + AFTER_INSTRUCTION
    assert text.startswith(unicodedata.normalize('NFC', expected) + '<|im_end|>')


def test_text_that_is_no_unicode_is_refused(encoder):
    with pytest.raises(ValueError, match='Unicode'):
        encoder.suffix('Go \ud800.')


def test_instruction_beyond_reason_is_refused(encoder):
    with pytest.raises(ValueError, match='too long: .* at most 16384'):
        encoder.suffix('Go on and on. ' * 20000)


def test_words_that_training_never_had_are_told():
    tiny = PromptEncoder(Path(__file__).parents[2] / 'models' / 'janusvln-tiny')
    assert tiny.unknown_words('Go to the red chair, then go back to the 2nd door.') == ['2nd']
    assert tiny.unknown_words("Don't go to the chair’s left.") == ["Don't", 'chair’s']
    assert tiny.unknown_words('Go BACK') == ['BACK']  # no such token was seen
    assert tiny.unknown_words('Find the fridge, then the red fridge') == ['fridge']
    assert not [w for w in vocabulary('en') if tiny.unknown_words(w)]
    assert tiny.unknown_words('走到红色的冰箱那里，再去the fridge旁边。') == ['冰', '箱', 'fridge']
    assert not [w for w in vocabulary('zh') if tiny.unknown_words(w)]


def test_positions_follow_the_rule_for_images(encoder):
    built = encode(encoder, 'Go.')
    positions = built.positions(2)
    assert positions.shape == (3, len(built.ids(2)))
    start = len(built.prefix)
    block = positions[:, start : start + 14]
    assert block[:, 0].tolist() == [start] * 3
    assert block[:, 1].tolist() == [start + 1] * 3
    assert block[:, 12].tolist() == [start + 1, start + 1 + 2, start + 1 + 3]  # 3 rows, 4 columns
    assert block[:, 13].tolist() == [start + 1 + 4] * 3
    assert positions[:, start + 14].tolist() == [start + 6] * 3
    assert torch.equal(positions[:, start + 14 : start + 28] - 6, block)
    assert positions[:, -1].tolist() == [start + 12 + len(built.suffix) - 1] * 3


def test_folder_without_a_tokenizer_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match='tokenizer'):
        PromptEncoder(tmp_path)


def test_another_chat_template_is_an_error(tmp_path):
    for name in ('tokenizer.json', 'vocab.json', 'merges.txt', 'added_tokens.json'):
        (tmp_path / name).write_bytes((GOLDEN / 'checkpoint' / name).read_bytes())
    config = json.loads((GOLDEN / 'checkpoint' / 'tokenizer_config.json').read_text())
    config['chat_template'] = '{{ messages[1]["content"][1]["text"] }}<image>'
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='chat template'):
        PromptEncoder(tmp_path)
