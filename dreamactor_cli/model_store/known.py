"""The weights that this release can use, and where they are kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dreamactor_cli import nearest
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.resources import PACKAGE

ENVIRONMENT = "DREAMACTOR_MODELS"
CHECKSUMS = "checksums.json"  # stands in a folder that `pull` has finished, and in no other


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """Weights that a command of ours can use.

    Attributes:
        repo: on the hub, ``OWNER/NAME``; empty if they ship with the package.
        revision: branch, tag or commit; which commit it was is written down when it is pulled.
        size: bytes on disk, of the parts that are used.
        parts: folders and files of the repository that are used.
        use: what it is for, in a few words.
    """

    name: str
    repo: str = ""
    revision: str = "main"
    size: int = 0
    licence: str = "Apache-2.0"
    parts: tuple[str, ...] = ()
    use: str = ""


_PIPELINE = ("model_index.json", "scheduler", "transformer", "vae")
# Sizes are those that the hub shows; the transformers are stored in float32.
KNOWN = {
    model.name: model
    for model in (
        KnownModel(name="starter", size=60_000_000, use="the small network that ships: --renderer diffusion"),
        KnownModel(
            name="wan2.2-animate-14b", repo="Wan-AI/Wan2.2-Animate-14B-Diffusers", size=82_300_000_000,
            parts=(*_PIPELINE, "image_encoder", "image_processor", "text_encoder", "tokenizer"), use="--renderer wan-animate",
        ),
        KnownModel(
            name="wan2.1-1.3b", repo="Wan-AI/Wan2.1-T2V-1.3B-Diffusers", size=6_190_000_000, parts=_PIPELINE,
            use="to train from: dreamactor train diffusion",
        ),
        KnownModel(
            name="wan2.1-14b", repo="Wan-AI/Wan2.1-T2V-14B-Diffusers", size=57_700_000_000, parts=_PIPELINE,
            use="to train from: dreamactor train diffusion",
        ),
    )
}  # fmt: skip


def known_model(name: str) -> KnownModel:
    """A model that can be pulled, by name.

    Raises:
        UsageError: there is none of this name, or it ships with the package.
    """
    pullable = [model.name for model in KNOWN.values() if model.repo]
    if name not in KNOWN:
        raise UsageError(f"there is no model {name!r}", nearest.hint(name, pullable))
    if not KNOWN[name].repo:
        raise UsageError(f"{name} ships with the package", f"pull one of {', '.join(pullable)}")
    return KNOWN[name]


def models_dir(given: Path | None = None) -> Path:
    """The folder of all models: what is given, else ``DREAMACTOR_MODELS``, else the user's data folder."""
    if given is not None:
        return given
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("dreamactor", appauthor=False)) / "models"


def folder_of(name: str, root: Path | None = None) -> Path:
    """Where a model lies, whether it is there or not."""
    return PACKAGE / "weights" / name if name in KNOWN and not KNOWN[name].repo else models_dir(root) / name


def find_weights(weights: str, default: str) -> Path:
    """The folder of a job's weights.

    Args:
        weights: ``Preset.weights``: a name of `KNOWN`, a folder, or "" for the default.
        default: name of the model that the renderer is made for.

    Raises:
        MissingRequirement: they are not here; the hint is the command that gets them.
    """
    name = weights or default
    if name not in KNOWN:
        folder = Path(name)
        if folder.is_dir():
            return folder
        raise MissingRequirement(f"there are no weights {name!r}", f"name a folder, or one of {', '.join(KNOWN)}")
    folder = folder_of(name)
    if (folder / CHECKSUMS).is_file() or not KNOWN[name].repo:
        return folder
    partial = partial_folder(folder)
    begun = " completely: a pull was begun and not finished" if partial.is_dir() else ""
    raise MissingRequirement(f"the weights {name} are not at {folder}{begun}", f"get them with: dreamactor models pull {name}")


def partial_folder(folder: Path) -> Path:
    """Where a model is put together that is to lie in a folder."""
    return folder.with_name(f".{folder.name}.partial")
