"""The benchmark command: what it measures, writes and says."""

import json

import cv2
from janusvln_ros.measurement import benchmark
from janusvln_ros.measurement.estimate import tiny_config
from janusvln_ros.measurement.figure import draw
from janusvln_ros.measurement.recompute import Recompute
from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network import quantization
from janusvln_ros.policy.network.config import CheckpointError
import numpy as np
import pytest
from safetensors.torch import save_file
import torch

CPU = torch.device('cpu')


@pytest.mark.slow
def test_all_modes_are_measured_and_written(tmp_path, capsys):
    steps = '--steps 42 --recompute-steps 3 --initial 1 --recent 2 --threads 1'.split()
    robots = '--robots 1 3 --robot-steps 4'.split()
    frames = '--frame-size 96x72 --image-width 84'.split()
    output = f'--output={tmp_path / "out"}'
    assert benchmark.main(['tiny', *frames, *steps, *robots, output]) == 0
    report = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert report['device'] == 'CPU, threads: 1'
    assert list(report['modes']) == ['recompute', 'sampled', 'windowed']
    for mode, result in report['modes'].items():
        steps = 3 if mode == 'recompute' else 42
        assert {len(values) for values in result['steps'].values()} == {steps}
        for part in benchmark.PARTS:
            times = result['seconds'][part]
            assert 0 < times['median'] <= times['p99']
            assert times['median'] <= result['seconds']['total']['median']
    windowed = report['modes']['windowed']
    assert windowed['from_step'] == 5
    held = windowed['allocated_bytes']
    assert held['least'] == held['most'] > windowed['memory_bytes'] > 0
    assert windowed['least_seconds']['prefill'] > 0
    assert windowed['first_decision_seconds'] > windowed['steps']['total'][0]
    alone, three = windowed['robots']
    assert alone['steps'] == [4] and alone['shares'] == [1.0]
    assert three['robots'] == 3 and max(three['steps']) == 4 and min(three['steps']) >= 3
    printed = capsys.readouterr().out
    assert (tmp_path / 'out' / 'benchmark.md').read_text() in printed
    assert '| windowed | geometry |' in printed
    assert 'windowed, 3 at once: ' in printed
    picture = cv2.imread(str(tmp_path / 'out' / 'benchmark.png'))
    assert picture.shape[2] == 3
    assert (picture < 250).any()


def test_recompute_decides_as_the_window_that_evicts_nothing(checkpoint_folder, make_frames):
    policy = JanusPolicy.from_pretrained(
        checkpoint_folder, 'cpu', 'float32', image_width=112, memory=MemoryConfig('windowed', 2, 2)
    )
    recompute = Recompute(policy)
    policy.reset('Go.')
    recompute.reset('Go.')
    for step, frame in enumerate(make_frames(6)):
        want = policy.step(frame).logits
        got = recompute.step(frame)[0][0]
        same = (got - want).norm() / want.norm() < 1e-5
        assert same == (step <= 4)  # the step after four frames still sees them all


def test_full_size_is_made_of_random_weights(monkeypatch, make_frames):
    monkeypatch.setattr(benchmark, 'FULL_SIZE', tiny_config())  # the real one takes 18 GB
    policy = benchmark.make_policy(
        'full', MemoryConfig('windowed', 1, 2), 'cpu', 'bfloat16', None, None
    )
    policy.reset('Go.')
    decision = policy.step(make_frames(1)[0])
    assert decision.logits.isfinite().all()
    assert policy.image_width == 224
    assert policy.model.dtype == torch.bfloat16


def test_interrupted_measurement_keeps_what_it_has():
    def step(frame):
        taken.append(frame.shape)
        if len(taken) == 6:
            raise KeyboardInterrupt
        return dict.fromkeys(benchmark.PARTS, 0.1)

    taken = []
    frames = benchmark.moving_frames((32, 24))
    series, memory = benchmark.run(step, frames, 50, CPU, 'test')
    assert set(taken) == {(24, 32, 3)}
    assert {len(values) for values in series.values()} == {5}
    summary = benchmark.summarise(series, memory, full=56)
    assert summary['seconds']['geometry'] == {
        'median': pytest.approx(0.1),
        'p99': pytest.approx(0.1),
    }


def test_growth_is_seen_through_disturbances():
    generator = np.random.default_rng(0)
    seconds = 0.1 + 1e-5 * np.arange(600) + generator.normal(0, 1e-3, 600)
    seconds[::20] += 1
    assert benchmark.slope(seconds) == pytest.approx(1e-2 / 0.103, rel=0.05)
    assert abs(benchmark.slope(generator.permutation(seconds))) < 0.02


