"""The paper's three stages: which parameters learn, and for which share of the steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from dreamactor_cli.errors import UsageError
from dreamactor_cli.training.diffusion.network import DiffusionNetwork

# Of the transformer, in all its blocks: what Wan does not have, and only the face needs.
_FACE = ("norm_face", "attn_face", "motion_embedder", "motion_order")
# Inputs of the face motion encoder that clips of controls have nothing for.
_UNFED = ("crop", "speech")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    Attributes:
        share: of the steps of all three: 20, 20 and 30 thousand in the paper.
        face: whether the motion of the face is given.
        learns: parts of names of parameters that learn; empty is all.
        keeps: parts of names of parameters that do not.
    """

    name: str
    share: float
    face: bool
    learns: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


PAPER = ("pose", "face", "all")
STAGES = {
    "pose": Stage(name="pose", share=2 / 7, face=False),
    "face": Stage(name="face", share=2 / 7, face=True, learns=("face_motion", *_FACE)),
    "all": Stage(name="all", share=3 / 7, face=True),
    # For models too small for stages. The encoder of the face's motion stays the random features that it begins as: beside a
    # transformer that knows nothing yet, it learns to be silent.
    "small": Stage(name="small", share=1.0, face=True, keeps=("face_motion",)),
}


def stage_of(name: str) -> Stage:
    """A stage by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in STAGES:
        raise UsageError(f"--stage {name} is unknown", f"say {', '.join(STAGES)}, or leave it out for one after the other")
    return STAGES[name]


def enter(stage: Stage, network: DiffusionNetwork) -> None:
    """Freeze what does not learn, and say what is given.

    In the stage of the face the paper trains the head of a pretrained face encoder. Ours is not pretrained: all of it learns.
    """
    network.with_face = stage.face
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_learns(stage, name))


def _learns(stage: Stage, name: str) -> bool:
    parts = name.split(".")
    # What is fed with nothing has no gradient, and several processes would wait for it.
    if (parts[0] == "face_motion" and parts[1] in _UNFED) or any(part in parts for part in stage.keeps):
        return False
    if stage.learns:
        return any(part in parts for part in stage.learns)
    return stage.face or not any(part in parts for part in ("face_motion", *_FACE))


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """Parameters that learn, and all."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)
