"""How long a training step takes: a roofline of compute, memory and communication.

Each matrix product takes the time of its FLOPs at the rate that the device reaches for its size.
What is not a matrix product takes the time of its bytes at the memory's bandwidth, and no kernel
takes less than its launch. Messages take the time of the `network`; what a step can overlap is hidden
behind computation. Ranks are laid out tensor, sequence, data, pipeline from near to far, as in
Megatron-LM (arXiv 2104.04473, section 3.2).

The sum is what a run without friction takes; `calibration` holds how much longer runs take.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache

from cupola_operator.plan.anatomy import flops, parameters
from cupola_operator.plan.anatomy.activations import Attention
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.network import Network


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds of a step by what they go into, on the slowest stage of the pipeline."""

    compute: float
    """Matrix products of forward and backward, attention included."""
    recomputation: float
    """What activation checkpointing computes again."""
    memory_bound: float
    """Norms, activations, residuals, softmax of the vocabulary."""
    tensor: float
    """Messages of tensor and sequence parallelism."""
    bubble: float
    """Stages of the pipeline that wait for the first and the last micro-batch."""
    pipeline: float
    """Messages between stages."""
    data: float
    """Gradients and weights between data-parallel ranks, as far as nothing hides them."""
    optimizer: float
    """The update of the weights."""
    offload: float
    """Transfers to the host, and its part of the update, as far as nothing hides them."""

    @property
    def total(self) -> float:
        """Seconds of a step."""
        return (
            self.compute
            + self.recomputation
            + self.memory_bound
            + self.tensor
            + self.bubble
            + self.pipeline
            + self.data
            + self.optimizer
            + self.offload
        )

    def largest_over(self, other: StepTime) -> str:
        """The part by which this step is slower than the other one most."""
        mine, theirs = asdict(self), asdict(other)
        return max(mine, key=lambda name: mine[name] - theirs[name])


@dataclass(frozen=True)
class _Pass:
    """Seconds of one micro-batch through one block (or the head) on a rank, both directions."""

    compute: float
    again: float
    """Of recomputing it whole."""
    core: float
    """Of recomputing its attention alone."""
    memory: float
    tensor: float
    tensor_again: float


