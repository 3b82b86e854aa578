"""The DeepSpeed engine of a run: its settings, its start, and its state as logical fragments.

DeepSpeed spreads master weights and moments differently for each ZeRO stage and precision; this
file is the only one that knows how.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from typing import Any

import deepspeed
import torch
from transformers.models.llama import LlamaForCausalLM

from cupola_api.outcome import FailureClass
from cupola_api.run import Hyperparameters, PretrainRun
from cupola_api.training import Precision
from cupola_trainer.checkpoint import Checkpoint, Fragment
from cupola_trainer.distributed import Ranks
from cupola_trainer.pod import PodFailure

Engine = Any
"""A DeepSpeedEngine; DeepSpeed has no types."""


def accumulation(run: PretrainRun) -> int:
    """Micro-batches that a rank adds up in a step. Raises PodFailure if the batch does not divide."""
    at_once = run.micro_batch * run.world.size
    if run.sequences_per_step % at_once:
        raise PodFailure(
            "BatchIndivisible",
            f"a step of {run.sequences_per_step} sequences cannot be shared by {run.world.size} "
            f"ranks in micro-batches of {run.micro_batch}; set spec.batch to a multiple of "
            f"{at_once * run.shape.context} tokens",
            FailureClass.USER,
        )
    return run.sequences_per_step // at_once


def settings(run: PretrainRun) -> dict[str, Any]:
    """DeepSpeed's configuration of a run."""
    bf16 = run.hyperparameters.precision is Precision.BF16
    value = {
        "train_batch_size": run.sequences_per_step,
        "train_micro_batch_size_per_gpu": run.micro_batch,
        "gradient_accumulation_steps": accumulation(run),
        "gradient_clipping": run.hyperparameters.gradient_clipping,
        "zero_optimization": {"stage": run.zero_stage},
        "bf16": {"enabled": bf16},
        "communication_data_type": "fp32",
        "steps_per_print": sys.maxsize,
    }
    if bf16 and run.zero_stage > 0:
        # Without it gradients of micro-batches are summed in bf16; stage 0 can do nothing else.
        value["data_types"] = {"grad_accum_dtype": "fp32"}
    return value


def start(model: LlamaForCausalLM, run: PretrainRun) -> Engine:
    """Put a model under DeepSpeed; its weights become the first master weights."""
    optimizer = _optimizer(model, run.hyperparameters)
    # It collects garbage six times as it starts, and Python once as it ends; without this each time
    # takes 0.3 s over what was imported.
    gc.freeze()
    with redirect_stdout(StringIO()):  # it prints memory figures
        engine: Engine = deepspeed.initialize(
            model=model, optimizer=optimizer, config=settings(run)
        )[0]
    add_moments(engine)
    set_step(engine, 0)
    return engine


