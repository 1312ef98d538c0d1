"""The definitions of all elementwise functions by name."""

from . import activation_exp, activation_linear, channelwise

ACTIVATIONS = {
    name: f
    for module in (activation_linear, activation_exp, channelwise)
    for name, f in vars(module).items()
    if f"{name}_backward" in vars(module) and name not in ("glu", "maxout")  # which map groups of elements
}
