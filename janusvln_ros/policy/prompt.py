"""
Instruction and images to token ids and positions (Qwen2.5-VL's chat template, M-RoPE).

A prompt is prefix | block of each image | suffix. Only the suffix depends on the instruction, only
the blocks on the image size. The instruction is data: whatever it contains is encoded as plain
text, never as a control token.
"""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
import re
from typing import Any

from janusvln_ros.policy.network.config import CheckpointError, JanusConfig, read_json
from janusvln_ros.policy.preprocessing import Grid
from janusvln_ros.policy.wording import AFTER_INSTRUCTION, BEFORE_INSTRUCTION, SYSTEM
from tokenizers import Tokenizer
import torch
from transformers import AutoTokenizer

MOST_OWN_WORDS = 10_000  # tokens of a tokenizer that was made for one training's texts alone
MOST_TOKENS = 16384  # of an instruction with the sentences around it
_CHINESE = re.compile(r'[\u3400-\u9fff]')  # written without spaces: each sign is a word
_WORDS = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:['’][^\W_\u3400-\u9fff]+)*")
IMAGE = '<|vision_start|><|image_pad|><|vision_end|>'


@dataclass(frozen=True)
class Prompt:
    """Token ids of a prompt's parts, for images of one grid."""

    prefix: tuple[int, ...]
    block: tuple[int, ...]  # of one image: start mark, pads, end mark
    suffix: tuple[int, ...]
    grid: Grid

    @property
    def advance(self) -> int:
        """Positions that one image takes: its marks, and the longer side of its merged grid."""
        return max(self.grid.merged) + 2

    def ids(self, images: int) -> list[int]:
        """Token ids of the prompt with so many images."""
        return [*self.prefix, *self.block * images, *self.suffix]

    @property
    def vocabulary(self) -> frozenset[int]:
        """Token ids that occur in the prompt."""
        return frozenset(self.ids(1))

    def block_positions(self) -> torch.Tensor:
        """
        Positions (time, row, column) of one image's block relative to its first: (3, block) int64.

        An image with base b has time b, rows b + r, columns b + c; the text goes on after the
        largest.
        """
        rows, columns = self.grid.merged
        row, column = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).T
        image = 1 + torch.stack((torch.zeros_like(row), row, column))
        marks = torch.tensor([[0], [self.advance - 1]]).expand(2, 3)[:, :, None]
        return torch.cat((marks[0], image, marks[1]), dim=1)

    def positions(self, images: int) -> torch.Tensor:
        """Positions of the prompt with so many images: (3, L) int64."""
        parts = [torch.arange(len(self.prefix)).expand(3, -1)]
        start = len(self.prefix)
        for _ in range(images):
            parts.append(start + self.block_positions())
            start += self.advance
        parts.append(start + torch.arange(len(self.suffix)).expand(3, -1))
        return torch.cat(parts, dim=1)


class PromptEncoder:
    """A checkpoint's tokenizer and chat template."""

    def __init__(self, folder: str | Path) -> None:
        """Load from a checkpoint folder; CheckpointError when something is missing there."""
        folder = Path(folder)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            backend = json.loads(self.tokenizer.backend_tokenizer.to_str())
        except Exception as error:
            # transformers raises whatever its parsers raise
            raise CheckpointError(f'{folder}: the tokenizer cannot be loaded: {error}') from error
        if not self.tokenizer.chat_template:
            self.tokenizer.chat_template = read_json(folder / 'chat_template.json').get(
                'chat_template'
            )
        self._plain = Tokenizer.from_str(json.dumps({**backend, 'added_tokens': []}))
        marks = self.tokenizer.encode(IMAGE, add_special_tokens=False)
        if len(marks) != 3 or self.tokenizer.eos_token != '<|im_end|>':
            raise CheckpointError(f"{folder}: the tokenizer lacks Qwen2.5-VL's control tokens")
        self.start_mark, self.pad, self.end_mark = marks
        self._prefix, self._end = self._template(folder)

    def _template(self, folder: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Token ids of what the chat template puts before the images and after the text."""
        text = 'JanusVLN'
        messages: list[dict[str, Any]] = [
            {'role': 'system', 'content': SYSTEM},
            {'role': 'user', 'content': [{'type': 'image'}, {'type': 'text', 'text': text}]},
        ]
        rendered = str(
            self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        )
        before, found, after = rendered.partition(IMAGE + text)
        if not found:
            raise CheckpointError(
                f"{folder}: the chat template is not Qwen2.5-VL's; it renders {rendered!r}"
            )
        return tuple(self.tokenizer.encode(before, add_special_tokens=False)), tuple(
            self.tokenizer.encode(after, add_special_tokens=False)
        )

    @property
    def end_of_turn(self) -> int:
        """Token that ends an answer."""
        return self.tokenizer.eos_token_id

    def suffix(self, instruction: str) -> tuple[int, ...]:
        """
        Token ids of everything after the images.

        Raises TypeError for what is no text, ValueError for text that is not Unicode or has more
        than `MOST_TOKENS`.
        """
        if not isinstance(instruction, str):
            raise TypeError(f'an instruction is a text (str); got {type(instruction).__name__}')
        text = BEFORE_INSTRUCTION + instruction + AFTER_INSTRUCTION
        try:
            text.encode('utf-8')
        except UnicodeEncodeError as error:
            raise ValueError(f'the instruction is no valid Unicode text: {error}') from error
        ids = self._plain.encode(text, add_special_tokens=False).ids
        if len(ids) > MOST_TOKENS:
            raise ValueError(
                f'the instruction is too long: {len(ids)} tokens; at most {MOST_TOKENS} are read'
            )
        return (*ids, *self._end)

    def unknown_words(self, instruction: str) -> list[str]:
        """
        Give the words that the tokenizer has to spell, where it was made for its own texts alone.

        There, every word of the training is one token. A language model's tokenizer spells many
        words that it has seen: nothing can be told by it, and none are given.
        """
        if len(self.tokenizer) > MOST_OWN_WORDS:
            return []
        return [word for word in dict.fromkeys(_WORDS.findall(instruction)) if self._spells(word)]

    def _spells(self, word: str) -> bool:
        text = word if _CHINESE.match(word) else f' {_as_within(word)}'
        return len(self._plain.encode(text, add_special_tokens=False).ids) > 1

    def prompt(self, suffix: tuple[int, ...], grid: Grid) -> Prompt:
        """Put a prompt together for images of one grid."""
        return Prompt(
            self._prefix, (self.start_mark, *[self.pad] * grid.tokens, self.end_mark), suffix, grid
        )


def check_tokens(encoder: PromptEncoder, config: JanusConfig, origin: str) -> None:
    """Raise CheckpointError, naming `origin`, for a tokenizer that is not the model's."""
    known, vocabulary = len(encoder.tokenizer), config.language.vocab_size
    if max(known, encoder.pad + 1) > vocabulary:
        raise CheckpointError(
            f'{origin}: the tokenizer knows {known} tokens, the model {vocabulary}'
        )
    if encoder.pad != config.image_token_id:
        raise CheckpointError(
            f"{origin}: the tokenizer's <|image_pad|> is {encoder.pad}, config.json has "
            f'image_token_id = {config.image_token_id}'
        )


def _as_within(word: str) -> str:
    """Write a word as it stands within a sentence: "Go" as "go", but "GO" as it is."""
    return word.lower() if word == word.capitalize() else word
