"""Networks that answer regression tasks.

- ``construction``: weights written by hand for GD, GD++ and Newton's method.
- ``linear_attention``: the network of linear self-attention that uses them.
- ``softmax_attention``: a causal softmax transformer.
- ``checkpoints``: networks of both kinds that were trained, loaded from a folder.
"""
