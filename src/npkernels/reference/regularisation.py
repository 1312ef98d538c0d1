"""Dropout and its gradient, and the random numbers behind it."""

import numpy as np

from ._common import quiet


def philox4x32(counter, key):
    """Philox4x32-10 of Salmon et al., 2011: four 32-bit numbers for each counter (4, n) and the key (2,), as uint64."""
    low = np.uint64(0xFFFFFFFF)
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    first, second = (np.uint64(word) for word in key)
    for _ in range(10):
        x, y = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (y >> np.uint64(32)) ^ b ^ first, y & low, (x >> np.uint64(32)) ^ d ^ second, x & low
        first, second = (first + np.uint64(0x9E3779B9)) & low, (second + np.uint64(0xBB67AE85)) & low
    return np.stack([a, b, c, d])


@quiet
def dropout(x, p, rng):
    """(y, mask): an element is kept, and divided by 1 - p, if its 32-bit random number is below 2^32 (1 - p)."""
    # Element 64 g + 16 w + j takes number w of the block whose counter is 16 g + j; the key is drawn from rng.
    key = [rng.bit_generator.random_raw() & 0xFFFFFFFF for _ in range(2)]
    block = np.arange((x.size + 63) // 64 * 16, dtype=np.uint64)
    words = philox4x32([block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), 0 * block, 0 * block], key)
    numbers = words.reshape(4, -1, 16).transpose(1, 0, 2).reshape(-1)[: x.size]
    mask = (numbers < round((1 - p) * 2**32)).reshape(x.shape)
    return dropout_backward(x, mask, p), mask


@quiet
def dropout_backward(dy, mask, p):
    """dx = dy / (1 - p) where the element was kept, else 0."""
    return np.where(mask, dy * np.divide(1, 1 - p, dtype=dy.dtype), dy.dtype.type(0))
