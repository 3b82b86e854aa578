"""What all tests share: one thread a process, as in a pod, and no network."""

from __future__ import annotations

import os

# Libraries read these when they are imported, so they are set before any test module is.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
