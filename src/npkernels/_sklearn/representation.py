"""The text of an estimator, as scikit-learn writes it: the parameters that differ from their defaults, on lines of 80
characters, without the middle where there are more than 700 characters of it."""

import inspect
import re

WIDTH, CHARACTERS = 80, 700


def changed(estimator):
    """["name=value"] of the parameters that do not read as their defaults do."""
    defaults = {name: given.default for name, given in inspect.signature(estimator.__init__).parameters.items()}
    values = ((name, repr(value)) for name, value in estimator.get_params(deep=False).items())
    return [
        f"{name}={value}"
        for name, value in sorted(values)
        if defaults.get(name, inspect.Parameter.empty) is inspect.Parameter.empty or value != repr(defaults[name])
    ]


def on_lines(name, parts):
    """name(parts), with a new line before a part that would go beyond the width."""
    indent = len(name) + 1
    text, left = f"{name}(", WIDTH - indent + 1
    for i, part in enumerate(parts):
        room = WIDTH - indent + 1 - (i == len(parts) - 1)  # of the last line the bracket
        left -= i == len(parts) - 1
        if i and left < len(part) + 2:
            text, left = f"{text},\n{' ' * indent}", room
        elif i:
            text += ", "
        text, left = text + part, left - len(part) - 2
    return f"{text})"


def representation(estimator):
    name, parts = type(estimator).__name__, changed(estimator)
    text = f"{name}({', '.join(parts)})"
    if len(text) > WIDTH:
        text = on_lines(name, parts)
    if len("".join(text.split())) <= CHARACTERS:
        return text
    half = rf"^(\s*\S){{{CHARACTERS // 2}}}"
    left, right = re.match(half, text).end(), re.match(half, text[::-1]).end()
    if "\n" in text[left:-right]:  # the right side begins with a line
        right = re.match(half + r"[^\n]*\n", text[::-1]).end()
    return text if left + 3 >= len(text) - right else f"{text[:left]}...{text[-right:]}"
