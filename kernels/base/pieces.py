"""The tables of vpieces.h, made when the package is built: functions of t >= 0 as polynomials on 32 pieces.

Piece n is [(n - 1/2) w, (n + 1/2) w] and has the polynomial in u = t - n w that meets the function at the Chebyshev
nodes of the piece: near the best one, with an error below that of rounding its coefficients to float32.
"""

import math

PIECES, DEGREE = 32, 6


def normal_tail(t):
    return math.erfc(t / math.sqrt(2)) / 2


def meet(f, low, high, centre, degree):
    """Coefficients of the polynomial in t - centre that meets f at degree + 1 nodes: Newton's form, expanded."""
    count = degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * math.cos(math.pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    quotients = [f(t) for t in nodes]
    for order in range(1, count):
        for k in range(degree, order - 1, -1):
            quotients[k] = (quotients[k] - quotients[k - 1]) / (nodes[k] - nodes[k - order])
    terms = [0.0] * count
    for k in range(degree, -1, -1):  # terms = terms * (u - (nodes[k] - centre)) + quotients[k]
        shifted = [0.0, *terms[:-1]]
        terms = [s - (nodes[k] - centre) * t for s, t in zip(shifted, terms, strict=True)]
        terms[0] += quotients[k]
    return terms


def table(f, width, first):
    rows = [first, *(meet(f, (n - 0.5) * width, (n + 0.5) * width, n * width, DEGREE) for n in range(1, PIECES))]
    return [list(column) for column in zip(*rows, strict=True)]


def tanh_table(width):
    # t + t^2 q(t) on the first piece, so that small numbers come out as they are; 1 on the last, where float32 has
    # no other.
    first = [0.0, 1.0, *meet(lambda t: (math.tanh(t) - t) / t**2, 0, width / 2, 0, DEGREE - 2)]
    terms = table(math.tanh, width, first)
    for degree, row in enumerate(terms):
        row[-1] = 1.0 if degree == 0 else 0.0
    return terms


def tail_table(width):
    return table(normal_tail, width, meet(normal_tail, 0, width / 2, 0, DEGREE))


def text(name, width, terms):
    rows = ",\n".join("    {" + ", ".join(f"{c:.9e}f" for c in row) + "}" for row in terms)
    return (
        f"static const float {name}_width = {width!r}f;\n"
        f"static const float {name}_pieces[{DEGREE + 1}][{PIECES}] = {{\n{rows}}};\n"
    )


# Multiples of a width with few digits are exact.
print("/* Made by pieces.py. */")
print(text("tanh", 19 / 64, tanh_table(19 / 64)))
print(text("tail", 11 / 64, tail_table(11 / 64)))