def test_growing_memory_is_told():
    series = {name: [0.1] * 80 for name in (*benchmark.PARTS, 'total', 'processor')}
    held = benchmark.summarise(series, [10, 20, 20, 21], full=20)['allocated_bytes']
    assert held == {'first': 20, 'least': 20, 'most': 21}


def test_quantised_weights_count_by_what_they_store():
    pytest.importorskip('torchao')
    linear = torch.nn.Linear(512, 512, bias=False).requires_grad_(False)
    before = benchmark.allocated(CPU)
    quantization.quantize(linear, 'int8')
    saved = 4 * 512 * 512 - quantization.weight_bytes((512, 512), 'int8')
    assert before - benchmark.allocated(CPU) == pytest.approx(saved, rel=0.01)


def test_estimate_of_the_profiles(capsys):
    root = benchmark.__file__.rpartition('janusvln_ros/')[0]
    assert benchmark.main(['--estimate', f'{root}config/computers/laptop_cpu.yaml']) == 0
    printed = capsys.readouterr().out
    assert 'GB of 8 GB' in printed
    assert 'windowed: at least' in printed


@pytest.mark.parametrize(
    'options', [['--steps', '0'], ['--frame-size', '640'], ['--modes', 'all']]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(SystemExit, match='2'):
        benchmark.main(options)


@pytest.mark.slow
def test_a_picture_shows_every_line(tmp_path):
    frames = np.arange(1, 40)
    draw(
        {'recompute': (frames, 0.02 * frames), 'sampled': ([], [])}, 'on a CPU', tmp_path / 'a.png'
    )
    picture = cv2.imread(str(tmp_path / 'a.png'))
    assert picture.shape == (720, 1200, 3) and picture.std() > 5
    with pytest.raises(ValueError, match='nothing'):
        draw({}, 'empty', tmp_path / 'a.png')


@pytest.mark.slow
def test_the_heads_cost_and_memory_are_told(capsys):
    options = '--modes windowed --steps 6 --initial 1 --recent 2 --threads 1'.split()
    frames = '--frame-size 96x72 --image-width 84'.split()
    assert benchmark.main(['tiny', *options, *frames, '--geometry-heads', 'points']) == 0
    printed = capsys.readouterr().out
    assert '| windowed | heads | ' in printed
    (told,) = (line for line in printed.splitlines() if 'the dense heads take' in line)
    for what in ('weights', 'geometry memory', 'dense heads'):
        assert f'MB of {what}' in told
    assert benchmark.main(['tiny', *options, *frames]) == 0
    assert 'heads' not in capsys.readouterr().out


def test_an_adapter_is_measured(checkpoint_folder, tmp_path, capsys):
    adapter, name = tmp_path / 'adapter', 'model.layers.0.self_attn.q_proj'
    adapter.mkdir()
    common = [str(checkpoint_folder), f'--adapter={adapter}', f'--output={tmp_path / "out"}']
    command = [*common, *'--modes windowed --steps 2 --threads 1 --frame-size 96x72'.split()]
    with pytest.raises(CheckpointError, match='is no adapter'):
        benchmark.main(command)

    memory = MemoryConfig('windowed', 1, 2)
    plain = benchmark.make_policy(common[0], memory, 'cpu', 'float32', None, None)
    weight = plain.model.get_submodule(name).weight
    (adapter / 'adapter_config.json').write_text('{"peft_type": "LORA", "r": 1, "lora_alpha": 1}')
    parts = {'A': torch.ones(1, weight.shape[1]), 'B': torch.ones(weight.shape[0], 1)}
    parts = {f'base_model.model.{name}.lora_{x}.weight': part for x, part in parts.items()}
    save_file(parts, adapter / 'adapter_model.safetensors')
    added = benchmark.make_policy(
        common[0], memory, 'cpu', 'float32', None, None, adapter=str(adapter)
    )
    torch.testing.assert_close(added.model.get_submodule(name).weight, weight + 1)

    assert benchmark.main(command) == 0
    assert f'{checkpoint_folder} with {adapter}, ' in capsys.readouterr().out
    report = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert report['adapter'] == str(adapter)


def test_random_weights_take_no_adapter(capsys):
    with pytest.raises(SystemExit, match='2'):
        benchmark.main(['full', '--adapter', 'somewhere'])
    assert 'full has random weights' in capsys.readouterr().err
