"""What weights of the diffusion renderer can do, on synthetic people that were never learned from.

    python bench/starter.py [--weights DIR] [--assets FILE] [--clips N] [--steps N] [--guidance X] [--shifts N] [--sheet FILE]

Clips are made with the seeds that training leaves alone, at the size and framing that the weights were trained on. Each is drawn
with the right controls, with another clip's expression, with another clip's pose, and, where heads turn, with three references.
What the figures are stands in `training/diffusion/evaluate.py`; the bars are those of CPU-trained weights, or with --gpu of
GPU-trained ones. Exit codes: 0 all bars met, 1 one missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
from common import options, print_table, verdict, write_results

BARS = {  # figure: bar of CPU-trained weights, of GPU-trained ones, and whether more is better
    "expression_gap": (1.0, 3.0, True), "pose_gap": (3.0, 4.0, True), "over_copy_face": (2.5, 4.0, True),
    "over_copy_frame": (3.0, 4.0, True), "face_found": (0.8, 0.95, True), "mouth_r": (0.6, 0.85, True),
    "yaw_error": (10.0, 6.0, False), "pck": (0.7, 0.8, True), "three_references": (0.0, 0.0, True),
}  # fmt: skip


def main() -> int:
    chosen = arguments()
    from dreamactor_cli.models import weights_folder
    from dreamactor_cli.models.pipeline import DreamActorPipeline
    from dreamactor_cli.training.diffusion.evaluate import evaluate
    from dreamactor_cli.training.diffusion.recipes import defaults_of
    from dreamactor_cli.training.diffusion.samples import sheet, usual_sampling
    from dreamactor_cli.training.diffusion.sources import SyntheticPeople, parse_framings

    models, index = weights_folder.load(weights_folder.find(chosen.weights))
    usual = defaults_of(index.config)
    people = SyntheticPeople(
        count=chosen.clips, size=index.size, frames=max(17, 3 * index.frames - 2), references=3,  # three segments at least
        framings=parse_framings(usual.framings), zoom=usual.zoom,
        seed=chosen.seed, assets=chosen.assets, held_out=True,
    )  # fmt: skip
    clips = [people.clip(3 * number) for number in range(chosen.clips)]  # three clips in a row are of one person
    usual_way = usual_sampling(index)
    sampling = replace(
        usual_way, steps=chosen.steps or usual_way.steps, guidance_motion=chosen.guidance, shifts=chosen.shifts or index.shifts
    )  # fmt: skip
    if chosen.sheet:
        cv2.imwrite(str(chosen.sheet), sheet(models, clips[:8], sampling)[..., ::-1])
    with tempfile.TemporaryDirectory() as work:
        figures = evaluate(DreamActorPipeline(models), clips, sampling, Path(work), lambda text: print(text, flush=True))
    return report(figures.rounded(), chosen)


def arguments() -> argparse.Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--weights", default="starter")
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--steps", type=int, default=0, help="those that the weights gain from, or 12")
    parser.add_argument("--shifts", type=int, default=0, help="draws whose mean is judged; as the weights say")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--gpu", action="store_true")
    return parser.parse_args()


def report(figures: dict[str, float], chosen: argparse.Namespace) -> int:
    rows: list[list[object]] = []
    missed: list[str] = []
    for name, value in figures.items():
        *bars, more = BARS.get(name, (None, None, True))
        bar = bars[int(chosen.gpu)]
        if name == "seam":  # no difference beyond noise
            bar, more = 1 + figures["seam_noise"], False
        met = None if bar is None else bool(value >= bar if more else value <= bar)
        rows.append([name, value, "" if bar is None else f"{'>=' if more else '<='} {bar:g}", verdict(met)])
        missed += [name] if met is False else []
    print_table(
        f"Held-out synthetic people, {chosen.clips} clips, weights {chosen.weights}", ["figure", "value", "bar", ""], rows
    )
    write_results(
        "starter", {"figures": figures, "missed": missed, "clips": chosen.clips, "steps": chosen.steps or "as the weights say"}
    )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
