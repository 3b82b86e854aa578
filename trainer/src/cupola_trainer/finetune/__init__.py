"""finetune: tune a model on prompts and answers, with TRL and PEFT."""

import os

# Read by the libraries when they are imported: everything that is tuned on lies in storage.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")

from cupola_trainer.finetune.work import main

__all__ = ["main"]
