"""Weights of a model by name, their gradients, and stacks of them.

- ``parameter_groups``: sub-models by name, such as ``W_V@middle``.
- ``weight_parts``: the matrices within their parameters, fused ones too.
- ``gradients``: gradients gathered over tokens.
- ``stacks``: the weights of several runs along a first axis.
"""
