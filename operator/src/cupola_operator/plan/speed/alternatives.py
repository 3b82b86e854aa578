"""Families of layouts, and why each lost: what people ask when they ask why not otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from cupola_operator.plan.anatomy.layout import Layout

_GB = 1e9


@dataclass(frozen=True)
class Lost:
    """A family of layouts that did not win, by the best of it."""

    family: str
    """What they have in common, such as `ZeRO stage 3 alone`."""
    layout: Layout
    missing: int
    """Bytes that a device lacks; 0 if it fits."""
    slower: float
    """Its time over the winner's (of the cheapest: its device time); 0 if it does not fit."""
    term: str
    """The part of `StepTime` that makes it slower most, or of `Memory` that is largest."""

    @property
    def reason(self) -> str:
        """Why it lost, in words."""
        if self.missing:
            part = "optimizer's state" if self.term == "optimizer" else self.term
            return (
                f"does not fit: it lacks {self.missing / _GB:.1f} GB, and most goes to the {part}"
            )
        if self.slower < 1.005:
            return "as fast, within half a percent"
        return f"{self.slower:.2f} times as slow, mostly for {_WORDS[self.term]}"


_WORDS = {
    "compute": "matrix products, which are less efficient",
    "recomputation": "what is computed again",
    "memory_bound": "work that the memory's bandwidth limits",
    "tensor": "messages of tensor and sequence parallelism",
    "bubble": "stages that wait for each other",
    "pipeline": "messages between stages",
    "data": "messages of gradients and weights",
    "optimizer": "the update of the weights",
    "offload": "transfers to the host",
}


def families(layout: Layout, gpus: int) -> tuple[str, ...]:
    """The families that a layout belongs to, on nodes of so many GPUs: one of each question."""
    alone = layout.tensor == layout.sequence == layout.pipeline == 1
    return (
        _tensor(layout.tensor, gpus),
        "a pipeline" if layout.pipeline > 1 else "no pipeline",
        "sequence parallelism" if layout.sequence > 1 else "no sequence parallelism",
        f"ZeRO stage {layout.zero} {'alone' if alone else 'with a split model'}",
        _CHECKPOINTING[layout.checkpointing],
        _OFFLOAD[layout.offload],
        f"micro-batches of {layout.micro_batch}",
    )


_CHECKPOINTING = {
    "None": "no recomputation",
    "Selective": "recomputation of attention",
    "Full": "full recomputation",
}

_OFFLOAD = {
    "None": "nothing offloaded",
    "Optimizer": "the optimizer offloaded",
    "Parameters": "parameters offloaded",
}


def _tensor(tensor: int, gpus: int) -> str:
    if tensor == 1:
        return "no tensor parallelism"
    return "tensor parallelism in a node" if tensor <= gpus else "tensor parallelism across nodes"
