"""What the network on speech can do on voices and languages that it never heard, beside loudness, and how fast it is.

    python bench/speech.py [--corpus DIR/work/corpus.safetensors] [--weights DIR]

Pearson r of each articulation over all frames, share of right visemes, and r of the loudness with the aperture, on the held-out
sets: nine seconds of each as the tests keep them, or the four minutes of each of a corpus of `dreamactor train speech`.
``mismatched`` hears each utterance and is judged by the next. Speed: sound to articulation (features, statistics, network, in
blocks of 30 s) with one thread, seconds of sound a second of CPU time; the best of five, after one that does not count.

Not measured: real faces (`lips.py`), reading sound from files. Exit codes: 0 all bars met, 1 one missed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import ROOT, options, print_table, verdict, write_results

if TYPE_CHECKING:
    from dreamactor_cli.models.speech_motion import SpeechMotion
    from dreamactor_cli.training.speech.corpus import Speech

APERTURE, VISEMES, SPEED = 0.80, 0.65, 200.0  # at least
MISMATCHED = 0.25  # of |r|, at most
SECONDS, BLOCK, RUNS = 300, 30, 5
SHOWN = ("aperture", "jaw", "width", "rounding", "closure", "lip_tuck", "tongue", "teeth")


def sample() -> Mapping[str, Speech]:
    """The held-out speech of the tests."""
    sys.path.insert(0, str(ROOT / "tests" / "training" / "speech"))
    from conftest import read_held_out

    return read_held_out()


def times_real(model: SpeechMotion) -> float:
    """Seconds of sound that one core hears in a second."""
    import torch

    from dreamactor_cli.models.speech_features import SAMPLE_RATE, MelStream, Statistics, normalise
    from dreamactor_cli.models.speech_motion import MotionStream

    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sound = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * SAMPLE_RATE)).astype(np.float32)
    size = BLOCK * SAMPLE_RATE
    took = []
    for _ in range(RUNS + 1):
        began = time.process_time()
        stream, statistics = MelStream(), Statistics()
        mels = [stream.push(sound[at : at + size]) for at in range(0, len(sound), size)] + [stream.finish()]
        for mel in mels:
            statistics.add(mel)
        motion = MotionStream(model)
        frames = sum(len(motion.push(normalise(mel, statistics))[0]) for mel in mels) + len(motion.finish()[0])
        took.append(time.process_time() - began)
        if frames != 50 * SECONDS + 1:
            raise RuntimeError(f"{frames} frames of {SECONDS} s")
    return SECONDS / min(took[1:])


def main() -> int:
    """Run the measurement."""
    parser = options(__doc__ or "")
    parser.add_argument("--corpus", type=Path, help="made by dreamactor train speech; else the sample of the tests")
    parser.add_argument("--weights", type=Path, help="a folder; else the weights that ship")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from dreamactor_cli.models import speech_weights
    from dreamactor_cli.training.speech.corpus import join, load_corpus
    from dreamactor_cli.training.speech.evaluate import evaluate

    sets = dict(load_corpus(chosen.corpus)[1] if chosen.corpus else sample())
    sets["all"] = join(list(sets.values()))
    model = speech_weights.load(chosen.weights)
    scores = {name: evaluate(model, speech) for name, speech in sets.items()}
    shifted = {
        name: speech._replace(articulation=np.roll(speech.articulation, int(speech.lengths[0]), 0))
        for name, speech in sets.items()
    }
    wrong = {name: evaluate(model, speech).correlation["aperture"] for name, speech in shifted.items()}
    speed = times_real(model)
    told = {
        name: (*(score.correlation[channel] for channel in SHOWN), score.visemes, score.loudness, wrong[name])
        for name, score in scores.items()
    }
    print_table(
        "held-out synthetic speech, Pearson r",
        ("set", "seconds", *SHOWN, "visemes", "loudness", "mismatched"),
        [(name, f"{scores[name].seconds:.0f}", *(f"{value:.2f}" for value in values)) for name, values in told.items()],
    )
    aperture, visemes, astray = scores["all"].correlation["aperture"], scores["all"].visemes, max(map(abs, wrong.values()))
    bars = [
        ("aperture r, all sets", aperture, f">= {APERTURE:g}", aperture >= APERTURE),
        ("visemes, all sets", visemes, f">= {VISEMES:g}", visemes >= VISEMES),
        ("aperture |r|, mismatched, worst set", astray, f"<= {MISMATCHED:g}", astray <= MISMATCHED),
        ("times real time, one core", speed, f">= {SPEED:g}", speed >= SPEED),
    ]
    print_table("bars", ("what", "value", "bar", ""), [(*row[:3], verdict(row[3])) for row in bars])
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    write_results("speech", {
        "sets": {name: {**s._asdict(), "mismatched": wrong[name]} for name, s in scores.items()}, "times_real_time": speed,
        "bars": [{"what": what, "value": value, "bar": bar, "met": met} for what, value, bar, met in bars],
    })  # fmt: skip
    return 0 if all(row[3] for row in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