class Clock:
    """Step times of one model on one machine, for any layout; what layouts share is kept."""

    def __init__(
        self,
        model: Model,
        machine: Machine,
        precision: str = "BF16",
        attention: Attention = "Flash",
    ) -> None:
        self.model = model
        self._fused = attention == "Flash"
        self.machine = machine
        self._bytes = 4 if precision == "FP32" else 2
        gpu = machine.gpu
        self._rate = gpu.flops(precision) * gpu.matmul
        self._peak = gpu.flops(precision)
        self._tile = gpu.tile
        constants = catalogue.physics()
        self._attention = constants.attention.value
        self._memory = gpu.bandwidth * constants.memory_bandwidth.value
        self._launches = constants.kernels_per_block.value * constants.kernel_launch.value
        self._network = Network(machine)
        self._overlap = constants.overlap.value
        self._host_link = gpu.host_link * constants.link_efficiency.value
        self._host = constants.host_bandwidth.value
        self._parameters = parameters.count(model)
        self._block_parameters = parameters.block(model)
        self._model_flops = flops.training(model).total
        self._block = cache(self._block_of)
        self._head = cache(self._head_of)
        self.least = cache(self._least)

    def mfu(self, layout: Layout, seconds: float) -> float:
        """Model FLOPs utilisation of a step that takes so long (arXiv 2204.02311, appendix B)."""
        sequences_a_second = layout.global_batch / seconds
        return float(self._model_flops * sequences_a_second / (self._peak * layout.world))

    def _least(self, tensor: int, sequence: int, micro: int) -> float:
        """Seconds of a sequence in micro-batches of that size, all blocks on one stage.

        A layout that has more stages and copies takes at least its share of that.
        """
        block, head = self._block(tensor, sequence, micro), self._head(tensor, sequence, micro)
        blocks = self.model.blocks * (block.compute + block.memory + block.tensor)
        return (blocks + head.compute + head.memory + head.tensor) / micro

    def step(self, layout: Layout) -> StepTime:
        """The parts of a step's time. The layout must be possible."""
        stages = layout.pipeline * layout.virtual
        blocks = -(-self.model.blocks // stages) * layout.virtual
        block = self._block(layout.tensor, layout.sequence, layout.micro_batch)
        head = self._head(layout.tensor, layout.sequence, layout.micro_batch)
        passes = layout.accumulation
        again = {"None": 0.0, "Selective": block.core, "Full": block.again}[layout.checkpointing]
        tensor = block.tensor
        if layout.checkpointing == "Full":
            tensor += block.tensor_again
        compute = passes * (blocks * block.compute + head.compute)
        recomputed = passes * blocks * again
        memory = passes * (blocks * block.memory + head.memory)
        tensors = passes * (blocks * tensor + head.tensor)
        busy = compute + recomputed + memory + tensors
        bubble = busy * (layout.pipeline - 1) / (layout.virtual * passes)
        local = self._local_parameters(layout, blocks)
        update, transfers = self._update(layout, local, busy)
        return StepTime(
            compute=compute,
            recomputation=recomputed,
            memory_bound=memory,
            tensor=tensors,
            bubble=bubble,
            pipeline=self._between_stages(layout),
            data=self._between_copies(layout, local, blocks, busy),
            optimizer=update,
            offload=transfers,
        )

    # One block, and the head

    def _block_of(self, tensor: int, sequence: int, micro: int) -> _Pass:
        model = self.model
        tokens = micro * model.context / sequence
        queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
        up = 2 if model.gated else 1
        attention = [
            (model.hidden, (queries + 2 * keys) / tensor),
            (queries / tensor, model.hidden),
        ]
        ffn = [(model.hidden, up * model.ffn / tensor), (model.ffn / tensor, model.hidden)]
        attentions = 1 + parameters.cross_blocks(model) / model.blocks
        matrices = 0.0
        matrices_back = 0.0
        for times, pairs in ((attentions, attention), (1.0, ffn)):
            for inner, outer in pairs:
                matrices += times * self._product(tokens, inner, outer)
                matrices_back += times * self._product(tokens, outer, inner)
                matrices_back += times * self._product(inner, tokens, outer)
        causal = model.architecture == "Decoder"
        core = attentions * self._core(micro / sequence / tensor, causal=causal)
        activation = 3 * model.ffn if model.gated else 2 * model.ffn
        values = model.norms * 2 * model.hidden + 6 * model.hidden + activation
        if model.positions == "Rotary":
            values += 2 * (queries + keys)
        if model.dropout:
            values += 4 * model.hidden
        memory = self._bytes * tokens * values / tensor / self._memory
        forward = matrices + core + memory
        idle = max(0.0, self._launches - forward)
        message = self._bytes * tokens * model.hidden
        exchange = attentions * self._exchange(sequence, tensor, micro)
        # Two pairs of all-gather and reduce-scatter a pass (arXiv 2205.05198, figure 5).
        tensor_pass = 2 * attentions * 2 * self._network.ring(message, tensor, stride=1)
        return _Pass(
            compute=matrices + matrices_back + (3.5 if self._fused else 3.0) * core,
            again=forward + idle,
            core=core,
            memory=3 * (memory + idle),
            tensor=2 * (tensor_pass + exchange),
            tensor_again=tensor_pass + exchange,
        )

    def _head_of(self, tensor: int, sequence: int, micro: int) -> _Pass:
        model = self.model
        if model.head == "None":
            return _Pass(0, 0, 0, 0, 0, 0)
        tokens = micro * model.context / sequence
        width, columns = model.embedding_width or model.hidden, model.vocabulary / tensor
        compute = (
            self._product(tokens, width, columns)
            + self._product(tokens, columns, width)
            + self._product(width, tokens, columns)
        )
        # Logits in 16 bits, in 32, their exponentials, and the gradients of each: written and read.
        memory = tokens * columns * 24 / self._memory
        message = self._bytes * tokens * model.hidden
        return _Pass(compute, 0, 0, memory, 2 * self._network.ring(message, tensor, stride=1), 0)

    def _product(self, rows: float, inner: float, columns: float) -> float:
        """Seconds of one matrix product: of its FLOPs, or of its bytes if these take longer."""
        work = 2 * rows * columns * (inner + self._tile) / self._rate
        moved = self._bytes * (rows * inner + inner * columns + rows * columns)
        return max(work, moved / self._memory)

    def _core(self, share: float, *, causal: bool) -> float:
        """Seconds of queries times keys and weights times values, forward, of so many sequences."""
        model = self.model
        pairs = share * model.heads * model.context**2
        if self._fused:
            skipped = 0.5 if causal else 1.0
            return 4 * pairs * skipped * model.head_size / self._attention_rate()
        # Scores written by the product, read and written by softmax and dropout, read by the product.
        passes = 7 if model.dropout else 4
        products = 2 * pairs * (2 * model.head_size + self._tile) / self._rate
        return products + self._bytes * passes * pairs / self._memory

    def _attention_rate(self) -> float:
        """FLOP/s of fused attention: heads of 64 reach about 3/4 of what heads of 128 do."""
        narrow = min(1.0, math.pow(self.model.head_size / 128, 0.4))
        return self._rate * self._attention * narrow

    # Messages

    def _exchange(self, sequence: int, tensor: int, micro: int) -> float:
        """Seconds of the four all-to-alls of one attention, one direction (arXiv 2309.14509)."""
        model = self.model
        tokens = micro * model.context / sequence
        mean = (model.heads + model.kv_heads) / 2 * model.head_size / tensor
        return 4 * self._network.exchange(self._bytes * tokens * mean, sequence, stride=tensor)

    def _between_stages(self, layout: Layout) -> float:
        """Seconds of activations and their gradients, which each stage waits for."""
        if layout.pipeline == 1:
            return 0.0
        tokens = layout.micro_batch * self.model.context / layout.sequence
        size = self._bytes * tokens * self.model.hidden / layout.tensor
        far = layout.world > self.machine.gpus
        rounds = layout.accumulation * layout.virtual + layout.pipeline - 1
        return 2 * rounds * self._network.hop(size, far=far)

    def _between_copies(self, layout: Layout, local: float, blocks: int, busy: float) -> float:
        """Seconds of gradients and weights between copies that computation does not hide.

        Volumes as in ZeRO (arXiv 1910.02054, section 7): gradients once and weights once a step, as
        the halves of an all-reduce; from stage 2 on gradients at every pass, with stage 3 weights
        twice a pass, block by block.
        """
        ranks, passes = layout.shards, layout.accumulation
        if ranks == 1:
            return 0.0
        backward = busy * 2 / 3
        size = self._bytes * local
        if layout.zero == 3:
            once = blocks * self._network.ring(size / blocks, ranks, stride=layout.tensor)
            return self._exposed(3 * passes * once, busy)
        once = self._network.ring(size, ranks, stride=layout.tensor)
        if layout.zero == 2:
            return self._exposed(passes * once, backward) + once
        if layout.zero == 1:
            return self._exposed(once, backward / passes) + once
        return self._exposed(2 * once, backward / passes)

    def _exposed(self, sent: float, window: float) -> float:
        """What is left of messages that `window` seconds of computation can hide a share of."""
        return max(sent - window, (1 - self._overlap) * sent)

    # The update

    def _local_parameters(self, layout: Layout, blocks: int) -> float:
        """Parameters that a rank computes with, on the fullest stage."""
        if layout.pipeline == 1:
            return self._parameters.total / layout.tensor
        ends = max(self._parameters.embedding, self._parameters.head)
        return (blocks * self._block_parameters + ends) / layout.tensor

    def _update(self, layout: Layout, local: float, busy: float) -> tuple[float, float]:
        """Seconds of the update on the device, and of what offloading adds."""
        mine = local / (layout.shards if layout.zero else 1)
        if layout.offload == "None":
            # In FP32 master, moments and gradient are read, the first three written, and the weight.
            return 30 * mine / self._memory, 0.0
        ranks = min(self.machine.gpus, layout.world)
        transfers = 28 * mine * ranks / self._host + 2 * self._bytes * mine / self._host_link
        if layout.offload == "Parameters":
            read = 2 * self._bytes * mine * layout.accumulation / self._host_link
            transfers += max(0.0, read - busy)
        return 0.0, transfers


def step(model: Model, layout: Layout, machine: Machine, precision: str = "BF16") -> StepTime:
    """The parts of a step's time; `Clock` is faster for many layouts of one model."""
    return Clock(model, machine, precision).step(layout)
