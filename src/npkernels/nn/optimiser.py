"""What all optimisers share: the state of the steps of every parameter of a network, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from .. import _arguments as check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from .layer import Layer

    Array: TypeAlias = NDArray[Any]

STEP = "step"


class Learned(NamedTuple):
    """A parameter that a step may change, its full name and its gradient."""

    name: str
    value: Array
    gradient: Array


def learned(model: Layer) -> Iterator[Learned]:
    """The parameters that are trainable, in the order of the layers."""
    for place, layer in model.everything():
        if layer.trainable:
            for name, value in layer.parameters.items():
                yield Learned(f"{place}.{name}" if place else name, value, layer.gradients[name])


class Optimiser:
    """What all optimisers share. One of your own names its `settings` and `slots`, and overrides `update`.

    Attributes
    ----------
    lr : float
        Length of the next step; may be set at any time.
    settings : tuple of str
        The attributes that `state_dict` holds next to the state of each parameter: the arguments of the class.
    slots : tuple of str
        The arrays of the shape of a parameter that belong to its state, zeros before its first step.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> class SignDescent(nn.Optimiser):
    ...     def update(self, value, gradient, slots, step):
    ...         value -= self.lr * np.sign(gradient)
    >>> layer = nn.Dense(1, 1, rng=0)
    >>> layer.parameters["weight"][...], layer.gradients["weight"][...] = 1, -3
    >>> SignDescent(0.5).step(layer)
    >>> layer.parameters["weight"]
    array([[1.5]], dtype=float32)
    """

    settings: ClassVar[tuple[str, ...]] = ("lr",)
    slots: tuple[str, ...] = ()

    def __init__(self, lr: float) -> None:
        self.lr = lr
        self._slots: dict[str, dict[str, Array]] = {}
        self._steps: dict[str, int] = {}

    @property
    def lr(self) -> float:
        """Length of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = check.number("lr", value, 0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.settings)})"

    def update(self, value: Array, gradient: Array, slots: dict[str, Array], step: int) -> None:
        """Changes a parameter, in place, as its gradient wants.

        Parameters
        ----------
        value, gradient : array
        slots : dict of str to array
            The state of this parameter; updated.
        step : int
            The number of this step of the parameter, from 1 on.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method update")

    def step(self, model: Layer) -> None:
        """One step of all trainable parameters.

        Parameters
        ----------
        model : Layer
            After its `backward`.

        Raises
        ------
        ValueError
            If the state of a parameter, from `load_state_dict` or another model, has another shape or dtype. No
            parameter is changed then.
        """
        parameters = list(learned(model))
        for name, value, _ in parameters:
            for slot, array in self._slots.get(name, {}).items():
                if array.shape != value.shape or array.dtype != value.dtype:
                    was, is_ = f"{array.dtype} {array.shape}", f"{value.dtype} {value.shape}"
                    raise ValueError(f"{slot} of {name} must be {is_} like the parameter, got {was}")
        for name, value, gradient in parameters:
            slots = self._slots.setdefault(name, {})
            for slot in self.slots:
                if slot not in slots:
                    slots[slot] = np.zeros_like(value)
            self._steps[name] = step = self._steps.get(name, 0) + 1
            self.update(value, gradient, slots, step)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on: settings by name, copies of arrays as "0.weight.velocity", and the
        number of steps of each parameter as "0.weight.step". `numpy.savez` takes it as keywords.

        Returns
        -------
        state : dict
        """
        state: dict[str, Any] = {name: getattr(self, name) for name in self.settings}
        for name, step in self._steps.items():
            state[f"{name}.{STEP}"] = step
            state.update({f"{name}.{slot}": array.copy() for slot, array in self._slots[name].items()})
        return state

    def load_state_dict(self, mapping: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave, to the bit.

        Parameters
        ----------
        mapping : mapping of str to number or array
            As `state_dict` gives it, or `numpy.load` of what was saved.

        Raises
        ------
        ValueError
            If names are missing or unexpected, all of which the message lists, or a value does not fit. Nothing is
            changed then.
        """
        names = set(mapping)
        places = {name.rpartition(".")[0] for name in names - set(self.settings) if "." in name}
        expected = {*self.settings}
        for place in places:
            expected |= {f"{place}.{slot}" for slot in (*self._slots_of(mapping), STEP)}
        if names != expected:
            missing, unexpected = sorted(expected - names), sorted(names - expected)
            raise ValueError(f"state of {type(self).__name__}: missing {missing}, unexpected {unexpected}")
        settings = {name: np.asarray(mapping[name]).item() for name in self.settings}
        steps = {place: check.integer(STEP, np.asarray(mapping[f"{place}.{STEP}"]).item(), 0) for place in places}
        slots = {
            place: {slot: check.real(slot, np.array(mapping[f"{place}.{slot}"])) for slot in self._slots_of(mapping)}
            for place in places
        }
        fresh = type(self)(**settings)  # its checks are ours
        vars(self).update(vars(fresh))
        self._steps, self._slots = steps, slots

    def _slots_of(self, mapping: Mapping[str, Any]) -> tuple[str, ...]:
        """The slots of an optimiser with the settings of `mapping`."""
        return self.slots
