"""A transformer whose modules have names and classes that no guess would find.

Its list of layers is no ModuleList, its embedding no Embedding, and no class is named
after attention, an MLP or a norm. Only a description says where its parts are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its customary name
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig
from transformers.modeling_outputs import CausalLMOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel

from probes.models.architecture_description import Architecture

MADE_UP = Architecture(
    model_types=("made_up",),
    layers="tower",
    attention="look",
    W_Q="ask",
    W_K="offer",
    W_V="carry",
    W_O="tell",
    mlp=("think",),
    norms=("before", "between"),
    final_norm="end",
    embeddings=("table",),
)


class MadeUpConfig(PretrainedConfig):  # type: ignore[misc]
    """Sizes of a small model."""

    model_type = "made_up"
    vocab_size = 53
    hidden_size = 16
    num_hidden_layers = 3
    num_attention_heads = 2
    max_position_embeddings = 256


class Table(nn.Module):
    """GroupSequentialDesign tokens up."""

    def __init__(self, n_rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_rows, width))

    def forward(self, ids: Tensor) -> Tensor:
        """Return a row per token."""
        return F.embedding(ids, self.weight)


class Scale(nn.Module):
    """Divides by the root mean square, and scales."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return self.weight * x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt()


def eager_attention_forward(
    _: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, **__: Any
) -> tuple[Tensor, None]:
    """Attend as the library's own eager functions do."""
    products = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + mask
    return (products.softmax(-1) @ value).transpose(1, 2).contiguous(), None


class Look(nn.Module):
    """Self-attention."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, self.config = config.hidden_size, config
        for name in ("ask", "offer", "carry", "tell"):
            self.add_module(name, nn.Linear(width, width, bias=False))

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, None]:
        """Attend causally."""
        n_tokens, n_heads = hidden_states.shape[1], self.config.num_attention_heads
        query, key, value = (
            part(hidden_states).unflatten(-1, (n_heads, -1)).transpose(1, 2)
            for part in (self.ask, self.offer, self.carry)
        )
        mask = torch.full((n_tokens, n_tokens), -1e9).triu(1).to(query)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        seen, _ = attend(self, query, key, value, mask)
        return self.tell(seen.flatten(2)), None  # type: ignore[operator]


class Think(nn.Module):
    """Two layers of linear maps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(width, 32), nn.Linear(32, width)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Map every token by itself."""
        mapped: Tensor = self.narrow(F.gelu(self.wide(hidden_states)))
        return mapped


class Storey(nn.Module):
    """A layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.hidden_size
        self.before, self.between = Scale(width), Scale(width)
        self.look, self.think = Look(config), Think(width)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Add attention, then the MLP, to the residual stream."""
        x = hidden_states + self.look(self.before(hidden_states))[0]
        added: Tensor = x + self.think(self.between(x))
        return added


class MadeUpForCausalLM(PreTrainedModel):  # type: ignore[misc]
    """The model."""

    config_class = MadeUpConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.table = Table(config.vocab_size, width)
        self.tower = nn.Sequential(
            *(Storey(config) for _ in range(config.num_hidden_layers))
        )
        self.end = Scale(width)
        self.out = nn.Linear(width, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave every weight as its own module draws it."""

    def get_input_embeddings(self) -> nn.Module:
        """Return what looks tokens up."""
        return self.table

    def get_output_embeddings(self) -> nn.Module:
        """Return what forms the logits."""
        return self.out

    def forward(
        self, input_ids: Tensor, logits_to_keep: Any = 0, **_: Any
    ) -> CausalLMOutput:
        """Answer every position, or those that are kept."""
        hidden = self.table(input_ids)
        for storey in self.tower:
            hidden = storey(hidden)
        kept = slice(None) if isinstance(logits_to_keep, int) else logits_to_keep
        return CausalLMOutput(logits=self.out(self.end(hidden[:, kept])))


def register() -> None:
    """Let the library load models of this ``model_type``."""
    AutoConfig.register("made_up", MadeUpConfig, exist_ok=True)
    AutoModelForCausalLM.register(MadeUpConfig, MadeUpForCausalLM, exist_ok=True)
