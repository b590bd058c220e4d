"""An Open Job Description template (jobtemplate-2023-09), which Deadline Cloud and others take: one part a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dreamactor_cli.emit.request import EmitRequest
from dreamactor_cli.errors import UsageError

NOTICE = 120  # seconds between the signal that asks a task to stop and the one that does not ask
MOST_CHARACTERS = 1024  # of a parameter


def openjd_template(request: EmitRequest) -> str:
    """The template as JSON, which is YAML too.

    Paths are parameters. What lies below the template's own folder is of type PATH, which farms map to where their machines
    see it; of what lies elsewhere OpenJD allows no default of that type, so it must have the same name everywhere.

    Raises:
        UsageError: a path is too long for a parameter, or an option looks like one.
    """
    parameters = [
        _path("Manifest", "FILE", "IN", request.manifest, request.here),
        _path("OutputFolder", "DIRECTORY", "INOUT", request.folder, request.here),
    ]
    arguments = ["render", "{{Param.Manifest}}", "-o", "{{Param.OutputFolder}}"]
    if request.cache is not None:
        parameters.append(_path("Cache", "DIRECTORY", "INOUT", request.cache, request.here))
        arguments += ["--cache-dir", "{{Param.Cache}}"]
    parameters.append({"name": "Parts", "type": "INT", "minValue": 1, "default": request.parts})
    program = [_literal(word) for word in request.program]
    options = [_literal(word) for word in request.options]
    run = {
        "command": program[0],
        "args": [*program[1:], *arguments, *options, "--openjd", "--shard", "{{Task.Param.Part}}/{{Param.Parts}}"],
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTICE},
    }
    step = {
        "name": "Render",
        "parameterSpace": {"taskParameterDefinitions": [{"name": "Part", "type": "INT", "range": "1-{{Param.Parts}}"}]},
        "script": {"actions": {"onRun": run}},
    }
    template = {
        "specificationVersion": "jobtemplate-2023-09", "name": request.name, "parameterDefinitions": parameters, "steps": [step],
    }  # fmt: skip
    return json.dumps(template, indent=2) + "\n"


def _path(name: str, kind: str, flow: str, path: Path, here: Path) -> dict[str, Any]:
    if len(str(path)) > MOST_CHARACTERS:
        raise UsageError(f"{path!s:.60}... is too long for a parameter of OpenJD", "choose a shorter path")
    if path.is_relative_to(here) and ".." not in path.parts:
        default = str(path.relative_to(here))
        return {"name": name, "type": "PATH", "objectType": kind, "dataFlow": flow, "default": default}
    return {"name": name, "type": "STRING", "default": str(path)}


def _literal(word: str) -> str:
    """A word in which OpenJD replaces nothing; its templates have no way to quote braces."""
    if "{{" in word:
        raise UsageError(f"{word:.80} holds {{{{, which OpenJD takes for a parameter", "choose another name")
    return word
