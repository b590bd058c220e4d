"""Checkpoints of the speech network: a folder with ``model.safetensors`` (fp16) and ``config.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from platformdirs import user_data_dir
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models.speech_motion import SpeechMotion
from dreamactor_cli.resources import PACKAGE

if TYPE_CHECKING:
    from dreamactor_cli.models.whisper_encoder import WhisperEncoder
    from dreamactor_cli.models.whisper_motion import WhisperMotion

SHIPPED = PACKAGE / "weights" / "speech"
_TENSORS, _CONFIG = "model.safetensors", "config.json"
_FORMAT = 1
_WHISPER = "whisper:"
_LARGEST = 4096  # channels; no file of weights makes the process grow without bound
WHISPER_NAMES = (
    "tiny",
    "base",
    "small",
    "medium",
    "large-v1",
    "large-v2",
    "large-v3",
    "tiny.en",
    "base.en",
    "small.en",
    "medium.en",
)
_HINT = "make weights with: dreamactor train speech --out DIR"


def load(folder: Path | None = None) -> SpeechMotion:
    """The network that hears log-mels, ready to hear.

    Args:
        folder: with a checkpoint; None is the one that ships with the package.

    Raises:
        MissingRequirement: there is no checkpoint.
        UnreadableInput: the checkpoint is damaged or not one of ours.
    """
    folder = SHIPPED if folder is None else folder
    config = _read_config(folder / _CONFIG)
    model = SpeechMotion(config.channels, config.dilations)
    _fill(model, folder / _TENSORS)
    return model


def load_whisper(folder: Path) -> tuple[WhisperEncoder, WhisperMotion]:
    """Whisper's encoder, and the head that was trained on it, ready to hear.

    Args:
        folder: of ``dreamactor train speech --encoder whisper:...``.

    Raises:
        MissingRequirement: there is no checkpoint, or the weights of Whisper are not there any more.
        UnreadableInput: the checkpoint is damaged, or Whisper's weights are not those it was trained on.
    """
    from dreamactor_cli.models.whisper_encoder import WhisperEncoder, find_checkpoint
    from dreamactor_cli.models.whisper_motion import WhisperMotion

    config = _read_config(folder / _CONFIG)
    if not config.encoder.startswith(_WHISPER):
        raise UnreadableInput(
            f"{folder} holds no head for Whisper", "train one with: dreamactor train speech --encoder whisper:NAME"
        )
    encoder = WhisperEncoder(find_checkpoint(config.encoder.removeprefix(_WHISPER)))
    if encoder.sha256 != config.checkpoint_sha256:
        raise UnreadableInput(f"{folder} was trained on other weights than those of {config.encoder}", "train it again")
    head = WhisperMotion(encoder.layers, encoder.size, config.channels, config.dilations)
    _fill(head, folder / _TENSORS)
    return encoder, head


def whisper_folder(name: str) -> Path:
    """Where the head for a Whisper of some name, such as ``tiny``, is kept if nobody says otherwise."""
    return Path(user_data_dir("dreamactor")) / "speech" / f"whisper-{name}"


def store(model: SpeechMotion | WhisperMotion, folder: Path, about: dict[str, object] | None = None) -> None:
    """Write a checkpoint; equal weights give equal bytes.

    Args:
        model: what to keep.
        folder: is made if it is not there.
        about: what else the config shall tell, such as seed and steps.

    Raises:
        DiskFull, UsageError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    trunk = {"channels": model.trunk.channels, "dilations": list(model.trunk.dilations)}
    config = {"format": _FORMAT, "encoder": "mel", **trunk, **(about or {})}
    with replacing(folder / _TENSORS) as beside:
        beside.write_bytes(save(tensors))
    with replacing(folder / _CONFIG) as beside:
        beside.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


class _Config(NamedTuple):
    """What a network is made with."""

    encoder: str
    channels: int
    dilations: list[int]
    checkpoint_sha256: str


def _read_config(path: Path) -> _Config:
    try:
        read = json.loads(path.read_text("utf-8"))
        config = _Config(str(read["encoder"]), read["channels"], read["dilations"], str(read.get("checkpoint_sha256", "")))
        sizes = [config.channels, *config.dilations]
        usable = read["format"] == _FORMAT and all(type(size) is int and 0 < size <= _LARGEST for size in sizes)
    except FileNotFoundError as error:
        raise MissingRequirement(f"{path} does not exist", _HINT) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInput(f"{path} does not describe a speech network", _HINT) from error
    if not usable:
        raise UnreadableInput(f"{path} does not describe a speech network of this version", _HINT)
    return config


def _fill(model: nn.Module, path: Path) -> None:
    """Take up the weights of a file, and be ready to hear."""
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise MissingRequirement(f"{path} does not exist", _HINT) from error
    except (OSError, SafetensorError) as error:
        raise UnreadableInput(f"{path} is not a usable checkpoint: {error}", _HINT) from error
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise UnreadableInput(f"{path} does not fit its {_CONFIG}", _HINT) from error
    model.eval()
