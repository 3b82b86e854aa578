"""The loss of a model on the held-out text of its Datasets."""

from __future__ import annotations

import torch

from cupola_trainer import hang
from cupola_trainer.distributed import Ranks
from cupola_trainer.model import losses
from cupola_trainer.packing import logits_of
from cupola_trainer.pretrain.data import ValidationData
from cupola_trainer.pretrain.engine import Engine
from cupola_trainer.termination import Termination


class Stopped(Exception):
    """The ranks stopped before the loss was known, as asked."""


def validation_loss(
    engine: Engine,
    data: ValidationData,
    ranks: Ranks,
    *,
    end_token: int | None,
    micro_batch: int,
    termination: Termination,
) -> float | None:
    """Mean loss over all held-out tokens, nats per token; None without any.

    Ranks take turns of `micro_batch` sequences. All of them make as many forward passes as the
    first, because under ZeRO-3 a pass needs every rank; a pass beyond the end counts nothing. Raises
    Stopped, on every rank, when any of them was asked to stop.
    """
    if not len(data):
        return None
    total, count = 0.0, 0.0
    engine.eval()
    for begin in range(0, len(data), ranks.size * micro_batch):
        if ranks.total([termination.asked])[0]:
            raise Stopped
        hang.progress("the loss on held-out text")
        mine = begin + ranks.rank * micro_batch
        numbers = range(mine, min(mine + micro_batch, len(data)))
        tokens = torch.from_numpy(data.read(numbers or [0])).to(ranks.device)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        with torch.no_grad():
            logits = logits_of(engine, inputs, end_token)
            if numbers:
                total += float(losses(logits, targets).double().sum())
                count += targets.numel()
    engine.train()
    total, count = ranks.total([total, count])
    return total / count
