"""What a step of the diffusion transformer costs beside diffusers' `WanTransformer3DModel`, and what has to be equal.

    python bench/dit.py [--rounds N] [--dtype bfloat16] [--device cuda] [--compile] [--width D] [--layers N] [--tokens SIDE]

Both have the same width, layers, feed-forward, head width, type and random weights. The clip is 19 latent frames (73 frames), so
that a reference weighs as much beside it as it does in a segment of the real size. One round calls every variant once, in an
order that turns from round to round; what counts is the best of the rounds, the median stands beside it. On a CPU one thread
runs and its own time is taken, not the clock's: what else the machine does counts little. On a GPU it is the clock's.

- ``wan``: Wan with a text of 512 tokens, as it is always called, on the tokens of the clip;
- ``wan +1``: the same, on as many tokens as the clip and one reference have together: the same tokens as ours;
- ``N cached``, ``N uncached``: ours with N references, pose and face motion, with and without `encode_references` in the step;
- ``3 encoded alone``: what keeping saves, without the noise of two large numbers that differ by little;
- ``1 cached, text``: ours with Wan's text attention as well.

What keeping keys and values can save depends on the size: the longer the clip and the narrower the model, the more of a step is
attention within the clip. The bar's ratio by counted operations is printed beside the measured one, for these sizes and for
960x640 at the paper's lengths.

Equalities: with Wan's weights against Wan, cached against uncached, and with --compile compiled blocks against eager ones (the
C++ of a CPU takes a minute to be made). Two ranks against one are a test (tests/models/test_parallel.py).

Not measured: the VAE, the sampler, a model of the real size. Exit codes: 0 all bars met, 1 one missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from common import ROOT, median, options, print_table, verdict, write_results

FRAMES, MOTION, TEXT, TEXT_DIM, CHANNELS, MOTION_DIM = 19, 73, 512, 4096, 16, 512
HEAD_DIM = 64
ONE_REFERENCE, THREE_CACHED = 1.05, 0.95  # of Wan on the same tokens; of uncached
EXACT, CLOSE = 0.0, {"float32": 1e-4, "bfloat16": 5e-2}


def make(chosen: argparse.Namespace, *, text: bool) -> tuple[Any, Any]:
    """Wan, and ours with its weights, whose added parts were given something to do."""
    from diffusers import WanTransformer3DModel

    from dreamactor_cli.models.transformer import DreamActorTransformer3DModel

    torch.manual_seed(0)
    sizes = {
        "num_attention_heads": chosen.width // HEAD_DIM, "attention_head_dim": HEAD_DIM, "in_channels": CHANNELS,
        "out_channels": CHANNELS, "ffn_dim": 6 * chosen.width, "num_layers": chosen.layers, "patch_size": (1, 2, 2),
    }  # fmt: skip
    wan = WanTransformer3DModel(text_dim=TEXT_DIM, **sizes).eval()
    ours = DreamActorTransformer3DModel(
        text_dim=TEXT_DIM if text else None, pose_channels=CHANNELS, motion_dim=MOTION_DIM, **sizes
    ).eval()
    ours.load_state_dict(wan.state_dict(), strict=False)
    return tuple(model.to(chosen.device, getattr(torch, chosen.dtype)).requires_grad_(False) for model in (wan, ours))


def wake(model: Any) -> None:
    """What begins at zero is zero no more."""
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)


class Inputs:
    """A clip of tokens x tokens a frame, and what goes with it."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        made, side = torch.Generator().manual_seed(1), 2 * chosen.tokens

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=made).to(chosen.device, getattr(torch, chosen.dtype))

        self.clip = random(1, CHANNELS, FRAMES + 1, side, side)
        self.references = random(1, 3, CHANNELS, side, side)
        self.text = random(1, TEXT, TEXT_DIM)
        self.time = torch.full((1,), 500.0, device=chosen.device)
        frames = torch.tensor([(frame + 3) // 4 for frame in range(MOTION)], device=chosen.device)
        self.given = {
            "hidden_states": self.clip[:, :, :FRAMES], "timestep": self.time,
            "pose_states": random(1, CHANNELS, FRAMES, side, side), "motion_tokens": random(1, MOTION, MOTION_DIM),
            "motion_frames": frames,
        }  # fmt: skip


def variants(wan: Any, ours: Any, with_text: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """One step of each, by name."""
    one, three = inputs.references[:, :1], inputs.references
    known = {1: ours.encode_references(one), 3: ours.encode_references(three)}
    reading = with_text.encode_references(one)
    return {
        "wan": lambda: wan(inputs.given["hidden_states"], inputs.time, inputs.text).sample,
        "wan +1": lambda: wan(inputs.clip, inputs.time, inputs.text).sample,
        "0": lambda: ours(**inputs.given).sample,
        "1 cached": lambda: ours(**inputs.given, reference_cache=known[1]).sample,
        "1 uncached": lambda: ours(**inputs.given, reference_states=one).sample,
        "3 cached": lambda: ours(**inputs.given, reference_cache=known[3]).sample,
        "3 uncached": lambda: ours(**inputs.given, reference_states=three).sample,
        "3 encoded alone": lambda: ours.encode_references(three),
        "1 cached, text": lambda: with_text(
            **inputs.given, reference_cache=reading, encoder_hidden_states=inputs.text
        ).sample,
    }  # fmt: skip


def equalities(chosen: argparse.Namespace, inputs: Inputs) -> list[tuple[str, float, float]]:
    """What, the largest difference, and what it may be."""
    wan, ours = make(chosen, text=True)
    theirs = wan(inputs.given["hidden_states"], inputs.time, inputs.text).sample
    parity = furthest(ours(**inputs.given, encoder_hidden_states=inputs.text).sample, theirs)
    wake(ours)
    known = ours.encode_references(inputs.references)
    eager = ours(**inputs.given, reference_cache=known).sample
    cached = furthest(ours(**inputs.given, reference_states=inputs.references).sample, eager)
    rows = [("with Wan's weights, against Wan", parity, EXACT), ("cached against uncached, 3 references", cached, EXACT)]
    if chosen.compile:
        ours.compile_repeated_blocks(fullgraph=True)
        compiled = furthest(ours(**inputs.given, reference_cache=known).sample, eager)
        rows.append(("compiled against eager, relative", compiled / eager.abs().max().item(), CLOSE[chosen.dtype]))
    return rows


def furthest(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference."""
    return (a - b).abs().max().item()


def seconds(call: Callable[[], Any], device: str) -> float:
    """Of one call."""
    if device == "cpu":
        began = time.process_time()
        call()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def measure(calls: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of each variant in each round, after one that does not count."""
    names = list(calls)
    took: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds + 1):
        for name in names[index % len(names) :] + names[: index % len(names)]:
            spent = seconds(calls[name], device)
            if index:
                took[name].append(spent)
    return took


def ratio(took: dict[str, list[float]], name: str, base: str) -> float:
    """Of the best times."""
    return min(took[name]) / min(took[base])


class Size(NamedTuple):
    """What a step costs by: width, width of the feed-forward, tokens of a frame, latent frames."""

    width: int
    feed_forward: int
    tokens: int
    frames: int


def operations(size: Size, references: int, *, cached: bool) -> int:
    """Multiplications and additions of a block in a step: matrices, and attention to clip, references and motion."""
    clip, known, half = size.tokens * size.frames, size.tokens * references, size.width // 2
    dense, feed = size.width**2, 2 * size.width * size.feed_forward
    motion = 4 * size.frames - 3
    spent = 2 * clip * (6 * dense + feed)
    spent += 4 * clip * ((clip + known) * size.width + known * half + (motion + 1) * half)
    return spent if cached else spent + 2 * known * (5 * dense + feed) + 4 * known**2 * size.width


def print_counted(chosen: argparse.Namespace) -> dict[str, float]:
    """Three references, cached, of uncached."""
    sizes = {"here": Size(chosen.width, 6 * chosen.width, chosen.tokens**2, FRAMES)}
    for name, width, feed_forward in (("1.3b", 1536, 8960), ("14b", 5120, 13824)):
        sizes |= {f"{name}, {4 * f - 3} frames": Size(width, feed_forward, 2400, f) for f in (7, 19, 31)}
    counted = {name: operations(s, 3, cached=True) / operations(s, 3, cached=False) for name, s in sizes.items()}
    print_table("3 cached, of 3 uncached, by counted operations", ("size", "ratio"), list(counted.items()))
    return counted


def main() -> int:
    """Run the measurement."""
    parser = options(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dtype", choices=tuple(CLOSE), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="compiled blocks against eager ones, too")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=10, help="a side of a frame")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from diffusers.utils import logging

    logging.set_verbosity_error()  # that all of a model is cast to one type is meant
    torch.set_num_threads(1)
    with torch.no_grad():
        inputs = Inputs(chosen)
        equal = equalities(chosen, inputs)
        (wan, ours), (_, with_text) = make(chosen, text=False), make(chosen, text=True)
        wake(ours)
        wake(with_text)
        took = measure(variants(wan, ours, with_text, inputs), chosen.rounds, chosen.device)
    rows = [
        (name, min(spent), median(spent), ratio(took, name, "wan"), ratio(took, name, "wan +1")) for name, spent in took.items()
    ]
    print_table("seconds a step", ("variant", "best", "median", "of wan", "of wan +1"), rows)
    bars = [
        ("1 cached, of wan +1", ratio(took, "1 cached", "wan +1"), f"<= {ONE_REFERENCE:g}", ONE_REFERENCE),
        ("3 cached, of 3 uncached", ratio(took, "3 cached", "3 uncached"), f"<= {THREE_CACHED:g}", THREE_CACHED),
        *((what, value, f"<= {bar:g}", bar) for what, value, bar in equal),
    ]
    table = [(what, f"{value:.3g}", told, verdict(value <= bar)) for what, value, told, bar in bars]
    print_table("bars", ("what", "value", "bar", ""), table)
    counted = print_counted(chosen)
    alone = min(took["3 encoded alone"]) / min(took["3 cached"])
    print(f"3 cached, of 3 cached and the encoding of 3 measured alone: {1 / (1 + alone):.3f}")
    write_results("dit", {
        "three cached of uncached, counted": counted,
        "sizes": vars(chosen), "seconds": took,
        "ratios": {name: {"of wan": of_wan, "of wan +1": of_same} for name, _, _, of_wan, of_same in rows},
        "bars": [{"what": what, "value": value, "bar": told, "met": value <= bar} for what, value, told, bar in bars],
    })  # fmt: skip
    return 0 if all(value <= bar for _, value, _, bar in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
