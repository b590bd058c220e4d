"""What a renderer needs beside its inputs - weights, memory, a GPU -, found out before any work is done.

A renderer that draws with a network is a `Demanding` one. Its module imports torch inside functions only, so that a plan is made
without it. Which weights are meant stands in ``Preset.weights``: a name, a folder, or "" for the renderer's own.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from dreamactor_cli.contracts import Preset, Renderer
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.renderers import load_renderer


@runtime_checkable
class Demanding(Protocol):
    """What a renderer with weights has beside the methods of `contracts.Renderer`."""

    def check(self, preset: Preset) -> None:
        """Refuse what cannot be rendered, quickly.

        Raises:
            MissingRequirement: weights, or a package; the hint is the command that gets them.
            UnreadableInput: the weights are damaged.
            UsageError: an option that this renderer cannot serve.
        """

    def weights_sha256(self, preset: Preset) -> str:
        """What identifies the weights, so that an output of others counts as another; 64 hex digits."""

    def needs_gpu(self, preset: Preset) -> bool:
        """Whether a second of video takes hours without one."""


def check_needs(preset: Preset, renderer: Renderer | None = None) -> None:
    """Refuse a job whose renderer lacks something.

    Args:
        renderer: of the preset, if it is there already.

    Raises:
        DreamActorError: as `Demanding.check`.
    """
    renderer = renderer or load_renderer(preset.renderer)
    if isinstance(renderer, Demanding):
        renderer.check(preset)


def weights_sha256(preset: Preset, renderer: Renderer | None = None) -> str:
    """What identifies the weights that a job is rendered with, by this renderer of its preset; empty if there are none."""
    renderer = renderer or load_renderer(preset.renderer)
    return renderer.weights_sha256(preset) if isinstance(renderer, Demanding) else ""


def choose_device(preset: Preset, asked: str) -> str:
    """``"cpu"`` or ``"cuda"``.

    Args:
        asked: ``"auto"``, ``"cpu"`` or ``"cuda"``; ``"auto"`` takes a GPU where the renderer can use one.

    Raises:
        UsageError: the renderer cannot use the device.
        MissingRequirement: there is no GPU, and it was asked for or it would take hours without.
        DreamActorError: as `Demanding.check`.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {asked} is unknown", "give auto, cpu or cuda")
    renderer = load_renderer(preset.renderer)
    if not isinstance(renderer, Demanding):
        if asked == "cuda":
            raise UsageError(f"the renderer {preset.renderer} draws on the CPU", "leave --device out")
        return "cpu"
    renderer.check(preset)  # what is missing comes before where to render
    if asked == "cpu":
        return "cpu"
    if _cuda_is_there():
        return "cuda"
    if asked == "cuda":
        raise MissingRequirement("--device cuda: no CUDA device is seen here", "leave --device out, or give cpu")
    check_gpu(preset, has_gpu=False)
    return "cpu"


def check_gpu(preset: Preset, *, has_gpu: bool) -> None:
    """Refuse what would take hours, where nobody has said that it may.

    Raises:
        MissingRequirement: there is no GPU, and the renderer with these weights needs one.
    """
    renderer = load_renderer(preset.renderer)
    if not has_gpu and isinstance(renderer, Demanding) and renderer.needs_gpu(preset):
        raise MissingRequirement(
            f"the renderer {preset.renderer} needs a GPU: on the CPU a second of video takes hours",
            "run it where a CUDA device is, or take the hours with --device cpu (in a run of many jobs --devices cpu)",
        )


def _cuda_is_there() -> bool:
    try:
        import torch
    except (ImportError, OSError):
        return False
    return bool(torch.cuda.is_available())
