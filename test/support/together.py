"""
Run by torchrun: what several processes do together, one thing after the other.

Each argument is a JSON list: ["sharded", CHECKPOINT, TARGET, SIZES], or the words of a `janusvln`
command that train. A line `done N` is written behind each; what fails ends all.
"""

from functools import partial
import json
import os
from pathlib import Path
import sys

from janusvln_ros import cli
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.training.export import export
from janusvln_ros.training.imitation import ImitationNetwork, PARTS
from janusvln_ros.training.parallel import agree, processes, rank, read_weights, shard, world
import torch
from torch import distributed


def sharded(source: Path, target: Path, sizes: list[int]) -> None:
    """
    Read a checkpoint, compare what is held with what is in it, and write it again and again.

    sizes: of its files, bytes. Prints the names of the files that are there after each time.
    """
    with processes('cpu') as device:
        config = JanusConfig.from_folder(source)
        network = ImitationNetwork(
            checkpoint.build(config), trained=PARTS, memory=MemoryConfig('windowed'), auxiliary=0.3
        )
        shard(network, device, 'float32')
        read_weights(network, device, source)
        held = sum(p.to_local().numel() for p in network.parameters())
        assert held < 1.1 / world() * sum(p.numel() for p in network.parameters())
        whole = checkpoint.load(source, config, device, torch.float32).state_dict()
        for name, tensor in network.model.state_dict().items():
            assert torch.equal(tensor.full_tensor(), whole[name]), name
        for size in sizes:
            checkpoint.SHARD_BYTES = size
            export(network, target, source)
            again = checkpoint.load(target, config, device, torch.float32).state_dict()
            assert all(torch.equal(again[name], value) for name, value in whole.items())
            assert checkpoint.tensor_files(target).keys() == {*target.glob('*.safetensors')}
            if rank() == 0:
                print(json.dumps([path.name for path in target.iterdir()]))
            agree()  # nobody writes before all have read


def task(name: str, words: list) -> None:
    if name == 'sharded':
        sharded(Path(words[0]), Path(words[1]), words[2])
    elif status := cli.main([name, *words]):
        sys.exit(status)


if __name__ == '__main__':
    join = distributed.init_process_group
    for number, argument in enumerate(sys.argv[1:]):
        name, *words = json.loads(argument)
        if number:  # torchrun's store remembers the addresses of the group before
            store, *place = next(distributed.rendezvous('env://'))
            of = {'store': distributed.PrefixStore(str(number), store)}
            of |= zip(('rank', 'world_size'), place)
            distributed.init_process_group = partial(join, **of)
        task(name, words)
        if os.environ['RANK'] == '0':
            print(f'done {number}', flush=True)
