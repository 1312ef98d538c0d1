"""Derived bounds that several tests share."""

import numpy as np


def doubles(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def assert_within(got, definition, arguments, terms, eps, **options):
    """|error| <= (terms + 2) eps definition(|arguments|): a sum of `terms` products, Higham 2002, sec. 3.1.
    The factor 2 is for the rounding of the definition."""
    wanted = definition(*doubles(*arguments), **options)
    bound = definition(*[abs(a) for a in doubles(*arguments)], **options)
    for one, value, most, count in zip(
        *[z if isinstance(z, tuple) else (z,) for z in (got, wanted, bound, terms)], strict=True
    ):
        assert one.shape == value.shape
        assert (abs(one - value) <= 2 * (count + 2) * eps * most).all()
