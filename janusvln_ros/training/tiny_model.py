"""
janusvln-tiny before it has learned anything: the 7B's architecture with small numbers.

Frames are 112 x 84 pixels: 8 x 6 patches, 12 tokens of the language model. The tokenizer is
trained on the prompt and the grammar; it has a token for each of the prompt's fixed sentences, so
that an instruction and all around it are about 15 tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import re
import tempfile
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.episodes.free_words import free_words
from janusvln_ros.episodes.grammar import tokenise, vocabulary
from janusvln_ros.episodes.phrasings import PHRASINGS
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.random_checkpoint import (
    NOT_SPECIAL,
    small_config,
    SPECIAL,
    WORDS,
    write_companions,
)
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION, SYSTEM
from tokenizers import AddedToken, decoders, models, pre_tokenizers, Regex, Tokenizer, trainers
import torch
from torch import nn

VOCABULARY = 1536
IMAGE_WIDTH = 112  # pixels
SENTENCES = (SYSTEM, BEFORE_INSTRUCTION, AFTER_INSTRUCTION, *(action.name for action in Action))

_LANGUAGE = 'model.', 'lm_head.'  # names of the language model's tensors

# With 1e6 and 16 pairs of channels, most pairs would not turn within an episode.
_ROPE = {
    'rope_theta': 1000.0,
    'rope_scaling': {'type': 'default', 'rope_type': 'default', 'mrope_section': [4, 4, 8]},
}


@dataclass(frozen=True)
class Size:
    """The numbers that differ between sizes; heads have 32 channels, geometry's at `small` 24."""

    language: dict[str, int]
    vision: dict[str, Any]
    geometry: dict[str, int]
    merger: int


SIZES = {
    # 1.9 M parameters: what a CPU can train.
    'small': Size(
        {
            'hidden_size': 128,
            'intermediate_size': 256,
            'num_hidden_layers': 4,
            'num_attention_heads': 4,
            'num_key_value_heads': 2,
        },
        {
            'depth': 3,
            'hidden_size': 96,
            'intermediate_size': 192,
            'num_heads': 3,
            'out_hidden_size': 128,
            'fullatt_block_indexes': [0, 2],
        },
        {
            'img_size': 112,
            'embed_dim': 48,
            'depth': 2,
            'num_heads': 2,
            'dino_depth': 2,
            'dino_num_heads': 2,
        },
        256,
    ),
    # 8.2 M parameters, 16 MB in bfloat16: for a GPU.
    'medium': Size(
        {
            'hidden_size': 256,
            'intermediate_size': 512,
            'num_hidden_layers': 5,
            'num_attention_heads': 8,
            'num_key_value_heads': 2,
        },
        {
            'depth': 5,
            'hidden_size': 192,
            'intermediate_size': 384,
            'num_heads': 6,
            'out_hidden_size': 256,
            'fullatt_block_indexes': [0, 2, 4],
        },
        {
            'img_size': 112,
            'embed_dim': 96,
            'depth': 3,
            'num_heads': 3,
            'dino_depth': 4,
            'dino_num_heads': 3,
        },
        512,
    ),
}


