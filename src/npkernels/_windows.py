"""The arithmetic of sliding windows, shared by convolution and pooling."""


def output_size(size, kernel, stride, pads, dilation, ceil_mode=False):
    """Number of positions of a window along one axis.

    floor((size + begin + end - dilation (kernel - 1) - 1) / stride) + 1; with `ceil_mode` the ceiling, less a last
    window that would start beyond the image and its leading pad (PyTorch's rule).
    """
    span = size + sum(pads) - dilation * (kernel - 1) - 1
    if span < 0:
        raise ValueError(
            f"the kernel must fit into the padded image, got kernel size {kernel} with dilation {dilation} "
            f"for size {size} with padding {tuple(pads)}"
        )
    if not ceil_mode:
        return span // stride + 1
    count = -(-span // stride) + 1
    return count - 1 if (count - 1) * stride >= size + pads[0] else count
