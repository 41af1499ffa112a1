"""
The architecture's numbers, read from a checkpoint folder.

A published checkpoint stores them flat in ``config.json`` (transformers 4.50); transformers 5
nests the language part under ``text_config``. Both are read. The geometry encoder's numbers are
fixed in the published code; a folder may state others in ``vggt_config.json``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import json
from pathlib import Path
from typing import Any

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class CheckpointError(ValueError):
    """A checkpoint folder that is missing, partial, damaged or of another kind."""


@dataclass(frozen=True)
class LanguageConfig:
    """Decoder of Qwen2.5 (arXiv 2412.15115)."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_key_value_heads: int
    rms_norm_eps: float
    rope_theta: float
    mrope_section: tuple[int, int, int]  # rotary pairs turned by time, row, column
    vocab_size: int
    max_positions: int

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_heads


@dataclass(frozen=True)
class VisionConfig:
    """Vision tower of Qwen2.5-VL (arXiv 2502.13923)."""

    hidden_size: int
    intermediate_size: int
    depth: int
    num_heads: int
    out_hidden_size: int
    window_size: int  # pixels
    full_attention_blocks: tuple[int, ...]
    patch_size: int = 14
    merge_size: int = 2
    temporal_patch_size: int = 2
    image_mean: tuple[float, ...] = CLIP_MEAN  # of pixels in [0, 1], by colour
    image_std: tuple[float, ...] = CLIP_STD


