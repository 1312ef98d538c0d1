"""The data set that the main job and the examples run on; source and licence are in README.md of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The UCI handwritten digits: images (1797, 8, 8) uint8 with values 0 to 16, labels (1797,) int64.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49 (CC BY 4.0).
    """
    from importlib import resources  # here: importing npkernels stays quick

    import numpy as np

    with resources.files(__name__).joinpath("digits.npz").open("rb") as file, np.load(file) as digits:
        return digits["images"], digits["labels"].astype(np.int64)
