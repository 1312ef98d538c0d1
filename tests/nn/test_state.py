"""State by name: all or nothing, in memory and in files."""

import os
import re
import zipfile

import numpy as np
import pytest

from npkernels import nn


def model(rng=0, dtype=np.float32):
    return nn.Sequential(
        nn.Dense(3, 4, dtype=dtype), nn.BatchNorm(4, dtype=dtype), head=nn.Dense(4, 2, dtype=dtype), rng=rng
    )


def test_state_is_a_copy():
    one = model()
    state = one.state_dict()
    state["0.weight"] += 1
    assert not np.array_equal(one.state_dict()["0.weight"], state["0.weight"])


def test_a_single_layer_has_plain_names():
    assert list(nn.Dense(3, 4).state_dict()) == ["weight", "bias"]


def test_lists_and_other_floats_are_taken(bits):
    one, two = model(0), model(1)
    one.load_state_dict({name: value.astype(np.float64).tolist() for name, value in two.state_dict().items()})
    assert bits(one) == bits(two)


def test_all_faults_are_in_one_message_and_nothing_is_written(bits):
    one = model()
    before, state = bits(one), model(1).state_dict()
    del state["1.running_var"]
    state |= {
        "0.weight": np.ones((4, 4)),
        "9.weight": np.ones(1),
        "head.bias": np.array(["a", "b"]),
        "1.bias": object(),
    }
    with pytest.raises(ValueError) as caught:
        one.load_state_dict(state)
    for fault in (
        "missing 1.running_var", "unexpected 9.weight", "0.weight must have shape (4, 3), got (4, 4)",
        "head.bias must be float32, got <U1", "1.bias must have shape (4,), got ()",
    ):  # fmt: skip
        assert fault in str(caught.value)
    assert bits(one) == before


def test_names_are_free_without_strict(bits):
    one, two = model(0), model(1)
    before = bits(one)
    one.load_state_dict({"head.weight": two.state_dict()["head.weight"], "other": 1}, strict=False)
    changed = [a != b for a, b in zip(bits(one), before, strict=True)]
    assert sum(changed) == 1
    with pytest.raises(ValueError, match=re.escape("0.weight must have shape (4, 3), got (2,)")):
        one.load_state_dict({"0.weight": np.ones(2)}, strict=False)


def test_counts_of_batches_are_passed_over(bits):
    one, two = model(0), model(1)
    one.load_state_dict({**two.state_dict(), "1.num_batches_tracked": np.array(7)})
    assert bits(one) == bits(two)


def test_a_model_loads_views_of_its_own_arrays():
    dense = nn.Dense(2, 2, rng=0)
    weight = dense.parameters["weight"]
    before = weight.copy()
    dense.load_state_dict({"weight": weight.T, "bias": weight[0]})
    assert np.array_equal(weight, before.T)
    assert np.array_equal(dense.parameters["bias"], before[0])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_files(tmp_path, bits, suffix, kind):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    one, two, path = model(0, kind), model(1, kind), tmp_path / f"model{suffix}"
    two(np.random.default_rng(0).standard_normal((5, 3)).astype(kind), training=True)  # running statistics
    two.save(path)
    one.load(str(path))
    assert bits(one) == bits(two)
    two.save(path)  # over what is there
    assert os.listdir(tmp_path) == [path.name]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    with pytest.raises(ValueError, match=r"missing 1\.bias; .*missing bias|missing bias|unexpected"):
        nn.Dense(3, 4).load(path)


def test_npz_files_are_those_of_numpy(tmp_path):
    one = model()
    one.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        assert sorted(archive) == sorted(one.state_dict())
        assert all(np.array_equal(archive[name], value) for name, value in one.state_dict().items())


def test_any_name_can_be_saved(tmp_path):
    layer = nn.Layer()
    layer.parameters["file"] = np.ones(2)
    layer.save(tmp_path / "a.npz")
    layer.parameters["file"][...] = 0
    layer.load(tmp_path / "a.npz")
    assert layer.parameters["file"].all()


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch, bits):
    one, path = model(0), tmp_path / "model.npz"
    one.save(path)

    def fails(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(np.lib.format, "write_array", fails)
    with pytest.raises(OSError, match="no space left"):
        model(1).save(path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["model.npz"]
    two = model(1)
    two.load(path)
    assert bits(two) == bits(one)


def test_a_broken_file_changes_nothing(tmp_path, bits):
    one = model()
    before = bits(one)
    path = tmp_path / "model.npz"
    one.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="must hold arrays as save writes them"):
        one.load(path)
    assert bits(one) == before


def test_damage_anywhere_is_a_value_error(tmp_path):
    one, path = nn.Dense(3, 2), tmp_path / "model.npz"
    np.savez_compressed(path, **one.state_dict())
    whole = path.read_bytes()
    for place in range(len(whole)):
        for value in (whole[place] ^ 1, whole[place] ^ 0x7F, 99):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                one.load(path)
            except ValueError as error:
                assert str(path) in str(error) or "the state does not fit" in str(error)  # noqa: PT017
    with pytest.raises(FileNotFoundError):
        one.load(tmp_path / "none.npz")


@pytest.mark.parametrize("shape", [f"({2**62},)", f"({10**15},)", "(2, 3"])
def test_a_forged_header_is_a_value_error(tmp_path, shape):
    path = tmp_path / "model.npz"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24))
    with pytest.raises(ValueError, match="must hold arrays as save writes them"):
        nn.Dense(3, 2).load(path)


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.npz or \.safetensors, got model\.pt"):
        model().save(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"path must end in"):
        model().load(tmp_path / "model")
