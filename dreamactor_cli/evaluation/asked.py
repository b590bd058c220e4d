"""What an output that is there was asked to be, as far as its sidecar tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dreamactor_cli.contracts import Preset
from dreamactor_cli.presets import merge
from dreamactor_cli.sidecar import sidecar_path


def asked_of(output: Path) -> tuple[Preset, bool]:
    """The preset that an output was made with, and whether reference and driver stand beside it.

    Without a sidecar that can be read, the default.

    Raises:
        UsageError: the sidecar says what no preset can be.
    """
    try:
        made = json.loads(sidecar_path(output).read_text("utf-8"))["made_from"]
        parameters: dict[str, Any] = dict(made["parameters"])
    except (OSError, ValueError, KeyError, TypeError):
        return Preset(), False
    if made.get("background") == "driving":  # all that matters here; a picture stands there by its hash
        parameters["background"] = "driving"
    return merge(Preset(), parameters, source="its sidecar: "), bool(made.get("side_by_side"))
