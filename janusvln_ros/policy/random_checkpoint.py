"""
A small random checkpoint in the published layout: everything real but the numbers.

It lets every part of the system run where the real weights are not: ``python -m
janusvln_ros.policy.random_checkpoint FOLDER``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import tempfile
from typing import Any

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import CLIP_MEAN, CLIP_STD, JanusConfig
from janusvln_ros.policy.network.heads import HEADS
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION, SYSTEM
from tokenizers import decoders, normalizers, pre_tokenizers, Regex, Tokenizer, trainers
from tokenizers.models import BPE
import torch
from torch import nn

SPECIAL = (
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<|object_ref_start|>',
    '<|object_ref_end|>',
    '<|box_start|>',
    '<|box_end|>',
    '<|quad_start|>',
    '<|quad_end|>',
    '<|vision_start|>',
    '<|vision_end|>',
    '<|vision_pad|>',
    '<|image_pad|>',
    '<|video_pad|>',
)
NOT_SPECIAL = (
    '<tool_call>',
    '</tool_call>',
    '<|fim_prefix|>',
    '<|fim_middle|>',
    '<|fim_suffix|>',
    '<|fim_pad|>',
    '<|repo_name|>',
    '<|file_sep|>',
)
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r'|\s*[\r\n]+|\s+(?!\S)|\s+'
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    '<|im_start|>system\n'
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    '<|vision_start|><|image_pad|><|vision_end|>'
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}"
    '<|im_end|>\n{% endif %}{% endfor %}'
    '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
)
SENTENCES = (
    'Walk past the dining table, turn left at the red sofa and stop next to the doorway.',
    'Go forward to the green cabinet, then turn right and walk through the blue door.',
    'Leave the bedroom, enter the kitchen and wait in front of the yellow chair.',
    'Turn around, go through the hallway into the living room and stop beside the white lamp.',
)
VOCABULARY = 768

# What small models share with the published one, in numbers as in names.
COMMON_VISION = {
    'hidden_act': 'silu',
    'in_channels': 3,
    'in_chans': 3,
    'patch_size': 14,
    'spatial_merge_size': 2,
    'spatial_patch_size': 14,
    'temporal_patch_size': 2,
    'tokens_per_second': 2,
    'model_type': 'qwen2_5_vl',
}
COMMON_LANGUAGE = {
    'hidden_act': 'silu',
    'rms_norm_eps': 1e-6,
    'max_position_embeddings': 128000,
    'use_sliding_window': False,
    'tie_word_embeddings': False,
}
VISION = {
    'depth': 4,
    'hidden_size': 128,
    'intermediate_size': 256,
    'num_heads': 4,
    'out_hidden_size': 256,
    'window_size': 56,
    'fullatt_block_indexes': [1, 3],
}
LANGUAGE = {
    'hidden_size': 256,
    'intermediate_size': 640,
    'num_hidden_layers': 4,
    'num_attention_heads': 8,
    'num_key_value_heads': 2,
    'rope_theta': 1000000.0,
    'rope_scaling': {'type': 'default', 'rope_type': 'default', 'mrope_section': [4, 6, 6]},
    'vocab_size': VOCABULARY,
}
GEOMETRY = {
    'img_size': 224,
    'embed_dim': 64,
    'depth': 4,
    'num_heads': 2,
    'dino_depth': 3,
    'dino_num_heads': 2,
    'head_layers': [0, 1, 2, 3],
    'head_features': 16,
    'head_out_channels': [8, 16, 16, 16],
}

# Most random models answer STOP within a few frames; this one keeps a robot moving for a while.
LIVELY_SEED = 5


def write_random_checkpoint(folder: str | Path, seed: int = LIVELY_SEED) -> Path:
    """
    Write a random model of about 5 M parameters, image width 224, to a new folder.

    The seed alone decides. Its config.json says ``"janusvln_random": true``. Raises
    FileExistsError rather than overwrite.
    """
    tokenizer = train_tokenizer()
    config = {
        **small_config(tokenizer, LANGUAGE, VISION, merger=256, image_width=224),
        'janusvln_random': True,
    }
    numbers = JanusConfig.from_dicts(config, GEOMETRY)
    model = checkpoint.build(numbers)
    # drawn by themselves, so that the other weights are those of a model without heads
    heads = nn.ModuleDict({'vggt': nn.ModuleDict(checkpoint.build(numbers, HEADS).heads)})
    with tempfile.TemporaryDirectory() as companions:
        write_companions(Path(companions), tokenizer, config)
        tensors = (*random_tensors(model, seed), *random_tensors(heads, seed))
        return checkpoint.write(folder, config, tensors, companions=[companions])


def small_config(
    tokenizer: Tokenizer,
    language: dict[str, Any],
    vision: dict[str, Any],
    *,
    merger: int,
    image_width: int,
) -> dict[str, Any]:
    """Make the config.json of a small model from the numbers that are its own."""
    marks = {
        'bos': 'endoftext',
        'pad': 'endoftext',
        'eos': 'im_end',
        'vision_start': 'vision_start',
        'vision_end': 'vision_end',
        'vision': 'vision_pad',
        'image': 'image_pad',
        'video': 'video_pad',
    }
    return {
        'architectures': ['Qwen2_5_VLForConditionalGenerationForJanusVLN'],
        'model_type': 'qwen2_5_vl',
        **COMMON_LANGUAGE,
        **language,
        **{f'{n}_token_id': tokenizer.token_to_id(f'<|{t}|>') for n, t in marks.items()},
        'vision_config': {**COMMON_VISION, **vision},
        'lam': 0.2,
        'reference_frame': 'first',
        'vggt_merger_hidden_dim': merger,
        'torch_dtype': 'float32',
        'image_width': image_width,
    }


def random_tensors(
    model: torch.nn.Module,
    seed: int,
    device: str | torch.device = 'cpu',
    dtype: torch.dtype = torch.float32,
) -> Iterator[tuple[str, torch.Tensor]]:
    """Draw a model's tensors: norms and layer scales near 1, weights by their fan-in."""
    generator = torch.Generator(device).manual_seed(seed)
    for name, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator, device=device, dtype=dtype)
        if tensor.ndim == 1 and not name.endswith('bias'):
            yield name, 1 + 0.1 * noise
        elif tensor.ndim == 1 or 'token' in name:
            yield name, 0.02 * noise
        else:
            yield name, noise / tensor[0].numel() ** 0.5


