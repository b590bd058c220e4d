"""How a process of our own is started: a fresh interpreter that finds this package, wherever the caller found it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def fresh_python(code: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of an interpreter that runs code which imports this package.

    Args:
        variables: of its environment, beside those of this process.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    # -P: a file in the user's folder must not stand in for a module.
    return [sys.executable, "-P", "-c", code], {**os.environ, "PYTHONPATH": path, **variables}
