"""scikit-learn's `set_output`: what `transform` returns its columns in."""

from __future__ import annotations

import importlib
import sys
from typing import Literal, Self

KINDS = ("default", "pandas", "polars")


def _library(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"Setting output container to {name!r} requires {name!r} to be installed") from error


class SetOutput:
    """The method `set_output` for an estimator with `get_feature_names_out`."""

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """Says what `transform` and `fit_transform` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional
            A NumPy array, or a data frame with the names of `get_feature_names_out` and, in pandas, the index of X.
            None leaves it as it is. Until it is called ``sklearn.set_config(transform_output=...)`` holds. For a dask
            array it is always a dask array.

        Returns
        -------
        self : estimator
        """
        if transform is None:
            return self
        if transform not in KINDS:
            raise ValueError(f"output config must be in {list(KINDS)}, got {transform}")
        self._sklearn_output_config = {"transform": transform}  # the name under which scikit-learn's clone copies it
        return self

    def _in_container(self, values, X):
        """The array `values` that `transform` has found for X, in what the caller wants it in."""
        sklearn = sys.modules.get("sklearn")
        kind = getattr(self, "_sklearn_output_config", {}).get("transform")
        if kind is None:
            kind = "default" if sklearn is None else sklearn.get_config()["transform_output"]
        if kind == "default":
            return values
        library, names = _library(kind), self.get_feature_names_out()
        if kind == "polars":
            return library.DataFrame(values, schema=names.tolist(), orient="row")
        index = X.index if isinstance(X, (library.DataFrame, library.Series)) else None
        return library.DataFrame(values, index=index, columns=names, copy=False)
