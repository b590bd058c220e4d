"""Job templates for farms, found by name: one file a farm. A template runs the parts of one manifest as tasks of a job."""

from __future__ import annotations

from dreamactor_cli import nearest
from dreamactor_cli.emit.openjd import openjd_template
from dreamactor_cli.emit.request import EmitRequest
from dreamactor_cli.emit.slurm import slurm_script
from dreamactor_cli.errors import UsageError

__all__ = ["FARMS", "EmitRequest", "emit"]

FARMS = {"slurm": slurm_script, "openjd": openjd_template}


def emit(farm: str, request: EmitRequest) -> str:
    """The text of a template.

    Raises:
        UsageError: there is no such farm, or it cannot spell what is asked for.
    """
    if farm not in FARMS:
        raise UsageError(f"--emit {farm} is unknown", nearest.hint(farm, FARMS))
    return FARMS[farm](request)
