"""`python -m cupola_operator` is the program `cupola`."""

from __future__ import annotations

from cupola_operator.cli import main

main()