def _optimizer(model: LlamaForCausalLM, chosen: Hyperparameters) -> torch.optim.AdamW:
    """AdamW that decays matrices but not norms.

    Its learning rate is 0 until the loop sets one: DeepSpeed takes an empty step as it starts.
    """
    weights = list(model.parameters())
    return torch.optim.AdamW(
        [
            {
                "params": [weight for weight in weights if weight.ndim > 1],
                "weight_decay": chosen.weight_decay,
            },
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=0.0,
        betas=(chosen.optimizer.beta1, chosen.optimizer.beta2),
        eps=chosen.optimizer.epsilon,
        fused=True,
    )


def set_learning_rate(engine: Engine, rate: float) -> None:
    """Set the rate of the next step."""
    for group in engine.basic_optimizer.param_groups:
        group["lr"] = rate


def set_step(engine: Engine, step: int) -> None:
    """Tell AdamW how many steps were done; its bias correction depends on it."""
    for state in engine.basic_optimizer.state.values():
        state["step"].fill_(step)


def take_step(engine: Engine) -> float:
    """Step the optimizer with the gradients of the last backward pass; returns their global norm.

    The norm is that before clipping; infinite or nan if the gradient is.
    """
    if engine.optimizer is engine.basic_optimizer:
        gradients = [weight.grad for weight in engine.module.parameters()]
        norm = torch.nn.utils.get_total_norm(gradients)
        engine.step()
        return float(norm)
    engine.step()
    return float(engine.get_global_grad_norm())


def fragments(engine: Engine) -> Iterator[Fragment]:
    """Views of the master weights and moments that this rank holds, padding left out.

    Of the weights that are trained; those that are frozen have none.
    """
    moments = engine.basic_optimizer.state
    if engine.zero_optimization_stage() == 0:
        masters = _unsharded_masters(engine)
        for name, weight in trained(engine.module):
            master = masters[weight]
            yield Fragment(name, 0, _views(master, moments[master], 0, weight.numel()))
        return
    for name, weight in trained(engine.module):
        if engine.zero_optimization_stage() == 3:
            optimizer = engine.optimizer
            group, begin, length = optimizer.grad_position[optimizer.get_param_id(weight)]
            master = optimizer.fp32_partitioned_groups_flat[group]
            at = length * engine.global_rank
            length = min(length, weight.ds_numel - at)
        elif weight._hp_mapping is not None:  # noqa: SLF001
            place = weight._hp_mapping  # noqa: SLF001
            master = engine.basic_optimizer.param_groups[place.param_group_index]["params"][0]
            at = place.lp_fragment_address.start
            begin, length = place.hp_fragment_address.start, place.hp_fragment_address.numel
        else:
            continue
        if length > 0:
            yield Fragment(name, at, _views(master, moments[master], begin, length))


def trained(model: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """The parameters of a model that are not frozen, by name; DeepSpeed adds fields to them."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def own_fragments(engine: Engine, ranks: Ranks) -> Iterator[Fragment]:
    """The fragments that this rank saves: where all hold everything, they share it out."""
    shared = engine.zero_optimization_stage() == 0
    return islice(fragments(engine), ranks.rank if shared else 0, None, ranks.size if shared else 1)


def shapes(engine: Engine) -> dict[str, list[int]]:
    """Every trained parameter and its whole shape."""
    return {
        name: list(getattr(weight, "ds_shape", weight.shape))
        for name, weight in trained(engine.module)
    }


def _unsharded_masters(engine: Engine) -> dict[torch.nn.Parameter, torch.Tensor]:
    """The master weight of each weight: a copy in bf16 training, itself in fp32."""
    if engine.optimizer is engine.basic_optimizer:
        return {weight: weight for weight in engine.module.parameters()}
    pairs = zip(engine.optimizer.fp16_groups, engine.optimizer.fp32_groups, strict=True)
    return {low: high for lows, highs in pairs for low, high in zip(lows, highs, strict=True)}


def _views(
    master: torch.Tensor, moments: dict[str, torch.Tensor], begin: int, length: int
) -> dict[str, torch.Tensor]:
    tensors = {"weight": master, "exp_avg": moments["exp_avg"], "exp_avg_sq": moments["exp_avg_sq"]}
    return {
        quantity: tensor.detach().view(-1).narrow(0, begin, length)
        for quantity, tensor in tensors.items()
    }


def add_moments(engine: Engine) -> None:
    """Make the moments that are else left to the first step, so that they can be loaded."""
    optimizer = engine.basic_optimizer
    fused = optimizer.defaults["fused"]
    if engine.zero_optimization_stage() == 3:
        masters = engine.optimizer.fp32_partitioned_groups_flat
    else:
        masters = [master for group in optimizer.param_groups for master in group["params"]]
    for master in masters:
        if not optimizer.state[master]:
            optimizer.state[master] = {
                # Where AdamW would have it: elsewhere each step would wait for its value.
                "step": torch.zeros((), device=master.device if fused else "cpu"),
                "exp_avg": torch.zeros_like(master.detach()),
                "exp_avg_sq": torch.zeros_like(master.detach()),
            }


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Fill a plain model with master weights, before DeepSpeed rounds and spreads them."""
    with torch.no_grad():
        for name, weight in trained(model):
            weight.copy_(checkpoint.weight(name))


def restore(engine: Engine, checkpoint: Checkpoint) -> None:
    """Give an engine that was started with a checkpoint's weights its exact state."""
    for fragment in fragments(engine):
        for quantity, view in fragment.values.items():
            view.copy_(checkpoint.read(quantity, fragment.name, fragment.start, view.numel()))
    set_step(engine, checkpoint.state.step)


def full_weights(engine: Engine, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Every whole weight on the CPU of rank 0, as the forward pass uses it; empty on the others."""
    weights = {}
    for name, weight in engine.module.named_parameters():
        with deepspeed.zero.GatheredParameters(
            [weight], enabled=engine.zero_optimization_stage() == 3
        ):
            if ranks.main:
                weights[name] = weight.detach().cpu().clone()
    return weights