def train_tokenizer() -> Tokenizer:
    """Train a byte-level BPE with the special tokens of Qwen2.5."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), 'isolated'),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    corpus = [
        SYSTEM,
        *(BEFORE_INSTRUCTION + text + AFTER_INSTRUCTION for text in SENTENCES),
        'system user assistant',
        ' '.join(ACTION_NAMES),
    ]
    tokenizer.train_from_iterator(
        corpus * 2,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - len(SPECIAL + NOT_SPECIAL),
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.add_tokens(list(NOT_SPECIAL))
    return tokenizer


def write_companions(folder: Path, tokenizer: Tokenizer, config: dict[str, Any]) -> None:
    """Write the small files: tokenizer, chat template, generation, pixels, geometry."""
    tokenizer.save(str(folder / 'tokenizer.json'))
    tokenizer.model.save(str(folder))  # vocab.json, merges.txt
    added = {token: tokenizer.token_to_id(token) for token in SPECIAL + NOT_SPECIAL}
    contents = {
        'added_tokens.json': added,
        'tokenizer_config.json': {
            'tokenizer_class': 'Qwen2Tokenizer',
            'add_bos_token': False,
            'add_prefix_space': False,
            'added_tokens_decoder': {
                index: {
                    'content': token,
                    'lstrip': False,
                    'rstrip': False,
                    'normalized': False,
                    'single_word': False,
                    'special': token in SPECIAL,
                }
                for token, index in added.items()
            },
            'additional_special_tokens': SPECIAL[1:],
            'bos_token': None,
            'eos_token': '<|im_end|>',
            'pad_token': '<|endoftext|>',
            'unk_token': None,
            'errors': 'replace',
            'model_max_length': 131072,
            'clean_up_tokenization_spaces': False,
            'split_special_tokens': False,
            'chat_template': CHAT_TEMPLATE,
        },
        'chat_template.json': {'chat_template': CHAT_TEMPLATE},
        'generation_config.json': {
            'bos_token_id': config['bos_token_id'],
            'pad_token_id': config['pad_token_id'],
            'eos_token_id': [config['eos_token_id'], config['bos_token_id']],
            'do_sample': True,
            'repetition_penalty': 1.05,
            'temperature': 1e-6,
        },
        'preprocessor_config.json': {
            'image_processor_type': 'Qwen2VLImageProcessor',
            'processor_class': 'Qwen2_5_VLProcessor',
            'image_mean': CLIP_MEAN,
            'image_std': CLIP_STD,
            'patch_size': 14,
            'merge_size': 2,
            'temporal_patch_size': 2,
            'min_pixels': 3136,
            'max_pixels': 12845056,
        },
        'vggt_config.json': GEOMETRY,
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def main(argv: list[str] | None = None) -> int:
    """Write a checkpoint from the command line."""
    parser = argparse.ArgumentParser(
        description='Write a small random checkpoint in the published layout.'
    )
    parser.add_argument('folder', type=Path, help='new folder')
    parser.add_argument(
        '--seed',
        type=int,
        default=LIVELY_SEED,
        help=f'seed of the weights (default: {LIVELY_SEED})',
    )
    arguments = parser.parse_args(argv)
    print(write_random_checkpoint(arguments.folder, arguments.seed))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
