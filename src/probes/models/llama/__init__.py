"""The Llama family written out: an optional fast path for asking and for training.

Models of other architectures do not use this package. Two modules outside reach it:
``causal_lm.causal_lm``, which asks, and ``training.llama_backend``, which trains.
Read the modules in this order.

The model:

- ``model``: Llama, Mistral, Qwen and Gemma as functions of their weights.
- ``attention_layout``: what the model asks of its input.
- ``architecture``: which models this code is right for, and how they are built.
- ``rotary``: rotary position embeddings.
- ``rms_norm``: RMS normalization and its gradient.
- ``activation``: functions of single numbers, and their gradients.
- ``linear_maps``: the weights by name, and products with them.
- ``axes``: splitting axes, selecting tokens, and products of stacks.
- ``prepacked_linear``: products with frozen weights.
- ``dense_linear``: products with weights that training moves.

Inference, for prompts that share a prefix:

- ``inference``: log-probabilities of many prompts, and ``llama_if_equivalent``.
- ``prefix_tree``: prompts with a common prefix, and the passes that compute them.
- ``prefix_layout``: the place of every token of these trees in one sequence.
- ``prefix_attention``: attention to prefixes and suffixes.
- ``ragged``: rows of unequal length in a padded grid.
- ``fused_attention``: attention that never writes its scores.

Training, on labelled examples:

- ``packed_sequences``: examples in one sequence without padding.
- ``head_order``: the heads of packed tokens, ordered by example.
- ``packed_attention``: attention within each example, and its gradient.
- ``attention_backward``: fused attention and its gradient.
- ``backward``: forward and backward pass of all layers.
- ``backward_parts``: a layer's linear maps, norms and MLP, each with its gradient.
"""