@dataclass(frozen=True)
class GeometryConfig:
    """Aggregator of VGGT (arXiv 2503.11651); the defaults are VGGT-1B's."""

    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: int = 4
    num_register_tokens: int = 4
    rope_base: float = 100.0
    layernorm_eps: float = 1e-5
    img_size: int = 518  # pixels; side of the stored position table
    patch_size: int = 14
    dino_depth: int = 24
    dino_num_heads: int = 16
    dino_layernorm_eps: float = 1e-6
    feature_block_index: int = -2
    head_layers: tuple[int, ...] = ()  # blocks whose tokens the dense heads read
    head_features: int = 256
    head_out_channels: tuple[int, ...] = (256, 512, 1024, 1024)
    depth_in_heights: bool = False  # the depth head tells heights of the camera above the floor

    def __post_init__(self) -> None:
        """Take lists for what is a tuple; choose the heads' blocks as VGGT-1B's lie."""
        layers = self.head_layers or (-(-k * self.depth // 24) - 1 for k in (5, 12, 18, 24))
        object.__setattr__(self, 'head_layers', tuple(layers))
        object.__setattr__(self, 'head_out_channels', tuple(self.head_out_channels))

    @property
    def num_used_blocks(self) -> int:
        """Pairs of blocks that have to run: the features leave before the last one."""
        return self.feature_block_index % self.depth + 1

    @property
    def num_special_tokens(self) -> int:
        """One camera token and the registers, ahead of the patches."""
        return 1 + self.num_register_tokens


@dataclass(frozen=True)
class JanusConfig:
    """The whole network."""

    language: LanguageConfig
    vision: VisionConfig
    geometry: GeometryConfig
    lam: float = 0.2  # weight of geometry in the fusion (paper, equation 4)
    merger_hidden_dim: int = 4096
    image_width: int = 644  # pixels
    image_token_id: int = 151655
    random_weights: bool = False

    @classmethod
    def from_folder(cls, folder: str | Path) -> JanusConfig:
        """
        Read ``config.json``, the colours in ``preprocessor_config.json``, ``vggt_config.json``.

        The last one may be missing. Raises CheckpointError naming the file and the field when
        something is missing or not supported.
        """
        folder = Path(folder)
        geometry_file = folder / 'vggt_config.json'
        geometry = read_json(geometry_file) if geometry_file.exists() else {}
        config = cls.from_dicts(read_json(folder / 'config.json'), geometry, origin=str(folder))
        pixels = read_json(folder / 'preprocessor_config.json')
        try:
            mean, std = tuple(pixels['image_mean']), tuple(pixels['image_std'])
        except KeyError as error:
            raise CheckpointError(f'{folder}: preprocessor_config.json lacks {error}') from error
        return replace(config, vision=replace(config.vision, image_mean=mean, image_std=std))

    @classmethod
    def from_dicts(
        cls, config: dict[str, Any], geometry: dict[str, Any] | None = None, origin: str = 'config'
    ) -> JanusConfig:
        """
        Read the contents of ``config.json`` and ``vggt_config.json``.

        Raises CheckpointError as `from_folder` does; `origin` names the source in it.
        """
        if config.get('model_type') != 'qwen2_5_vl':
            raise CheckpointError(
                f'{origin}: config.json has model_type {config.get("model_type")!r}; '
                "a JanusVLN checkpoint has 'qwen2_5_vl'"
            )
        text = {**config, **config.get('text_config', {})}
        rope = {**(text.get('rope_scaling') or {}), **(text.get('rope_parameters') or {})}
        kind = rope.get('rope_type', rope.get('type', 'default'))
        for field, value, supported in (
            ('hidden_act', text.get('hidden_act', 'silu'), 'silu'),
            ('use_sliding_window', bool(text.get('use_sliding_window')), False),
            ('tie_word_embeddings', bool(text.get('tie_word_embeddings')), False),
            ('rope_type', 'default' if kind == 'mrope' else kind, 'default'),
        ):
            if value != supported:
                raise CheckpointError(
                    f'{origin}: config.json has {field} = {value!r}; JanusVLN uses {supported!r}'
                )
        try:
            vision = config['vision_config']
            built = cls(
                language=LanguageConfig(
                    hidden_size=text['hidden_size'],
                    intermediate_size=text['intermediate_size'],
                    num_layers=text['num_hidden_layers'],
                    num_heads=text['num_attention_heads'],
                    num_key_value_heads=text['num_key_value_heads'],
                    rms_norm_eps=text['rms_norm_eps'],
                    rope_theta=rope.get('rope_theta') or text['rope_theta'],
                    mrope_section=tuple(rope['mrope_section']),
                    vocab_size=text['vocab_size'],
                    max_positions=text.get('max_position_embeddings', 128000),
                ),
                vision=VisionConfig(
                    hidden_size=vision['hidden_size'],
                    intermediate_size=vision['intermediate_size'],
                    depth=vision['depth'],
                    num_heads=vision['num_heads'],
                    out_hidden_size=vision['out_hidden_size'],
                    window_size=vision['window_size'],
                    full_attention_blocks=tuple(vision['fullatt_block_indexes']),
                    patch_size=vision.get('patch_size', 14),
                    merge_size=vision.get('spatial_merge_size', 2),
                    temporal_patch_size=vision.get('temporal_patch_size', 2),
                ),
                geometry=GeometryConfig(
                    **{
                        key: value
                        for key, value in (geometry or {}).items()
                        if key in GeometryConfig.__dataclass_fields__
                    }
                ),
                lam=config.get('lam', 0.2),
                merger_hidden_dim=config.get('vggt_merger_hidden_dim', 4096),
                image_width=config.get('image_width', 644),
                image_token_id=config.get('image_token_id', 151655),
                random_weights=config.get('janusvln_random', False),
            )
            built._check(origin)
        except KeyError as error:
            raise CheckpointError(f'{origin}: config.json lacks the field {error}') from error
        except TypeError as error:
            raise CheckpointError(f'{origin}: config.json is not understood: {error}') from error
        return built

    def _check(self, origin: str) -> None:
        """Raise CheckpointError for numbers that do not fit together."""
        language, vision, geometry = self.language, self.vision, self.geometry
        sizes = vision.patch_size, vision.merge_size, vision.temporal_patch_size
        rules = {
            'num_attention_heads divides hidden_size': language.hidden_size % language.num_heads
            == 0,
            'num_key_value_heads divides num_attention_heads': language.num_heads
            % language.num_key_value_heads
            == 0,
            'mrope_section adds up to half a head': sum(language.mrope_section)
            == language.head_dim // 2,
            "vision_config's out_hidden_size is hidden_size": vision.out_hidden_size
            == language.hidden_size,
            "vision_config's num_heads divides its hidden_size": vision.hidden_size
            % vision.num_heads
            == 0,
            'patches have 14 pixels, 2 x 2 are merged, and 2 frames': sizes == (14, 2, 2),
            "vggt_config's num_heads divides its embed_dim": geometry.embed_dim
            % geometry.num_heads
            == 0,
            "vggt_config's head_layers are four blocks in order, up to the last": (
                len(geometry.head_layers) == 4
                and geometry.head_layers[-1] == geometry.depth - 1
                and sorted(geometry.head_layers) == [*geometry.head_layers]
            ),
            "vggt_config's head_out_channels and half its head_features are multiples of 4": (
                len(geometry.head_out_channels) == 4
                and not any(n % 4 for n in geometry.head_out_channels)
                and geometry.head_features % 8 == 0
            ),
            "vggt_config's depth_in_heights is true or false": isinstance(
                geometry.depth_in_heights, bool
            ),
        }
        for rule, kept in rules.items():
            if not kept:
                raise CheckpointError(f'{origin}: config.json breaks the rule that {rule}')


FULL_SIZE = JanusConfig(
    language=LanguageConfig(
        hidden_size=3584,
        intermediate_size=18944,
        num_layers=28,
        num_heads=28,
        num_key_value_heads=4,
        rms_norm_eps=1e-6,
        rope_theta=1e6,
        mrope_section=(16, 24, 24),
        vocab_size=152064,
        max_positions=128000,
    ),
    vision=VisionConfig(
        hidden_size=1280,
        intermediate_size=3420,
        depth=32,
        num_heads=16,
        out_hidden_size=3584,
        window_size=112,
        full_attention_blocks=(7, 15, 23, 31),
    ),
    geometry=GeometryConfig(),
)
"""The published model: Qwen2.5-VL-7B with VGGT-1B's aggregator."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raise CheckpointError with the path when there is none."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise CheckpointError(f'no file {path}; a checkpoint folder has one') from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f'{path} cannot be read as JSON: {error}') from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} holds no JSON object')
    return content
