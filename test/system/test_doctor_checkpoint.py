"""`janusvln doctor` finds what is wrong with a checkpoint, and nothing with a sound one."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import shutil

from janusvln_ros.system.doctor import main
import pytest
from safetensors.torch import load_file, save_file
import torch

SOUND = Path(__file__).parents[2] / 'models' / 'janusvln-tiny'
WEIGHTS = 'model.safetensors'
TENSOR = 'model.norm.weight'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the shipped checkpoint, to be damaged."""
    return Path(shutil.copytree(SOUND, tmp_path / 'checkpoint'))


@pytest.fixture
def look(
    capsys: pytest.CaptureFixture[str], one_thread: None
) -> Callable[..., dict[str, dict[str, str]]]:
    """Give a function that runs the doctor; it returns the findings by what they are about."""

    def look(folder: Path, *options: str) -> dict[str, dict[str, str]]:
        status = main([str(folder), '--no-robot', '--json', '--device', 'cpu', *options])
        printed = json.loads(capsys.readouterr().out)
        marks = [finding['mark'] for finding in printed['findings']]
        assert status == int('fail' in marks) and printed['failed'] == marks.count('fail')
        assert all(f['do'] for f in printed['findings'] if f['mark'] != 'ok')
        return {finding['about']: finding for finding in printed['findings']}

    return look


def change(folder: Path, name: str, **values: object) -> None:
    """Set fields of one of a checkpoint's JSON files."""
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Write a checkpoint's tensors anew."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def missing(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.pop(TENSOR))


def misshapen(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.update({TENSOR: torch.zeros(7)}))


def integers(folder: Path) -> None:
    def convert(tensors: dict[str, torch.Tensor]) -> None:
        tensors[TENSOR] = tensors[TENSOR].to(torch.int8)

    change_weights(folder, convert)


def without_geometry(folder: Path) -> None:
    """Leave a plain Qwen2.5-VL."""

    def strip(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith(('vggt.', 'merger.'))]:
            del tensors[name]

    change_weights(folder, strip)


def truncated(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def foreign(folder: Path) -> None:
    change(folder, 'config.json', model_type='llama')


def plain_tokenizer(folder: Path) -> None:
    """Take the control tokens away; transformers makes some up, with other numbers."""
    tokenizer = json.loads((folder / 'tokenizer.json').read_text())
    change(folder, 'tokenizer.json', added_tokens=tokenizer['added_tokens'][:1])
    change(folder, 'tokenizer_config.json', added_tokens_decoder={}, extra_special_tokens={})
    (folder / 'added_tokens.json').write_text('{}')


def other_image_token(folder: Path) -> None:
    change(folder, 'config.json', image_token_id=3)


def beams(folder: Path) -> None:
    change(folder, 'generation_config.json', num_beams=4)


@pytest.mark.parametrize(
    'damage, about, words',
    [
        (missing, 'weights', f'1 missing, 0 unexpected, 0 misshapen; missing: {TENSOR}'),
        (misshapen, 'weights', f'misshapen: {TENSOR} is (7,), should be'),
        (integers, 'weights', f'{TENSOR} is stored as I8'),
        (without_geometry, 'weights', 'a plain Qwen2.5-VL checkpoint?'),
        (truncated, 'weights', 'model.safetensors is damaged or no safetensors file'),
        (foreign, 'checkpoint', "model_type 'llama'; a JanusVLN checkpoint has 'qwen2_5_vl'"),
        (plain_tokenizer, 'tokenizer', "the tokenizer's <|im_end|> is 1277"),
        (other_image_token, 'tokenizer', 'image_token_id = 3'),
        (beams, 'generation settings', 'num_beams = 4'),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_a_fault_in_the_files_is_found_without_loading(folder, look, damage, about, words):
    damage(folder)
    found = look(folder)
    failed = {name for name, finding in found.items() if finding['mark'] == 'fail'}
    assert failed == {about}
    assert words in found[about]['text'] and '\n' not in found[about]['text']
    if about != 'checkpoint':
        assert 'it cannot be loaded' in found['answers']['text']


def test_nothing_is_found_in_a_sound_checkpoint(look):
    found = look(SOUND)
    assert {finding['mark'] for finding in found.values()} == {'ok'}
    assert '369 tensors in 1 files' in found['weights']['text']
    assert 'to 6 pictures it speaks in actions' in found['answers']['text']
    assert 's to load; a step takes' in found['loading']['text']


@pytest.mark.slow
def test_random_weights_do_not_speak_in_actions(checkpoint_folder, tmp_path, look):
    copy = Path(shutil.copytree(checkpoint_folder, tmp_path / 'copy'))
    assert 'its weights are random' in look(copy)['answers']['text']
    change(copy, 'config.json', janusvln_random=False)  # as published wrong ones would be
    found = look(copy)['answers']
    assert found['mark'] == 'fail' and 'answers are no action' in found['text']


def test_too_little_room_is_found_before_loading(look):
    wide = '--image-width', '4088', '--recent-frames', '1000', '--initial-frames', '1000'
    found = look(SOUND, *wide)
    assert (
        found['room']['mark'] == 'fail'
        and 'GB are free on this computer' in (found['room']['text'])
    )
    assert '--recent-frames 500' in found['room']['do']
    assert 'loading' not in found


def test_text_for_people_has_a_line_each_and_what_to_do(folder, capsys):
    missing(folder)
    assert main([str(folder), '--no-robot', '--no-load']) == 1
    lines = capsys.readouterr().out.splitlines()
    (fault,) = (i for i, line in enumerate(lines) if line.startswith('FAIL  weights: '))
    assert lines[fault + 1].startswith('      do: docs/weights.md')
    assert lines[-1] == '6 things looked at: 1 would fail, 0 to think about'


@pytest.mark.parametrize(
    'arguments', [['--no-robot'], ['--seconds', '0'], ['--device', 'tpu'], ['x', 'y']]
)
def test_wrong_options_are_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and 'error: ' in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_a_device_that_is_not_there_is_status_2(capsys):
    assert main([str(SOUND), '--no-robot', '--device', 'cuda']) == 2
    assert 'there is no CUDA GPU here' in capsys.readouterr().err
