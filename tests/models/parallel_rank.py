"""One rank of two: `test_parallel` starts it twice. Writes what came out to the folder that it is given."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel

from dreamactor_cli.models.parallel import join, leave, share_tokens
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel


def main(folder: Path, rank: int) -> None:
    given = load_file(folder / "inputs.safetensors")
    reference = given.pop("reference")
    join(rank, 2, folder / "meeting", "cpu")
    trained = DistributedDataParallel(DreamActorTransformer3DModel.from_pretrained(folder / "model"))
    own = {name: x[rank : rank + 1] for name, x in given.items()}
    trained(**own, reference_states=reference[rank : rank + 1]).sample.square().mean().backward()
    gradients = {name: p.grad for name, p in trained.module.named_parameters()}

    model = DreamActorTransformer3DModel.from_pretrained(folder / "model").eval()
    share_tokens(model, 2)
    with torch.no_grad():
        cache = model.encode_references(reference)
        out = {
            "uncached": model(**given, reference_states=reference).sample,
            "cached": model(**given, reference_cache=cache).sample,
            "without": model(**given).sample,
            "kept": torch.tensor([keys.key.shape[1] for keys in cache]),
        }
    save_file({**out, **gradients}, folder / f"rank-{rank}.safetensors")
    leave("cpu")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
