import pickle
import re
import sys

import numpy as np
import pytest

import npkernels as nk

ESTIMATORS = [nk.KMeans(3, random_state=0), nk.MiniBatchKMeans(3, random_state=0), nk.PCA(2)]


@pytest.fixture(params=ESTIMATORS, ids=lambda e: type(e).__name__)
def estimator(request):
    return pickle.loads(pickle.dumps(request.param))


def test_pandas(estimator, rng):
    pandas = pytest.importorskip("pandas")
    x = rng.standard_normal((30, 4))
    plain = estimator.fit(x).transform(x)
    assert type(plain) is np.ndarray
    assert estimator.set_output(transform="pandas") is estimator
    assert estimator.set_output() is estimator
    for frame in (estimator.transform(x), estimator.fit_transform(x)):
        assert isinstance(frame, pandas.DataFrame)
        assert frame.columns.tolist() == estimator.get_feature_names_out().tolist()
        assert np.array_equal(frame.to_numpy(), plain)
        assert frame.index.equals(pandas.RangeIndex(30))
    given = pandas.DataFrame(x, columns=list("abcd"), index=np.arange(30)[::-1])
    assert estimator.fit(given).transform(given).index.equals(given.index)
    assert isinstance(pickle.loads(pickle.dumps(estimator)).transform(given), pandas.DataFrame)
    assert type(estimator.set_output(transform="default").transform(given)) is np.ndarray


def test_polars(estimator, rng):
    polars = pytest.importorskip("polars")
    x = rng.standard_normal((30, 4)).astype(np.float32)
    plain = estimator.fit(x).transform(x)
    frame = estimator.set_output(transform="polars").transform(x)
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == estimator.get_feature_names_out().tolist()
    assert np.array_equal(frame.to_numpy(), plain)
    assert frame.to_numpy().dtype == np.float32


def test_configuration_of_scikit_learn(estimator, rng):
    sklearn, pandas = pytest.importorskip("sklearn"), pytest.importorskip("pandas")
    x = rng.standard_normal((30, 4))
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(estimator.fit(x).transform(x), pandas.DataFrame)
        assert type(estimator.set_output(transform="default").transform(x)) is np.ndarray
    copy = sklearn.clone(estimator.set_output(transform="pandas"))
    assert isinstance(copy.fit_transform(x), pandas.DataFrame)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")  # the checks mix frames and arrays
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_checks_of_scikit_learn(estimator, library):
    pytest.importorskip(library)
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    name = type(estimator).__name__
    checks.check_set_output_transform(name, estimator)
    getattr(checks, f"check_set_output_transform_{library}")(name, estimator)
    names = {"pandas": "check_global_output_transform_pandas", "polars": "check_global_set_output_transform_polars"}
    getattr(checks, names[library])(name, estimator)


def test_a_container_that_is_not_known(estimator):
    message = "output config must be in ['default', 'pandas', 'polars'], got xarray"
    with pytest.raises(ValueError, match=re.escape(message)):
        estimator.set_output(transform="xarray")


def test_a_library_that_is_missing(estimator, rng, monkeypatch):
    x = rng.standard_normal((30, 4))
    estimator.set_output(transform="pandas").fit(x)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="Setting output container to 'pandas' requires 'pandas' to be installed"):
        estimator.transform(x)
