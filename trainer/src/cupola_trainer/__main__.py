"""`python -m cupola_trainer VERB run.yaml`: one pod's work; see `cupola_trainer.command`."""

from __future__ import annotations

import sys

from cupola_trainer import termination

if __name__ == "__main__":
    termination.listen()  # before all that takes long to import

from cupola_trainer.command import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
