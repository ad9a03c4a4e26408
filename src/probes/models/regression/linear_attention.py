"""Linear self-attention on regression tokens, in torch, float64 on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probes.cards import Construction, ModelCard
from probes.cell import Settings
from probes.data.regression_tasks import RegressionTask
from probes.measurement import Array
from probes.models.regression.construction import NetworkWeights, construct


class LinearAttention(nn.Module):
    """A stack of linear self-attention layers whose keys come from demonstrations only.

    Args:
        weights: The layers' matrices.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, eq. 1 without softmax.
    """

    def __init__(self, weights: NetworkWeights) -> None:
        super().__init__()
        self.shape = weights
        self.n_forward = 0
        self.layers = nn.ParameterList()
        for layer in weights.layers:
            for matrix in (layer.W_Q, layer.W_K, layer.W_V, layer.P, layer.skip):
                self.layers.append(
                    nn.Parameter(torch.tensor(matrix), requires_grad=False)
                )

    def forward(
        self, x: Tensor, y: Tensor, queries: Tensor, *, depth: int | None = None
    ) -> Tensor:
        """Predict the queries' answers.

        Args:
            x: Demonstrations' inputs, shape (n_sets, n_demonstrations, n_inputs).
            y: Their answers, shape (n_sets, n_demonstrations).
            queries: Query inputs, shape (n_sets, n_queries, n_inputs).
            depth: Layers to run before the reading ones; None runs all.

        Returns:
            Predictions, shape (n_sets, n_queries).
        """
        self.n_forward += 1
        shown = self._tokens(x, y)  # (n_sets, n_demonstrations, d_token)
        asked = self._tokens(queries, self._first_answers(queries))
        matrices = self._until(depth)
        for start in range(0, len(matrices), 5):
            W_Q, W_K, W_V, P, skip = matrices[start : start + 5]
            keys = shown @ W_K  # (n_sets, n_demonstrations, d_token)
            values = shown @ W_V @ P  # (n_sets, n_demonstrations, d_token)
            move = torch.einsum("snk,snv->skv", keys, values)  # one (d, d) map a set
            shown = shown + shown @ skip + shown @ W_Q @ move
            asked = asked + asked @ skip + asked @ W_Q @ move
        return self.shape.sign * asked[..., self.shape.read]  # (n_sets, n_queries)

    def answer(
        self, task: RegressionTask, *, depth: int | None = None
    ) -> tuple[Array, Array]:
        """Predict after ``depth`` layers (None: all), and differentiate.

        Returns:
            Predictions, shape (n_sets, n_queries), and their gradients with respect to
            the query, shape (n_sets, n_queries, n_inputs).
        """
        queries = torch.tensor(task.queries, requires_grad=True)
        predictions = self(
            torch.tensor(task.x), torch.tensor(task.y), queries, depth=depth
        )
        (gradient,) = torch.autograd.grad(predictions.sum(), queries)
        return _array(predictions), _array(gradient)

    def _first_answers(self, queries: Tensor) -> Tensor:
        if self.shape.start is None:
            return queries.new_zeros(queries.shape[:-1])
        return -queries @ queries.new_tensor(self.shape.start)

    def _until(self, depth: int | None) -> list[nn.Parameter]:
        matrices, n_layers = list(self.layers), len(self.shape.layers)
        if depth is None:
            return matrices
        reading = max(depth, n_layers - self.shape.n_reading)
        return matrices[: 5 * depth] + matrices[5 * reading :]

    def _tokens(self, x: Tensor, y: Tensor) -> Tensor:
        rest = self.shape.d_token - self.shape.n_inputs - 1
        padding = x.new_zeros((*x.shape[:-1], rest))
        return torch.cat([x, y[..., None], padding], dim=-1)


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def load_constructed(card: ModelCard, _: Settings) -> LinearAttention:
    """Build the network of a card's construction."""
    assert isinstance(card.weights, Construction)
    return LinearAttention(construct(card.weights))
