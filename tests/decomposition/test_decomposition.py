import math
import pickle
import warnings

import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import reference
from npkernels.decomposition._components import product_with_itself

CHAIN = 1024  # rows whose products are added up in the dtype of x
SHAPES = [(2, 1), (40, 3), (400, 17), (1100, 100), (60, 60), (20, 300), (100, 101)]
SOLVERS = ["auto", "full", "covariance_eigh", "randomized"]


def samples(rng, n, d, dtype=np.float64, offset=0.0):
    """Features of very different variance in a random basis."""
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (rng.standard_normal((n, d)) * 0.9 ** np.arange(d) @ basis + offset).astype(dtype)


def covariance(x):
    e = x.astype(np.float64) - x.astype(np.float64).mean(0)
    return e.T @ e / (len(x) - 1)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_components_are_eigenvectors_of_the_covariance(isa, dtype, eps, rng, n, d, solver, offset):
    x = samples(rng, n, d, dtype, offset)
    fit = nk.PCA(svd_solver=solver, random_state=0).fit(x)
    exact = covariance(x)
    v, variances = fit.components_.astype(float), fit.explained_variance_.astype(float)
    k = min(n, d)
    assert v.shape == (k, d)
    for array in (fit.components_, fit.explained_variance_, fit.singular_values_, fit.mean_):
        assert array.dtype == dtype
    # Rounding of the samples less a mean that is rounded too, of the products and of the decomposition.
    centring = eps * (abs(x).max() + 1) * math.sqrt(n * d) / math.sqrt(n - 1)
    size = math.sqrt(np.trace(exact))
    bound = 2 * (math.sqrt(min(n, CHAIN)) + math.sqrt(d)) * eps * size**2 + (2 * centring * size + centring**2) / 5
    assert (abs(v @ exact - variances[:, None] * v) <= bound).all()
    assert (abs(v @ v.T - np.eye(k)) <= 4 * math.sqrt(d + n) * eps).all()
    assert (np.diff(variances) <= 0).all()
    # Weyl: eigenvalues differ by no more than the matrices
    assert (abs(variances - np.linalg.eigvalsh(exact)[::-1][:k]) <= bound).all()
    assert (v[np.arange(k), abs(v).argmax(1)] > 0).all()
    assert np.allclose(
        fit.explained_variance_ratio_, variances / np.trace(exact), rtol=0, atol=d * eps + bound / size**2
    )
    # in float64 NumPy's own mean, whose chains are as long as the samples, is no nearer
    chain = 1 if dtype == np.float32 else math.sqrt(n)
    assert (abs(fit.mean_ - x.mean(0, dtype=float)) <= eps * (abs(x).max() + 1) * chain).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_components_equal_their_definition(rng, solver):
    x = samples(rng, 300, 8)
    mean, components, variances = reference.pca(x)
    fit = nk.PCA(8, svd_solver=solver, random_state=0).fit(x)
    # variances are 0.81 of the one before: gaps of a fifth, so that rounding moves a vector by a few times itself
    eps = np.finfo(float).eps
    assert np.allclose(fit.components_, components, rtol=0, atol=256 * eps)
    assert np.allclose(fit.explained_variance_, variances, rtol=0, atol=64 * eps * variances[0])
    assert np.allclose(fit.mean_, mean, rtol=0, atol=8 * eps)
    assert np.allclose(fit.singular_values_, np.sqrt(variances * 299), rtol=128 * eps)
    assert (fit.n_components_, fit.n_samples_, fit.n_features_in_, fit.noise_variance_) == (8, 300, 8, 0.0)


@pytest.mark.parametrize(("n", "d"), [(2000, 400), (400, 2000)])
def test_few_components_of_large_data_are_those_of_the_whole(dtype, rng, n, d):
    x = samples(rng, n, d, dtype)
    fit = nk.PCA(5, random_state=0).fit(x)
    whole = nk.PCA(5, svd_solver="full").fit(x)
    # seven power iterations: 0.9^(2 * 15 * 10) of what was left out
    assert np.allclose(fit.explained_variance_, whole.explained_variance_, rtol=1e-4)
    assert np.allclose(fit.components_, whole.components_, atol=2e-3)
    assert np.allclose(fit.explained_variance_ratio_, whole.explained_variance_ratio_, rtol=1e-3)
    assert math.isclose(fit.noise_variance_, whole.noise_variance_, rel_tol=1e-3)
    assert np.array_equal(fit.components_, nk.PCA(5, random_state=0).fit(x).components_)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 3), (1025, 49), (2500, 97), (300, 259), (90, 500)])