def write_fresh_checkpoint(
    folder: str | Path, size: str = 'small', seed: int = 0, encoders: Path | None = None
) -> Path:
    """
    Write the untrained model to a new folder.

    encoders: a checkpoint of that size whose encoders and mergers are taken; the language model
    is the untrained one all the same. Raises FileExistsError rather than overwrite, ValueError
    for a size that there is none of, or that is not the encoders'.
    """
    if size not in SIZES:
        raise ValueError(f'no size {size!r}; there are {", ".join(SIZES)}')

    def untrained(config: JanusConfig) -> dict[str, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = JanusModel(config)
            initialise(model)
        state = model.state_dict()
        return state | _encoders(encoders, state) if encoders is not None else state

    return _write(folder, SIZES[size], untrained)


def _encoders(start: Path, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Read encoders and mergers; ValueError where they do not fit a model's state."""
    model = checkpoint.load(
        start, JanusConfig.from_folder(start), torch.device('cpu'), torch.float32
    )
    found = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(_LANGUAGE)
    }
    wanted = {name: tensor.shape for name, tensor in state.items()}
    if other := [name for name in found if wanted.get(name) != found[name].shape]:
        raise ValueError(f'the encoders of {start} are of another size: {other[0]} differs')
    return found


def write_with_new_words(folder: str | Path, start: Path) -> Path:
    """
    Write a checkpoint of one of our sizes to a new folder, with the tokenizer of today.

    What the old tokenizer had keeps its rows of embeddings; a new token begins with the mean of
    those that spelled it. Dense heads are kept. Raises FileExistsError rather than overwrite,
    ValueError for a checkpoint of another size.
    """
    old_config = JanusConfig.from_folder(start)
    sizes = [
        size
        for size in SIZES.values()
        if size.language['hidden_size'] == old_config.language.hidden_size
    ]
    if not sizes:
        raise ValueError(f'{start} has none of the sizes {", ".join(SIZES)}')
    state = checkpoint.load(start, old_config, torch.device('cpu'), torch.float32).state_dict()
    state |= {name: tensor.float() for name, tensor in checkpoint.unused(start)}
    old = Tokenizer.from_file(str(start / 'tokenizer.json'))
    new = train_tokenizer()
    spelled = {
        number: old.encode(new.decode([number], skip_special_tokens=False)).ids
        if old.token_to_id(token) is None
        else [old.token_to_id(token)]
        for token, number in new.get_vocab().items()
    }

    def moved(config: JanusConfig) -> dict[str, torch.Tensor]:
        for name in ('model.embed_tokens.weight', 'lm_head.weight'):
            before = state[name]
            # The last row was no token's: what is no token's stays like it.
            rows = before[-1:].repeat(config.language.vocab_size, 1)
            for number, pieces in spelled.items():
                rows[number] = before[pieces].mean(dim=0)
            state[name] = rows
        return state

    return _write(folder, sizes[0], moved)


def _write(
    folder: str | Path,
    numbers: Size,
    state_of: Callable[[JanusConfig], Mapping[str, torch.Tensor]],
) -> Path:
    """Write a checkpoint of a size with the tokenizer of today."""
    tokenizer = train_tokenizer()
    config = small_config(
        tokenizer,
        {'vocab_size': VOCABULARY, **_ROPE, **numbers.language},
        {'window_size': 112, **numbers.vision},
        merger=numbers.merger,
        image_width=IMAGE_WIDTH,
    )
    state = state_of(JanusConfig.from_dicts(config, numbers.geometry))
    with tempfile.TemporaryDirectory() as companions:
        files = Path(companions)
        write_companions(files, tokenizer, config)
        _change(files / 'tokenizer_config.json', tokenizer_class='PreTrainedTokenizerFast')
        _change(files / 'generation_config.json', repetition_penalty=1.0)
        geometry = {**numbers.geometry, 'depth_in_heights': True}  # as stage `heads` teaches it
        (files / 'vggt_config.json').write_text(json.dumps(geometry, indent=2) + '\n')
        return checkpoint.write(folder, config, state.items(), [companions])


def initialise(model: JanusModel) -> None:
    """Draw what torch's own initialisation leaves at zero or far too large."""
    for name, parameter in model.named_parameters():
        if name == 'model.embed_tokens.weight':
            nn.init.normal_(parameter, std=0.3)
        elif name == 'lm_head.weight':
            nn.init.normal_(parameter, std=0.02)
        elif 'token' in name or name.endswith('pos_embed'):
            nn.init.normal_(parameter, std=0.1)


def train_tokenizer() -> Tokenizer:
    """Train the tokenizer; always the same one."""
    pattern = '|'.join([*(re.escape(sentence) for sentence in SENTENCES), WORDS])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), 'isolated'),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _texts(),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - len(SPECIAL + NOT_SPECIAL),
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in NOT_SPECIAL])
    return tokenizer


def _texts() -> Iterator[str]:
    """Give the tokenizer's training text: the prompt's sentences and every word of the grammar."""
    for sentence in (*SENTENCES, 'system', 'user', 'assistant'):
        yield from [sentence] * 1000
    for word in vocabulary('en'):
        yield from [f' {word}'] * 200
    firsts = {tokenise(text, 'en')[0] for form in PHRASINGS.values() for text in form['en']}
    for word in sorted(firsts | {'turn'}):
        yield from [word.capitalize()] * 200
    for word in free_words():
        yield from [f' {word}'] * 200
        yield from [word.capitalize()] * 200
    for word in vocabulary('zh'):
        yield from [word] * 100


def _change(path: Path, **fields: Any) -> None:
    content = {**json.loads(path.read_text(encoding='utf-8')), **fields}
    path.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
