"""``python -m dreamactor_cli``."""

from __future__ import annotations

import sys

from dreamactor_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
