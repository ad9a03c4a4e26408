"""A causal softmax transformer on sequences x₁, y₁, …, x_q of one regression task.

After Garg et al. 2022, arXiv:2208.01066: each input and each answer is a token of its
own, positions are learned, and the prediction is read at the input's token. An answer's
token may repeat the input. It runs in float32 on the CPU. ``fixtures/training`` shows
how it was trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its customary name

from probes.data.regression_tasks import RegressionTask
from probes.errors import ModelError
from probes.measurement import Array

POSITION_DEVIATION = 0.2  # of initial positions; embedded inputs deviate about as much


@dataclass(frozen=True, kw_only=True)
class SoftmaxShape:
    """The architecture of a causal softmax transformer.

    Attributes:
        n_inputs: Dimension d of the inputs.
        n_layers: Blocks of attention and a two-layer perceptron.
        n_heads: Attention heads of a block.
        d_model: Width of the residual stream; the perceptron is four times as wide.
        n_demonstrations: Largest number of demonstrations before a query.
        repeats_inputs: Whether an answer's token is (xᵢ, yᵢ), as von Oswald et al. have
            it, and not (0, yᵢ). Then no head has to bring the two together, and
            training is several times shorter.
    """

    n_inputs: int
    n_layers: int
    n_heads: int
    d_model: int
    n_demonstrations: int
    repeats_inputs: bool = False


class SoftmaxAttention(nn.Module):
    """A transformer that predicts y after x₁, y₁, …, x.

    Args:
        shape: The architecture; the weights are drawn from torch's global seed.

    Attributes:
        layer_read_outs: Linear read-outs of the layers before the last. Ridge
            regression fits them after training, so that each layer is read as well as
            possible.
    """

    def __init__(self, shape: SoftmaxShape) -> None:
        super().__init__()
        self.shape = shape
        self.n_forward = 0
        width = shape.d_model
        self.read_in = nn.Linear(shape.n_inputs + 1, width)
        self.positions = nn.Embedding(2 * shape.n_demonstrations + 1, width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = nn.LayerNorm(width)
        self.read_out = nn.Linear(width, 1)
        self.layer_read_outs = nn.Linear(width, shape.n_layers - 1)
        nn.init.normal_(self.positions.weight, std=POSITION_DEVIATION)

    def stream(self, tokens: Tensor, mask: Tensor, depth: int | None = None) -> Tensor:
        """Run the blocks on tokens, of which several at the end may be queries.

        Args:
            tokens: Inputs and answers, shape (n_sets, n_tokens, n_inputs + 1).
            mask: True where a token (row) sees another (column). A token's position is
                the number of other tokens that it sees. Shape (n_tokens, n_tokens).
            depth: Blocks to run; None runs all.

        Returns:
            The normed residual stream, shape (n_sets, n_tokens, d_model).
        """
        h = self.read_in(tokens) + self.positions(mask.sum(dim=1) - 1)
        for block in list(self.blocks)[:depth]:
            h = block(h, mask)  # (n_sets, n_tokens, d_model)
        normed: Tensor = self.norm(h)
        return normed

    def tokens(self, x: Tensor, y: Tensor) -> Tensor:
        """Write inputs and answers as the network's tokens (see ``interleave``)."""
        return interleave(x, y, repeats_inputs=self.shape.repeats_inputs)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Predict every answer from the pairs before it; shape of y."""
        tokens = self.tokens(x, y)[:, :-1]  # nothing is predicted after the last answer
        causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        predicted: Tensor = self.read_out(self.stream(tokens, causal)[:, ::2])
        return predicted.squeeze(-1)

    def answer(
        self, task: RegressionTask, *, depth: int | None = None
    ) -> tuple[Array, Array]:
        """Predict after ``depth`` layers (None: all), and differentiate.

        All queries of a set follow its demonstrations in one sequence. Each sees the
        demonstrations and itself, as if it were the only query.

        Returns:
            Predictions, shape (n_sets, n_queries), and their gradients with respect to
            the query, shape (n_sets, n_queries, n_inputs).

        Raises:
            ModelError: There are more demonstrations than the network has positions.
        """
        n_shown = task.y.shape[1]
        self._require_room(n_shown)
        self.n_forward += 1
        queries = torch.tensor(task.queries, dtype=torch.float32, requires_grad=True)
        x, y = (torch.tensor(a, dtype=torch.float32) for a in (task.x, task.y))
        tokens = torch.cat([self.tokens(x, y), F.pad(queries, (0, 1))], dim=1)
        n_tokens = tokens.shape[1]
        mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril()
        mask[2 * n_shown :, 2 * n_shown :] = torch.eye(n_tokens - 2 * n_shown).bool()
        normed = self.stream(tokens, mask, depth)[:, 2 * n_shown :]
        last = depth is None or depth >= self.shape.n_layers
        read = self.read_out if last else self.layer_read_outs
        predictions = read(normed)[..., 0 if last else (depth or 1) - 1]
        (gradient,) = torch.autograd.grad(predictions.sum(), queries)
        return _array(predictions), _array(gradient)

    def _require_room(self, n_shown: int) -> None:
        room = self.shape.n_demonstrations
        if n_shown > room:
            raise ModelError(
                f"{n_shown} demonstrations were given to a network that has positions "
                f"for {room}. Expected at most {room}. Pass --demos {room} or fewer."
            )


class Block(nn.Module):
    """Causal attention and a perceptron, each after a norm and added to the stream."""

    def __init__(self, shape: SoftmaxShape) -> None:
        super().__init__()
        width = shape.d_model
        self.n_heads = shape.n_heads
        self.attention_norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.into_stream = nn.Linear(width, width)
        self.perceptron_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Map the stream, shape (n_sets, n_tokens, d_model), to itself."""
        n_sets, n_tokens, width = h.shape
        mapped = self.queries_keys_values(self.attention_norm(h))
        heads = mapped.view(n_sets, n_tokens, 3, self.n_heads, width // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (n_sets, n_heads, n_tokens, …)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        h = h + self.into_stream(seen.transpose(1, 2).reshape(h.shape))
        added: Tensor = self.down(F.gelu(self.up(self.perceptron_norm(h))))
        return h + added


def interleave(x: Tensor, y: Tensor, *, repeats_inputs: bool = False) -> Tensor:
    """Write tokens (x₁, 0), (0, y₁), … or, with repeated inputs, (x₁, 0), (x₁, y₁), ….

    Args:
        x: Inputs, shape (n_sets, n_pairs, n_inputs).
        y: Answers, shape (n_sets, n_pairs).
        repeats_inputs: Whether an answer's token has its input.

    Returns:
        Tokens, shape (n_sets, 2 n_pairs, n_inputs + 1).
    """
    inputs = F.pad(x, (0, 1))  # (n_sets, n_pairs, n_inputs + 1)
    beside = x if repeats_inputs else torch.zeros_like(x)
    answers = torch.cat([beside, y[..., None]], dim=-1)  # the same shape
    return torch.stack([inputs, answers], dim=2).flatten(1, 2)


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)
