"""Signals come between any two instructions of the main thread."""

import signal
import subprocess
import sys

import pytest

from cupola_operator.interruption import Interruption

WAITS = """
import os, signal, threading
from cupola_operator.interruption import Interruption

one = Interruption()
done = threading.Event()

def send():
    while not done.is_set():
        os.kill(os.getpid(), signal.SIGTERM)

with one.caught():
    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(20_000):
        one.asked.wait(1e-6)
        one.hurry.wait(1e-6)
    done.set()
    sender.join()
assert one.asked.is_set() and one.hurry.is_set()
"""


def test_the_first_signal_asks_and_the_second_hurries() -> None:
    one = Interruption()
    before = signal.getsignal(signal.SIGHUP)
    with one.caught():
        signal.raise_signal(signal.SIGHUP)
        assert one.asked.wait(10)
        assert one.number == signal.SIGHUP
        assert not one.hurry.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert one.hurry.wait(10)
        assert one.number == signal.SIGHUP
    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.local
def test_no_signal_finds_a_moment_in_which_the_program_stops_for_ever() -> None:
    subprocess.run([sys.executable, "-c", WAITS], check=True, timeout=60)
