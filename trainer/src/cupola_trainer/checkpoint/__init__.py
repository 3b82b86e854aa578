"""Checkpoints of a training in a form of its own, apart from any engine and any layout.

A checkpoint is an artifact (`cupola_api.artifact`) of kind Checkpoint:

- `rank-NNNNN.safetensors`: what one rank held, as flat fp32 fragments. A key is
  `QUANTITY/NAME@START`: the master weight or a moment of AdamW, the Hugging Face name of the
  parameter, and where in the flattened parameter the fragment begins;
- `state.json`: the rest (`State`);
- `manifest.json`, written last.

In S3 each rank puts its own file, and the manifest makes it a checkpoint; a rank needs room for its
file below TMPDIR meanwhile.

Fragments are cut as the layout of the run had them; a reader asks for any stretch of any parameter.
"""

from cupola_trainer.checkpoint.choose import newest
from cupola_trainer.checkpoint.fragments import Fragment
from cupola_trainer.checkpoint.origin import Origin, find, opened, remedied
from cupola_trainer.checkpoint.pruning import earlier_attempts, prune, prune_or_warn
from cupola_trainer.checkpoint.reader import Checkpoint, CheckpointInvalid
from cupola_trainer.checkpoint.writer import State, save

__all__ = [
    "Checkpoint",
    "CheckpointInvalid",
    "Fragment",
    "Origin",
    "State",
    "earlier_attempts",
    "find",
    "newest",
    "opened",
    "prune",
    "prune_or_warn",
    "remedied",
    "save",
]