def test_the_product_of_a_matrix_with_itself(isa, dtype, eps, rng, layouts, same_for_any_threads, n, d):
    x = (rng.standard_normal((n, d)) + 3).astype(dtype)
    near = x[:4].mean(0)
    total, sums = same_for_any_threads(lambda: product_with_itself(x, near))
    e = (x - near).astype(float)
    # squares on the diagonal do not have random signs: their partial sums grow with the terms. Measured: 0.4 of it
    assert (abs(total - e.T @ e) <= (math.sqrt(min(n, CHAIN)) + 2) * eps * (abs(e).T @ abs(e))).all()
    assert (abs(sums - e.sum(0)) <= (math.sqrt(min(n, 256)) + 2) * eps * abs(e).sum(0)).all()
    assert np.array_equal(total, total.T)
    whole = integers(rng, (n, d), dtype)
    assert np.array_equal(product_with_itself(whole)[0], whole.T.astype(float) @ whole)
    total_of_whole, sums_of_whole = product_with_itself(whole, whole[:4].mean(0, keepdims=True)[0].round())
    e = whole.astype(float) - whole[:4].mean(0).round()
    assert np.array_equal(total_of_whole, e.T @ e)
    assert np.array_equal(sums_of_whole, e.sum(0))
    for x_ in layouts(x):
        assert np.array_equal(product_with_itself(x_, near)[0], total)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("whiten", [False, True])
def test_transform_and_back(isa, dtype, eps, rng, solver, whiten):
    x = samples(rng, 200, 6, dtype, 5)
    pca = nk.PCA(svd_solver=solver, whiten=whiten, random_state=0)
    y = pca.fit_transform(x)
    assert y.dtype == dtype
    assert np.array_equal(y, pca.transform(x))
    wanted = (x.astype(float) - pca.mean_) @ pca.components_.astype(float).T
    if whiten:
        wanted /= np.sqrt(pca.explained_variance_.astype(float))
        # products of samples and decomposition, measured: 5 eps
        assert (abs(np.cov(y.T) - np.eye(6)) <= 16 * eps).all()
    # sums of 6 products. Measured: 1.1 and 2.0 eps
    assert (abs(y - wanted) <= 4 * eps * abs(wanted).max()).all()
    assert (abs(pca.inverse_transform(y) - x) <= 6 * eps * abs(x).max()).all()


def test_the_number_of_components(rng):
    x = samples(rng, 500, 10)
    whole = nk.PCA().fit(x)
    ratios = np.cumsum(whole.explained_variance_ratio_)
    for share in (0.1, 0.5, 0.9, 0.999):
        for solver in ("full", "covariance_eigh"):
            k = nk.PCA(share, svd_solver=solver).fit(x).n_components_
            assert ratios[k - 1] > share
            assert k == 1 or ratios[k - 2] <= share
    for k in (0, 1, 4, 10):
        fit = nk.PCA(k).fit(x)
        assert fit.components_.shape == (k, 10)
        assert fit.transform(x).shape == (500, k)
        left = whole.explained_variance_[k:]
        assert math.isclose(fit.noise_variance_, left.mean() if k < 10 else 0.0, rel_tol=1e-9)
    low = rng.standard_normal((1000, 3)) @ rng.standard_normal((3, 8)) * 5 + rng.standard_normal((1000, 8))
    assert nk.PCA("mle").fit(low).n_components_ == 3
    assert nk.PCA(4, svd_solver="arpack").fit(x).n_components_ == 4
    assert nk.PCA(svd_solver="arpack").fit(x).n_components_ == 9


