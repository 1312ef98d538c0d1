"""One spoiled argument after the other, for every public function (fuzz/bad.py), and the messages of known cases."""

import numpy as np
import pytest
from fuzz import bad

import npkernels as nk


@pytest.mark.parametrize("name", bad.NAMES)
def test_a_bad_argument_is_refused_by_its_name(name):
    isa, threads = nk.isa(), nk.get_num_threads()
    for seed in (0,) if name in bad.ESTIMATORS or name in bad.SIZES else (0, 1):
        _, lines = bad.complaints(name, seed)
        assert not lines, "\n".join(lines)
    assert (nk.isa(), nk.get_num_threads()) == (isa, threads)


X, W, DY = np.ones((2, 3)), np.ones((4, 3)), np.ones((2, 4))
IMAGE, KERNEL = np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))
FITS = "is too large: the kernel must fit into the padded image, got kernel size 5 with dilation 1 for size 3"


def overlapping_rows():
    return np.lib.stride_tricks.as_strided(np.zeros(10), (2, 3), (8, 8))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.dense_backward(DY, X, W, needs=["w"]), TypeError, "needs must be a tuple of names, got list"),
        (lambda: nk.dense_backward(DY, X, W, needs={"w"}), TypeError, "needs must be a tuple of names, got set"),
        (
            lambda: nk.softmax_cross_entropy(X, np.array([0.0, 1.0])),
            TypeError,
            r"targets must be integers to be classes of shape \(2,\), got float64",
        ),
        (
            lambda: nk.relu(X, out=overlapping_rows()),
            ValueError,
            r"out must be C-contiguous, got strides \(8, 8\), which overlap",
        ),
        (lambda: nk.dense(X, [[1, 2, 3]]), TypeError, "w must be float32 or float64, got int64"),
        (lambda: nk.dense(X, None), TypeError, "w must be float32 or float64, got NoneType"),
        (lambda: nk.relu(i for i in range(3)), TypeError, "x must be float32 or float64, got generator"),
        (lambda: nk.relu([None]), TypeError, "x must be float32 or float64, got object"),
        (lambda: nk.relu(bad.Refuses()), TypeError, "x must be an array, got Refuses: this is no array"),
        (lambda: nk.avg_pool2d(IMAGE, 5), ValueError, f"kernel_size {FITS}"),
        (lambda: nk.max_pool2d(IMAGE, 5), ValueError, f"kernel_size {FITS}"),
        (lambda: nk.im2col(IMAGE, 5), ValueError, f"kernel_size {FITS}"),
        (lambda: nk.conv_output_size(3, 5), ValueError, f"kernel_size {FITS}"),
        (lambda: nk.conv2d(IMAGE, np.ones((1, 1, 5, 5))), ValueError, f"w {FITS}"),
        (lambda: nk.max_pool2d(IMAGE, 2, ceil_mode="no"), TypeError, "ceil_mode must be a bool, got str"),
        (lambda: nk.receptive_field(3), TypeError, "layers must be a sequence of .* got int"),
        (
            lambda: nk.receptive_field([(2**62, 2**62, 0)] * 18),
            ValueError,
            "layers must leave a start that fits a float, got 18 layers",
        ),
    ],
)
def test_messages_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_tensors_and_sparse_matrices_are_refused_with_advice():
    torch = pytest.importorskip("torch")
    for tensor in torch.ones((2, 3), dtype=torch.float64, requires_grad=True), torch.ones(2, dtype=torch.bfloat16):
        with pytest.raises(TypeError, match=r"x must be an array, got Tensor: (Can't call numpy|Got unsup)"):
            nk.dense(tensor, W)
    sparse = pytest.importorskip("scipy.sparse")
    for matrix in sparse.csr_matrix(W), sparse.coo_array(W):
        with pytest.raises(TypeError, match=r"w must be float32 or float64, got cs?.*, which is sparse: \.toarray\(\)"):
            nk.dense(X, matrix)


def test_receptive_fields_are_exact():
    """Sizes are Python's integers; the start is rounded once."""
    field = nk.receptive_field([(2**62 + 1, 2**62, 1)] * 3)
    jumps = [1, 2**62, 2**124]
    assert field.size == 1 + 2**62 * sum(jumps)
    assert field.jump == 2**186
    assert field.start == (1 + (2**62 - 2) * sum(jumps)) / 2


