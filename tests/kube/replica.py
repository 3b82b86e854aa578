"""One replica of the operator as a process, with times that suit a test: `replica.py SETTINGS OPTIONS`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from cupola_operator.cli import load
from cupola_operator.kube import journal
from cupola_operator.kube.connection import configuration
from cupola_operator.kube.journal import LogFormat
from cupola_operator.kube.lease import Terms
from cupola_operator.kube.shell import Options, Shell

if __name__ == "__main__":
    journal.configure(LogFormat.TEXT)
    options = json.loads(sys.argv[2])
    terms = Terms(**options.pop("terms"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = load.settings(Path(sys.argv[1]))
    Shell(configuration(), settings, Options(**options, terms=terms)).run(stop)
