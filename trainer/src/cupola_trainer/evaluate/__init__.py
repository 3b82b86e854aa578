"""evaluate: measure a model, or two beside each other."""

import os

# Read by the libraries when they are imported: everything that is measured lies in storage.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")

from cupola_trainer.evaluate.work import main

__all__ = ["main"]
