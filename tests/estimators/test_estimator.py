"""Input that every estimator refuses, in all its methods."""

import numpy as np
import pytest

import npkernels as nk

X = np.arange(36.0).reshape(12, 3) ** 2 % 17
ESTIMATORS = [nk.KMeans(2, random_state=0), nk.MiniBatchKMeans(2, random_state=0), nk.PCA(2)]
FITS = ("fit", "fit_predict", "fit_transform", "partial_fit")
USES = ("predict", "transform", "score", "score_samples")
UNFITTED = (*USES, "inverse_transform", "get_feature_names_out", "get_covariance", "get_precision")


def methods(names, estimators=ESTIMATORS):
    pairs = [(estimator, name) for estimator in estimators for name in names if hasattr(estimator, name)]
    return pytest.mark.parametrize(
        ("estimator", "method"), pairs, ids=[f"{type(estimator).__name__}-{name}" for estimator, name in pairs]
    )


class Sparse:
    """As much of a sparse matrix as there is to see."""

    nnz, shape = 1, (12, 3)

    def toarray(self):
        return X


def sparse_matrices():
    yield Sparse()
    sparse = pytest.importorskip("scipy.sparse")
    yield from (sparse.csr_matrix(X), sparse.csc_array(X), sparse.coo_array(X))


def fresh(estimator, fitted):
    made = type(estimator)(**estimator.get_params())
    return made.fit(X) if fitted else made


@methods(FITS + USES)
def test_sparse_matrices(estimator, method):
    call = getattr(fresh(estimator, method in USES), method)
    for matrix in sparse_matrices():
        with pytest.raises(
            TypeError, match=r"Sparse data was passed for X, but dense data is required. Use '.toarray\("
        ):
            call(matrix)


@methods(FITS + USES)
def test_objects_that_are_no_numbers(estimator, method):
    call = getattr(fresh(estimator, method in USES), method)
    with pytest.raises(TypeError, match="argument must be a string or a real number"):
        call(np.array([[{}] * 3] * 12))
    with pytest.raises(ValueError, match="could not convert string to float"):
        call(np.array([["a"] * 3] * 12, dtype=object))
    for kind in ("M8[s]", "m8[s]"):
        with pytest.raises(TypeError, match="X must be numbers, got"):
            call(X.astype(kind))
    with pytest.raises(ValueError, match="Complex data not supported"):
        call(X + 1j)


@methods(FITS + USES)
@pytest.mark.parametrize(("value", "text"), [(np.nan, "Input X contains NaN"), (np.inf, "Input X contains infinity")])
def test_values_that_are_not_finite(estimator, method, value, text):
    call = getattr(fresh(estimator, method in USES), method)
    for row in (0, 11):
        bad = X.copy()
        bad[row, 1] = value
        with pytest.raises(ValueError, match=text):
            call(bad)


@methods(FITS + USES)
def test_shapes(estimator, method):
    call, name = getattr(fresh(estimator, method in USES), method), type(estimator).__name__
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        call(X[0])
    with pytest.raises(ValueError, match=f"Found array with dim 3, while dim <= 2 is required by {name}"):
        call(X[None])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        call(X[:0])
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\)"):
        call(X[:, :0])
    if method in USES:
        with pytest.raises(ValueError, match=f"X has 2 features, but {name} is expecting 3 features as input"):
            call(X[:, :2])


@methods(UNFITTED)
def test_use_before_a_fit(estimator, method):
    takes_nothing = method.startswith("get_")
    with pytest.raises(
        (ValueError, AttributeError), match=f"This {type(estimator).__name__} instance is not fitted yet"
    ):
        getattr(fresh(estimator, False), method)(*[] if takes_nothing else [X])


@pytest.mark.parametrize("kind", [nk.KMeans, nk.MiniBatchKMeans])
def test_numbers_of_clusters(kind):
    for bad in (0, -1, 2.0, True, None, "2"):
        with pytest.raises(
            ValueError, match=f"The 'n_clusters' parameter of {kind.__name__} must be an int in the range"
        ):
            kind(bad).fit(X)
    with pytest.raises(ValueError, match="n_samples=12 should be >= n_clusters=13"):
        kind(13).fit(X)
    assert kind(12, random_state=0).fit(X).cluster_centers_.shape == (12, 3)


@methods((*FITS, "score"), ESTIMATORS[:2])
@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (np.zeros(12), "Sample weights must contain at least one non-zero number"),
        (np.r_[np.ones(11), -1], "Negative values in data passed to `sample_weight`"),
        (np.r_[np.ones(11), np.nan], "Input sample_weight contains NaN"),
        (np.r_[np.ones(11), np.inf], "Input sample_weight contains infinity"),
        (np.ones(11), r"sample_weight.shape == \(11,\), expected \(12,\)!"),
        (np.ones((12, 1)), "Sample weights must be 1D array or scalar, got 2D array"),
        (0, "Sample weights must contain at least one non-zero number"),
    ],
)
def test_weights(estimator, method, weights, text):
    with pytest.raises(ValueError, match=text):
        getattr(fresh(estimator, method in USES), method)(X, sample_weight=weights)
