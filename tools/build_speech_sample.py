"""Cut the held-out speech that CI judges the shipped weights by out of a corpus of ``dreamactor train speech``.

    python tools/build_speech_sample.py DIR/work/corpus.safetensors tests/data/held_out_speech.safetensors

The first utterances of each set that judges, nine seconds of each, a byte a number: log-mel in steps of 0.13, articulation in
steps of 1/127. `tests/training/speech/conftest.py` reads it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FRAMES = 900  # of each set, at 100 Hz
MEL_LOW, MEL_STEP = -24.0, 0.13


def main() -> None:
    """Write the sample."""
    from dreamactor_cli.training.speech.corpus import load_corpus
    from dreamactor_cli.training.speech.evaluate import utterances

    corpus, target = (Path(argument) for argument in sys.argv[1:])
    arrays = {}
    for name, speech in load_corpus(corpus)[1].items():
        chosen, frames = [], 0
        for utterance in utterances(speech):
            if frames + len(utterance.mel) > FRAMES:
                continue
            chosen.append(utterance)
            frames += len(utterance.mel)
        mel = np.concatenate([part.mel for part in chosen]).astype(np.float32)
        articulation = np.concatenate([part.articulation for part in chosen]).astype(np.float32)
        arrays |= {
            f"{name}.mel": np.clip(np.round((mel - MEL_LOW) / MEL_STEP), 0, 255).astype(np.uint8),
            f"{name}.articulation": np.clip(np.round(articulation * 127), -127, 127).astype(np.int8),
            f"{name}.visemes": np.concatenate([part.visemes for part in chosen]),
            f"{name}.lengths": np.concatenate([part.lengths for part in chosen]),
        }
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, target)


if __name__ == "__main__":
    main()
