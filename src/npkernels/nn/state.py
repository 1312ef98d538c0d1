"""The arrays of a network by name, in memory and in files."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .layer import Array, Layer

IGNORED = "num_batches_tracked"  # PyTorch counts batches; no layer here needs their number


def own_arrays(model: Layer) -> dict[str, Array]:
    """The parameters and buffers themselves, by the names of layer and array."""
    return {
        f"{name}.{key}" if name else key: array
        for name, layer in model.everything()
        for key, array in (*layer.parameters.items(), *layer.buffers.items())
    }


def state_dict(model: Layer) -> dict[str, Array]:
    """Copies of all parameters and buffers."""
    return {name: array.copy() for name, array in own_arrays(model).items()}


def load_state_dict(model: Layer, mapping: Mapping[str, Any], strict: bool = True) -> None:
    """Writes all arrays, or none."""
    own = own_arrays(model)
    given = {name: value for name, value in mapping.items() if name.rpartition(".")[2] != IGNORED}
    faults = [f"missing {name}" for name in own if name not in given] if strict else []
    faults += [f"unexpected {name}" for name in given if name not in own] if strict else []
    new: dict[str, Array] = {}
    for name in own.keys() & given.keys():
        try:
            value = np.asarray(given[name])
        except Exception as error:  # whatever the conversion of a foreign object raises
            faults.append(f"{name} must be an array: {error}")
            continue
        if value.shape != own[name].shape:
            faults.append(f"{name} must have shape {own[name].shape}, got {value.shape}")
        elif not np.can_cast(value.dtype, own[name].dtype, "same_kind"):
            faults.append(f"{name} must be {own[name].dtype}, got {value.dtype}")
        else:
            new[name] = value.astype(own[name].dtype)  # a copy: the value may lie in an array that is written
    if faults:
        raise ValueError(f"the state does not fit the model: {'; '.join(sorted(faults))}")
    for name, value in new.items():
        own[name][...] = value


def _write_npz(path: Path, state: dict[str, Array]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in state.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read_npz(path: Path) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        state = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                state[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
        return state


def _write_safetensors(path: Path, state: dict[str, Array]) -> None:
    from safetensors.numpy import save_file

    save_file(state, path)


def _read_safetensors(path: Path) -> dict[str, Array]:
    from safetensors.numpy import load_file

    return dict(load_file(path))


FORMATS = {".npz": (_write_npz, _read_npz), ".safetensors": (_write_safetensors, _read_safetensors)}


def _format(path: Path) -> tuple[Callable[[Path, dict[str, Array]], None], Callable[[Path], dict[str, Array]]]:
    if path.suffix not in FORMATS:
        raise ValueError(f"path must end in {' or '.join(FORMATS)}, got {path.name}")
    return FORMATS[path.suffix]


def save(model: Layer, path: str | os.PathLike[str]) -> None:
    """Writes the state beside `path`, then gives it that name."""
    path = Path(path)
    write, _ = _format(path)
    handle, name = tempfile.mkstemp(suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        write(beside, own_arrays(model))
        with beside.open("rb+") as file:
            os.fsync(file.fileno())  # the name must not come before the bytes
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)  # what open() would have given; temporary files are private
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load(model: Layer, path: str | os.PathLike[str]) -> None:
    """`load_state_dict` of a file."""
    path = Path(path)
    _, read = _format(path)
    path.open("rb").close()  # a file that is not there, or not to be read, is no damaged one
    try:
        state = read(path)
    except ImportError:
        raise
    except Exception as error:  # damage shows in all that is decoded: archive, compression, header, sizes
        raise ValueError(f"{path} must hold arrays as save writes them: {error!r}") from error
    load_state_dict(model, state)
