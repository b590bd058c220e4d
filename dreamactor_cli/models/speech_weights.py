"""Checkpoints of the speech network: a folder with ``model.safetensors`` (fp16) and ``config.json``."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models.speech_motion import SpeechMotion
from dreamactor_cli.resources import PACKAGE

SHIPPED = PACKAGE / "weights" / "speech"
_TENSORS, _CONFIG = "model.safetensors", "config.json"
_FORMAT = 1
_LARGEST = 4096  # channels; no file of weights makes the process grow without bound
_HINT = "make weights with: dreamactor train speech --out DIR"


def load(folder: Path | None = None) -> SpeechMotion:
    """The network, ready to hear.

    Args:
        folder: with a checkpoint; None is the one that ships with the package.

    Raises:
        MissingRequirement: there is no checkpoint.
        UnreadableInput: the checkpoint is damaged or not one of ours.
    """
    folder = SHIPPED if folder is None else folder
    channels, dilations = _read_config(folder / _CONFIG)
    model = SpeechMotion(channels, dilations)
    try:
        tensors = load_file(folder / _TENSORS)
    except FileNotFoundError as error:
        raise MissingRequirement(f"{folder / _TENSORS} does not exist", _HINT) from error
    except (OSError, SafetensorError) as error:
        raise UnreadableInput(f"{folder / _TENSORS} is not a usable checkpoint: {error}", _HINT) from error
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise UnreadableInput(f"{folder / _TENSORS} does not fit {folder / _CONFIG}", _HINT) from error
    return model.eval()


def store(model: SpeechMotion, folder: Path, about: dict[str, object] | None = None) -> None:
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
    config = {"format": _FORMAT, "channels": model.trunk.channels, "dilations": list(model.trunk.dilations), **(about or {})}
    with replacing(folder / _TENSORS) as beside:
        beside.write_bytes(save(tensors))
    with replacing(folder / _CONFIG) as beside:
        beside.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def _read_config(path: Path) -> tuple[int, list[int]]:
    """Channels and dilations."""
    try:
        config = json.loads(path.read_text("utf-8"))
        channels, dilations = config["channels"], config["dilations"]
        sizes = [channels, *dilations]
        usable = config["format"] == _FORMAT and all(type(size) is int and 0 < size <= _LARGEST for size in sizes)
    except FileNotFoundError as error:
        raise MissingRequirement(f"{path} does not exist", _HINT) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableInput(f"{path} does not describe a speech network", _HINT) from error
    if not usable:
        raise UnreadableInput(f"{path} does not describe a speech network of this version", _HINT)
    return channels, dilations