def test_the_model_of_the_data(rng):
    x = samples(rng, 3000, 5, offset=2)
    assert np.allclose(nk.PCA().fit(x).get_covariance(), np.cov(x.T), atol=1e-12)
    for k in (0, 2, 5):
        for whiten in (False, True):  # changes what transform returns, not the data
            fit = nk.PCA(k, whiten=whiten).fit(x)
            model = fit.get_covariance()
            assert np.allclose(fit.get_precision() @ model, np.eye(5), atol=1e-9)
            e = x - fit.mean_
            density = -0.5 * (np.linalg.slogdet(2 * np.pi * model)[1] + (e * np.linalg.solve(model, e.T).T).sum(1))
            assert np.allclose(fit.score_samples(x), density, rtol=1e-9)
            assert math.isclose(fit.score(x), density.mean(), rel_tol=1e-9)


def test_a_singular_covariance_has_no_inverse(rng, dtype):
    # Its inverse was that of rounding errors, or LAPACK's error without a word of the attribute.
    x = samples(rng, 40, 3).astype(dtype)
    few, flat, changed = nk.PCA().fit(x[:2]), nk.PCA().fit(x), nk.PCA(2).fit(x)
    flat.explained_variance_[-1], changed.noise_variance_ = 0, 0.0
    few.noise_variance_ = 1e-310
    for model in (few, flat, changed):
        assert np.isfinite(model.get_covariance()).all()
        for call in (model.get_precision, lambda: model.score_samples(x), lambda: model.score(x)):  # noqa: B023
            with pytest.raises(np.linalg.LinAlgError, match="noise_variance_ is 0"):
                call()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n", [60, 3])
def test_numbers_whose_squares_overflow_are_refused(rng, dtype, solver, n):
    # Shares of variance were 0 or NaN, or LAPACK's eigenvalues did not converge.
    x = rng.standard_normal((n, 5)).astype(dtype)
    size = np.asarray(np.sqrt(np.finfo(dtype).max), dtype)
    pca = nk.PCA(2, svd_solver=solver, random_state=0)
    assert np.isfinite(pca.fit(x * (size / 64)).explained_variance_).all()
    with pytest.raises(ValueError, match="too large for its squares"):
        pca.fit(x * (2 * size))


def test_the_wider_dtype_of_model_and_samples_stays(rng):
    x = rng.standard_normal((40, 3))
    for model in ("f4", "f8"):
        pca = nk.PCA(2).fit(x.astype(model))
        for given in ("f4", "f8"):
            wanted = np.result_type(model, given)
            y = pca.transform(x.astype(given))
            assert y.dtype == pca.inverse_transform(y.astype(given)).dtype == wanted
            assert pca.score_samples(x.astype(given)).dtype == wanted
        assert pca.transform(np.ones((2, 3), int)).dtype == np.float64
    far = np.full((2, 3), 1e300)
    assert np.allclose(nk.PCA(2).fit(x.astype("f4")).transform(far) / 1e300, pca.components_.sum(1), atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_threads_and_layouts_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, solver):
    x = samples(rng, 3000, 12, dtype)

    def call(x=x):
        fit = nk.PCA(4, svd_solver=solver, random_state=0).fit(x)
        return fit.components_, fit.explained_variance_, fit.mean_, fit.transform(x)

    wanted = same_for_any_threads(call)
    for x_ in layouts(x):
        for a, b in zip(call(x_), wanted, strict=True):
            assert np.array_equal(a, b)


def test_parameters_and_names(rng):
    x = rng.standard_normal((20, 3))
    pca = nk.PCA(2, whiten=True)
    assert repr(pca) == "PCA(n_components=2, whiten=True)"
    fit = pca.fit(x)
    assert fit.get_feature_names_out().tolist() == ["pca0", "pca1"]
    assert np.array_equal(pickle.loads(pickle.dumps(fit)).transform(x), fit.transform(x))
    x.flags.writeable = False
    assert np.array_equal(nk.PCA(2, whiten=True, copy=False).fit_transform(x), fit.transform(x))
    assert nk.PCA().fit(rng.integers(0, 9, (30, 4))).components_.dtype == np.float64


