"""Held-out speech that is kept in the repository, and whether the synthesisers are there."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.training.speech import corpus
from dreamactor_cli.training.speech.corpus import Speech

DATA = Path(__file__).resolve().parents[2] / "data" / "held_out_speech.safetensors"
MEL_LOW, MEL_STEP = -24.0, 0.13  # as tools/build_speech_sample.py writes it


def read_held_out() -> Mapping[str, Speech]:
    """What ``tools/build_speech_sample.py`` wrote."""
    arrays = load_file(DATA)
    found = {}
    for name in sorted({key.partition(".")[0] for key in arrays}):
        mel, articulation, visemes, lengths = (arrays[f"{name}.{part}"] for part in ("mel", "articulation", "visemes", "lengths"))
        found[name] = Speech(
            (mel * np.float32(MEL_STEP) + np.float32(MEL_LOW)).astype(np.float16),
            (articulation / np.float32(127)).astype(np.float16), visemes, lengths, np.empty(0, np.int16),
        )  # fmt: skip
    return found


@pytest.fixture(scope="session")
def held_out() -> Mapping[str, Speech]:
    """Nine seconds each of speech in languages, of voices, of both, and of a recorded speaker that nobody learned from."""
    return read_held_out()


@pytest.fixture(scope="session")
def synthesisers() -> None:
    """Skip where the synthesisers are not installed."""
    try:
        corpus.check()
    except MissingRequirement as error:
        pytest.skip(str(error))
