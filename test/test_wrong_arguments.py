"""Every command with wrong arguments: one line on stderr, after argparse's usage, and status 2."""

from pathlib import Path
import shlex

from janusvln_ros import cli
import pytest

ROOT = Path(__file__).parents[1]
TINY = ROOT / 'models' / 'janusvln-tiny'
GOLDEN = ROOT / 'test' / 'policy' / 'data' / 'goldens' / 'tiny_act'
STAGES = ROOT / 'config' / 'training' / 'tiny_cpu.yaml'
ODD = '\udcff'  # a byte of a command line that is not UTF-8

# Command -> arguments, in shell's spelling, and what the line has to name. The folder they run in
# has: "a folder" without anything in it, "a file" of text, checkpoint/ with a damaged config.json,
# pictures/ with two, latin.yaml and latin.jsonl that are not UTF-8, and four odd YAML files.
WRONG = {
    'demo': {
        '--nosuch': '--nosuch',
        'word': 'word',
        '--count 0': '1 to 1000',
        '--count -1': '-1',
        '--count two': "'two' is no whole number",
        '--count 1.5': '1.5',
        '--split nosuch': 'val_unseen',
        "--split ''": 'val_unseen',
        '--episode -1': '-1',
        '--episode 1000000': '1000000',
        '--max-steps 0': '1 to 100000',
        "--instruction ''": 'empty',
        '--instruction ODD': 'UTF-8',
        "--out ''": 'empty',
        "--out 'a file'": 'a file is a file',
        "--out 'a file/x'": 'a file is a file',
        '--checkpoint /nosuch': '/nosuch',
        '--checkpoint ODD': 'does not exist',
        "--checkpoint ''": 'empty',
        "--checkpoint 'a file'": 'a file is a file',
        "--checkpoint 'a folder'": 'config.json',
        '--device tpu': 'tpu',
        '--memory-mode x': 'windowed',
    },
    'replay': {
        '': 'INPUT',
        '--nosuch x': '--nosuch',
        '/nosuch': 'does not exist',
        'pictures': '--model DIR is needed',
        '/nosuch --model TINY': '/nosuch',
        "'' --model TINY": 'no bag',
        "'a file' --model TINY": 'a file',
        "'a folder' --model TINY": 'a folder',
        'ODD.mcap --model TINY': '.mcap',
        'pictures --model TINY': '--instruction',
        'pictures --instruction x --model /nosuch': '/nosuch',
        'pictures --instruction x --model checkpoint': 'config.json',
        'pictures --instruction ODD --model TINY': 'UTF-8',
        'pictures --instruction x --model TINY --device cuda:9': 'cuda:9',
        'pictures --instruction x --model TINY --image-width 13': '14',
        'pictures --instruction x --model TINY --image-width wide': 'wide',
        'pictures --instruction x --model TINY --recent-frames 0': 'from 1 to 1000',
        'pictures --instruction x --model TINY --kept-fraction nan': 'nan',
        "pictures --instruction x --model TINY --output 'a file'": 'a file',
        'pictures --instruction x --model TINY --compare /nosuch': '/nosuch',
        'pictures --instruction x --model TINY --every 0': "'0'",
        'pictures --instruction x --model TINY --every often': 'often',
        'pictures --memory-mode x': 'windowed',
        'latin.jsonl': '--compare',
        'latin.jsonl --compare latin.jsonl': 'latin.jsonl',
    },
    'evaluate': {
        '--nosuch': '--nosuch',
        '--policy /nosuch': '/nosuch',
        "--policy ''": 'config.json',
        "--policy 'a folder'": 'a folder',
        "--policy 'a file'": 'a file',
        '--policy checkpoint': 'config.json',
        '--policy TINY --device tpu': 'tpu',
        '--policy TINY --dtype int8': 'bfloat16',
        '--policy TINY --lam nan': 'nan',
        '--policy TINY --lam -1': '-1',
        '--policy TINY --image-width 13': '14',
        '--policy TINY --kept-fraction 0.5': 'windowed',
        '--policy TINY --ablations nosuch': 'nosuch',
        '--ablations': '--policy',
        '--split nosuch': 'val_unseen',
        '--category x': 'x',
        '--episodes 0': 'at least 1',
        '--episodes few': 'few',
        '--processes 0': 'at least 1',
        '--seed -1': 'at least 0',
        '--max-steps 0': 'at least 1',
        '--videos -1': 'at least 0',
        '--env x': 'habitat',
        "--samples ''": 'empty',
        "--samples 'a folder'": 'a folder is a folder',
        '--per-category 0': 'at least 1',
        "--export 'a file'": 'a file is a file',
        "--output 'a file/x'": 'a file is a file',
        "--output ''": 'empty',
        '--output /proc/x': '/proc cannot be written to',
    },
    'train': {
        '': 'stage',
        'all': '--config',
        'all --config STAGES --nosuch': '--nosuch',
        'all --config /nosuch': '/nosuch',
        "all --config ''": 'empty',
        "all --config 'a folder'": 'a folder is a folder',
        "all --config 'a file'": 'a file',
        'all --config latin.yaml': 'latin.yaml',
        'all --config checkpoint/config.json': 'not readable as YAML',
        'all --config list.yaml': 'output and stages',
        'all --config none.yaml': 'stages is None',
        'all --config number.yaml': 'stage a',
        'all --config kind.yaml': 'fly',
        'nosuch --config STAGES': 'nosuch',
        "'' --config STAGES": "''",
        "all --config STAGES --output 'a file'": 'a file is a file',
        'all --config STAGES --device x': 'cuda',
        'all --config STAGES --threads 0': '1 to 256',
        'all --config STAGES --processes none': 'none',
    },
    'data': {
        '': 'command',
        'nosuch': 'nosuch',
        'build': 'target',
        'build x.jsonl': '--pictures',
        'build x.jsonl --pictures /nosuch /nosuch': '/nosuch',
        "build x.jsonl --pictures 'a folder' 'a file'": 'a file',
        "build x.jsonl --pictures 'a folder' latin.jsonl": 'latin.jsonl',
        'build x.jsonl --annotations /nosuch': '/nosuch',
        "build x.jsonl --annotations 'a file'": 'a file is a file',
        "build x.jsonl --annotations 'a folder'": 'annotations.json',
        "build '' --annotations 'a folder'": 'empty',
        "build 'a folder' --annotations 'a folder'": 'a folder is a folder',
        "build x.jsonl --annotations 'a folder' --history -1": 'at least 0',
        'collect': 'folder',
        "collect 'a file'": 'a file is a file',
        "collect ''": 'empty',
        'collect new --episodes 0': 'at least 1',
        'collect new --split nosuch': 'train',
        'collect new --width 0': '16 to 4096',
        'collect new --height tall': 'tall',
        'views': 'folder',
        "views 'a file/x'": 'a file is a file',
        'views new --tours 1': 'at least 2',
        'views new --rooms 3': '--rooms',
        'views new --rooms 3 1': 'LEAST',
        'views new --rooms 0 1': '1 to 6',
        'views new --processes 0': 'at least 1',
        'views new --seed -1': 'at least 0',
        'walks': 'folder',
        "walks 'a file'": 'a file is a file',
        'walks new --walks 0': '1 to 1e',
        'walks new --category x': 'x',
        'walks new --most 0': 'at least 2',
        'walks new --no-slide 2': '0 to 1',
        'walks new --no-slide nan': 'nan',
        'walks new --seed 999': '0 to 100',
        'walks new --nosuch': '--nosuch',
    },
    'benchmark': {
        '--nosuch': '--nosuch',
        '/nosuch': '/nosuch',
        "'a file'": 'a file',
        "'a folder'": 'a folder',
        "''": 'config.json',
        'checkpoint': 'config.json',
        '--steps 0': 'at least 1',
        '--steps many': 'many',
        '--modes x': 'windowed',
        '--modes': '--modes',
        '--recompute-steps 0': 'at least 1',
        '--frame-size 640': '640x480',
        '--frame-size 0x0': 'no pixels',
        '--initial -1': '0 to 1000',
        '--recent 0': '1 to 1000',
        '--history 0': '1 to 1000',
        '--whole -1': '0 to 1000',
        '--image-width 5000': '4096',
        '--image-width 13': '14',
        '--kept-fraction 2': 'from 0 to 1',
        '--device tpu': 'tpu',
        '--dtype int8': 'bfloat16',
        '--language-weights int2': 'int4',
        '--threads -1': '256',
        "--output 'a file'": 'a file is a file',
        '--estimate': '--estimate',
        '--estimate laptop': 'laptop_cpu',
        "--estimate ''": 'laptop_cpu',
        "--estimate 'a folder'": 'a folder',
        "--estimate 'a file'": 'a file',
        '--estimate latin.yaml': 'latin.yaml',
        '--estimate list.yaml': 'list.yaml',
        '--ros --nosuch': '--nosuch',
        '--ros --decisions 0': 'at least 1',
        '--ros --width 0': '56 to 8192',
        '--ros --rate 0': '0.1 to 1000',
        '--ros --rate nan': 'nan',
        '--ros --threads -1': '0 to 256',
        "--ros --json 'a folder'": 'a folder is a folder',
        '--ros --checkpoint /nosuch': '/nosuch',
    },
    'parity': {
        '': 'DIR',
        '--nosuch x': '--nosuch',
        '/nosuch': '/nosuch',
        "'a file'": 'a file',
        'ODD': 'golden',
        'GOLDEN --mode x': 'windowed',
        'GOLDEN --device tpu': 'tpu',
        'GOLDEN --dtype int8': 'bfloat16',
    },
    'depth': {
        '': 'CHECKPOINT',
        '--nosuch x': '--nosuch',
        '/nosuch': '/nosuch',
        "'a file'": 'a file',
        'checkpoint': 'config.json',
        'TINY --split mars': 'mars',
        'TINY --frames 0': 'at least 1',
        'TINY --device tpu': 'tpu',
        'GOLDEN': 'config.json',
    },
    'depth_guard': {
        '': 'CHECKPOINT',
        '--nosuch x': '--nosuch',
        '/nosuch': '/nosuch',
        "'a file'": 'a file',
        'TINY --split mars': 'mars',
        'TINY --drives 0': 'at least 1',
        'TINY --device tpu': 'tpu',
    },
    'doctor': {
        '--no-robot': 'nothing to look at: give CHECKPOINT',
        '--nosuch x': '--nosuch',
        '/nosuch': '/nosuch',
        "'a file'": 'a file',
        'TINY --seconds 0': '1 to 600',
        'TINY --device tpu': 'tpu',
        'TINY --memory-mode x': 'windowed',
        'TINY --no-robot --kept-fraction 0.5': 'windowed',
    },
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Give the folder that the commands run in."""
    from PIL import Image

    here = tmp_path_factory.mktemp('wrong arguments')
    for name in ('a folder', 'checkpoint', 'pictures'):
        (here / name).mkdir()
    (here / 'a file').write_text('x')
    (here / 'checkpoint' / 'config.json').write_text('[1')
    for number in range(2):
        Image.new('RGB', (160, 120)).save(here / 'pictures' / f'{number}.png')
    (here / 'latin.yaml').write_bytes(b'a: "\xff"\n')
    (here / 'latin.jsonl').write_bytes(b'{"a": "\xff"}\n')
    (here / 'list.yaml').write_text('- 1\n')
    (here / 'none.yaml').write_text('output: x\nstages:\n')
    (here / 'number.yaml').write_text('output: x\nstages: {a: 3}\n')
    (here / 'kind.yaml').write_text('output: x\nstages: {a: {kind: fly}}\n')
    return here


@pytest.mark.slow
@pytest.mark.parametrize('command', WRONG)
def test_wrong_arguments_are_one_line_and_status_2(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = {*folder.rglob('*')}
    names = {'TINY': TINY, 'GOLDEN': GOLDEN, 'STAGES': STAGES, 'ODD': ODD}
    for line, text in WRONG[command].items():
        for name, value in names.items():
            line = line.replace(name, shlex.quote(str(value)))
        try:
            status = cli.main([command, *shlex.split(line)])
        except SystemExit as end:  # argparse's way
            status = end.code
        said = capsys.readouterr().err
        # argparse's usage is indented from its second line on
        lines = [one for one in said.splitlines() if not one.startswith(('usage: ', ' '))]
        assert status == 2 and len(lines) == 1, (line, status, said)
        assert lines[0].startswith(f'janusvln {command}'), line
        assert text in lines[0], (line, lines[0])
    assert {path.name for path in {*folder.rglob('*')} - before} <= {'x.jsonl.part'}


def test_every_command_is_tried():
    assert {*WRONG, 'navigator', 'motion_executor', 'sim_robot', 'console'} == cli.COMMANDS.keys()
