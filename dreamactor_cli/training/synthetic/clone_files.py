"""Files of MakeHuman as text says them: meshes, targets, clothes and skeletons."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32
from dreamactor_cli.errors import UnreadableInput

I64 = NDArray[np.int64]

_NOTICE = 4000  # characters within which a file says how it is licensed


def text_of(path: Path) -> str:
    """Content of a text file, packed with gzip or not.

    Raises:
        UnreadableInput: it is no text.
    """
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", errors="replace")
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise UnreadableInput(f"{path} cannot be read: {error}", "clone MakeHuman anew") from error


def is_free(text: str) -> bool:
    """Whether a file says of itself that it is CC0."""
    head = text[:_NOTICE].lower()
    return ("cc0" in head or "creative commons zero" in head) and "agpl" not in head


class Mesh(NamedTuple):
    """A Wavefront mesh of quads; a triangle repeats its last corner.

    Attributes:
        vertices: (V, 3); uv: (U, 2).
        quads, uv_quads: (Q, 4).
        group: number of each quad's group, (Q,), and their names.
    """

    vertices: F32
    uv: F32
    quads: I64
    uv_quads: I64
    group: I64
    names: list[str]


def parse_mesh(text: str) -> Mesh:
    """A Wavefront mesh."""
    vertices, uv, quads, uv_quads, group = [], [], [], [], []
    names: list[str] = []
    now = -1
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "v":
            vertices.append([float(x) for x in rest.split()[:3]])
        elif word == "vt":
            uv.append([float(x) for x in rest.split()[:2]])
        elif word == "g":
            name = rest.strip()
            if name not in names:
                names.append(name)
            now = names.index(name)
        elif word == "f":
            corners = [(c.split("/") + ["1"])[:2] for c in rest.split()[:4]]
            corners += corners[-1:] * (4 - len(corners))
            quads.append([int(c[0]) - 1 for c in corners])
            uv_quads.append([int(c[1] or 1) - 1 for c in corners])
            group.append(now)
    return Mesh(
        np.array(vertices, np.float32).reshape(-1, 3), np.array(uv or [[0, 0]], np.float32),
        np.array(quads, np.int64).reshape(-1, 4),
        np.array(uv_quads, np.int64).reshape(-1, 4), np.array(group, np.int64), names,
    )  # fmt: skip


def parse_target(text: str, count: int) -> F32:
    """Displacements (count, 3) of a target: lines of a vertex and three numbers."""
    moved = np.zeros((count, 3), np.float32)
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[0].isdigit():
            moved[int(parts[0])] = [float(x) for x in parts[1:]]
    return moved


class Fit(NamedTuple):
    """How a garment lies on the body.

    Attributes:
        mesh: name of its mesh's file.
        corners, weights, offset: corners of a triangle of the body, their weights, and what is added, of each vertex, (V, 3).
        scale: two vertices of the body and their distance in the base mesh, by axis, (3, 3).
        hides: vertices of the body under it.
    """

    mesh: str
    corners: I64
    weights: F32
    offset: F32
    scale: NDArray[np.float64]
    hides: I64


def parse_fit(text: str) -> Fit:
    """A ``.mhclo`` file."""
    mesh, scale = "", np.tile([0.0, 1.0, 1.0], (3, 1))
    rows: list[list[float]] = []
    hides: list[int] = []
    section = ""
    for line in text.splitlines():
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        if parts[0] == "obj_file":
            mesh = parts[1]
        elif parts[0] in ("x_scale", "y_scale", "z_scale"):
            scale["xyz".index(parts[0][0])] = [float(x) for x in parts[1:4]]
        elif parts[0] in ("verts", "delete_verts"):
            section = parts[0]
        elif section == "verts" and parts[0].lstrip("-").isdigit() and len(parts) in (1, 9):
            one = int(parts[0])
            rows.append([float(x) for x in parts] if len(parts) == 9 else [one, one, one, 1, 0, 0, 0, 0, 0])
        elif section == "delete_verts" and (parts[0].isdigit() or parts[0] == "-"):
            hides += _ranges(parts)
        else:
            section = section if section == "delete_verts" and parts[0].isdigit() else ""
    table = np.array(rows, np.float64).reshape(-1, 9)
    return Fit(
        mesh, table[:, :3].astype(np.int64), table[:, 3:6].astype(np.float32), table[:, 6:].astype(np.float32), scale,
        np.array(sorted(set(hides)), np.int64),
    )  # fmt: skip


def _ranges(parts: list[str]) -> Iterator[int]:
    """Numbers of ``3 5 - 8 12``."""
    last, through = 0, False
    for part in parts:
        if part == "-":
            through = True
            continue
        number = int(part)
        yield from range(last + 1, number) if through else ()
        yield number
        last, through = number, False


def parse_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UnreadableInput: it is none.
    """
    try:
        found = json.loads(text_of(path))
    except ValueError as error:
        raise UnreadableInput(f"{path} is no JSON: {error}", "clone MakeHuman anew") from error
    if not isinstance(found, dict):
        raise UnreadableInput(f"{path} is no JSON object", "clone MakeHuman anew")
    return found