X = np.arange(30.0).reshape(10, 3) ** 2
NAN, INF = np.where(X == 49, np.nan, X), np.where(X == 49, np.inf, X)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nk.PCA(4).fit(X),
            ValueError,
            "n_components=4 must be between 0 and min(n_samples, n_features)=3 with",
        ),
        (lambda: nk.PCA(0, svd_solver="randomized").fit(X), ValueError, "must be between 1 and min(n_samples"),
        (lambda: nk.PCA(3, svd_solver="arpack").fit(X), ValueError, "must be strictly less than min(n_samples"),
        (lambda: nk.PCA("mle", svd_solver="randomized").fit(X), ValueError, "n_components='mle' cannot be a string"),
        (
            lambda: nk.PCA("mle").fit(X[:2]),
            ValueError,
            "n_components='mle' is only supported if n_samples >= n_features",
        ),
        (lambda: nk.PCA(-1).fit(X), ValueError, "'n_components' parameter of PCA must be an int in the range [0, inf)"),
        (
            lambda: nk.PCA(1.5).fit(X),
            ValueError,
            "a float in the range (0.0, 1.0), a str among {'mle'} or None. Got 1.5",
        ),
        (lambda: nk.PCA("all").fit(X), TypeError, "'n_components' parameter of PCA"),
        (lambda: nk.PCA(svd_solver="lapack").fit(X), ValueError, "'svd_solver' parameter of PCA must be a str among"),
        (lambda: nk.PCA(whiten=1).fit(X), ValueError, "'whiten' parameter of PCA must be an instance of 'bool'"),
        (lambda: nk.PCA().fit(X[:1]), ValueError, "Found array with 1 sample(s) (shape=(1, 3)) while a minimum of 2"),
        (lambda: nk.PCA().transform(X), AttributeError, "This PCA instance is not fitted yet."),
        (lambda: nk.PCA().get_covariance(), AttributeError, "This PCA instance is not fitted yet."),
        (lambda: nk.PCA().get_precision(), AttributeError, "This PCA instance is not fitted yet."),
        (lambda: nk.PCA().fit(X).transform(X[:, :2]), ValueError, "X has 2 features, but PCA is expecting 3 features"),
        (lambda: nk.PCA(2).fit(X).inverse_transform(X), ValueError, "X must have shape (n, 2), got (10, 3)"),
        (lambda: nk.PCA().fit(X).transform(NAN), ValueError, "Input X contains NaN"),
        (lambda: nk.PCA().fit(X).score(INF), ValueError, "Input X contains infinity"),
        (lambda: nk.PCA().fit(X).inverse_transform(NAN), ValueError, "Input X contains NaN"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("wide", [False, True])
def test_values_that_are_not_finite_are_refused(dtype, solver, wide):
    for bad, text in ((NAN, "Input X contains NaN"), (INF, "Input X contains infinity")):
        x = np.tile(bad, (1, 40)) if wide else np.tile(bad, (40, 1))
        with pytest.raises(ValueError, match=text):
            nk.PCA(1, svd_solver=solver).fit(x.astype(dtype))


@pytest.mark.parametrize(("n", "d"), [(600, 12), (30, 200)])
@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
@pytest.mark.parametrize("k", [3, 0.8, None])
def test_the_same_as_scikit_learn(rng, n, d, solver, k):
    theirs_of = pytest.importorskip("sklearn.decomposition").PCA
    x = samples(rng, n, d, offset=1)
    ours = nk.PCA(k, svd_solver=solver).fit(x)
    theirs = theirs_of(k, svd_solver="full").fit(x)
    assert ours.n_components_ == theirs.n_components_
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_", "noise_variance_"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-6)
    some = slice(0, min(20, ours.n_components_ - 1)) if k is None else slice(None)  # those of a variance
    assert np.allclose(abs(ours.components_[some]), abs(theirs.components_[some]), atol=1e-6)
    assert np.allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-9)
    if k is not None and n > d:
        assert np.allclose(ours.score_samples(x), theirs.score_samples(x), rtol=1e-6)
        assert nk.PCA("mle").fit(x).n_components_ == theirs_of("mle").fit(x).n_components_


@pytest.mark.parametrize("parameters", [{}, {"n_components": 1}, {"svd_solver": "randomized", "n_components": 1}])
def test_checks_of_scikit_learn(parameters):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = checks.check_estimator(nk.PCA(**parameters), on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert sum(result["status"] == "passed" for result in results) >= 45