@pytest.mark.parametrize("with_grad", [False, True])
@pytest.mark.parametrize("ignored", [-(2**63), -(2**31), -1, 0, 3, 2**31, 2**32, 2**63 - 1])
def test_classes_and_ignored_classes_at_the_ends_of_integers(ignored, with_grad):
    """Class j of a type counts as ignored if it is the number j, and never because it wraps to it."""
    function = nk.softmax_cross_entropy_with_grad if with_grad else nk.softmax_cross_entropy
    logits = np.zeros((2, 3))
    for kind in "bBhHiIqQ":
        for label in {np.iinfo(kind).min, np.iinfo(kind).max, *(i for i in (ignored,) if _holds(kind, i))}:
            targets = np.array([1, label], kind)
            if label == ignored or 0 <= label < 3:
                loss = function(logits, targets, ignore_index=ignored, reduction="none")
                loss = loss[0] if with_grad else loss
                assert np.array_equal(loss == 0, [ignored == 1, label == ignored])
            else:
                with pytest.raises(ValueError, match=rf"targets must be classes in \[0, 3\), got {label}$"):
                    function(logits, targets, ignore_index=ignored)
    for beyond in -(2**63) - 1, 2**63, np.uint64(2**64 - 1):
        with pytest.raises(ValueError, match=f"ignore_index must fit 64 bits, got {beyond}"):
            function(logits, [1, 1], ignore_index=beyond)


def _holds(kind, number):
    return np.iinfo(kind).min <= number <= np.iinfo(kind).max


@pytest.mark.parametrize("kind", "bBhHiIqQ")
def test_places_at_the_ends_of_integers(kind):
    """Indices and places of maxima are compared in their own type."""
    for end in np.iinfo(kind).min, np.iinfo(kind).max:
        if end:
            with pytest.raises(ValueError, match=rf"indices must be in \[0, 4\), got {min(end, 1)} to {max(end, 1)}"):
                nk.max_pool2d_backward(np.ones((1, 1, 1, 2)), np.array([1, end], kind).reshape(1, 1, 1, 2), (2, 2))
            with pytest.raises(ValueError, match=rf"which must be in \[0, 2\), got {min(end, 1)} to {max(end, 1)}"):
                nk.maxout_backward(np.ones(2), np.array([1, end], kind), 2)


def test_one_flipped_bit_beyond_the_classes_is_seen():
    """A class, a place or an index that equals a valid one but for a high bit."""
    for bit in range(2, 64):
        high = np.array([1, 1 + 2**bit], np.uint64)
        with pytest.raises(ValueError, match=rf"targets must be classes in \[0, 3\), got {high[1]}$"):
            nk.softmax_cross_entropy(np.zeros((2, 3)), high)
        with pytest.raises(ValueError, match="which must be"):
            nk.maxout_backward(np.ones(2), high, 2)
        with pytest.raises(ValueError, match="indices must be"):
            nk.max_pool2d_backward(np.ones((1, 1, 1, 2)), high.reshape(1, 1, 1, 2), (2, 2))


@pytest.mark.parametrize("kind", [np.int8, np.uint64])
@pytest.mark.parametrize("estimator", [nk.KMeans, nk.MiniBatchKMeans])
def test_numpy_integers_as_parameters_are_python_integers(estimator, kind):
    """Arithmetic with them would wrap: 10 * np.int8(60) is 88, by the last 8 bits."""
    x = np.random.default_rng(0).standard_normal((150, 3))
    parameters = {"n_clusters": 60, "max_iter": 127, "random_state": 3, "n_init": 2}
    if estimator is nk.MiniBatchKMeans:
        parameters |= {"batch_size": 100, "max_no_improvement": 100}
    wanted = estimator(**parameters).fit(x)
    fit = estimator(**{name: kind(value) for name, value in parameters.items()}).fit(x)
    assert np.array_equal(fit.cluster_centers_, wanted.cluster_centers_)
    assert (fit.n_iter_, fit.inertia_) == (wanted.n_iter_, wanted.inertia_)


def test_the_largest_integers_are_iterations_enough():
    x = np.arange(10.0).reshape(5, 2)
    for most in (np.uint64(2**64 - 1), np.int64(2**63 - 1), 2**200):
        assert nk.KMeans(2, max_iter=most, random_state=0).fit(x).n_iter_ < 10
        assert nk.MiniBatchKMeans(2, max_iter=most, batch_size=most, random_state=0).fit(x).n_iter_ < 100
