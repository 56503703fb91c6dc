"""The device `pretend`: the CPU's numbers under another device name, with CUDA's rules.

Its tensors mix with CPU tensors only where CUDA's would, have real autograd, and are computed by
the CPU's kernels, so that results equal the CPU's to the last bit. `pretend_counts.counting` counts
synchronisations, copies from the host and launches by line of invspec.

Not covered: bfloat16 autocast, branches on the device name "cuda", the numerics of a GPU, and fused
or multi-tensor kernels: an operation below autograd counts as one launch.

torch has no public way to make a back end in Python. `_setup_privateuseone_for_python_backend` is
private and may change with any release, so pyproject.toml pins torch for development, and
test_device.py fails first if it is gone. It makes three registrations, which would then be written
here: a back-end module under torch, hooks, and a device guard. They last for the life of a process,
so only the child process of `pretend_process` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pretend_rules as rules
import torch
from pretend_counts import note
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

NAME = "pretend"
aten = torch.ops.aten
# Factories that torch would make of an empty tensor and a resize.
FACTORIES = (
    "arange",
    "arange.start",
    "arange.start_step",
    "eye",
    "eye.m",
    "linspace",
    "randperm",
    "randperm.generator",
    "tril_indices",
    "triu_indices",
)
# kernels last as long as the library that they were added to
_libraries: list[torch.library.Library] = []


class PretendTensor(Tensor):
    """A tensor on the device; held is the CPU tensor with its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> PretendTensor:
        tensor = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        tensor.held = held
        return tensor

    # operations need nothing of the subclass before they reach __torch_dispatch__
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return _operate(func, args, kwargs or {})

    def tolist(self) -> Any:
        """torch's own refuses subclasses."""
        return self.cpu().tolist()

    def __repr__(self, **options: Any) -> str:
        return f"{NAME}({self.held!r})"

    def __format__(self, spec: str) -> str:
        return format(self.cpu(), spec)


class BackendModule:
    """What torch asks of `torch.pretend`: one device, always ready, without numbers of its own."""

    def is_available(self) -> bool:
        """Whether there is such a device."""
        return True

    def is_initialized(self) -> bool:
        """Whether it can be used at once."""
        return True

    def device_count(self) -> int:
        """Number of devices."""
        return 1

    def current_device(self) -> int:
        """Index of the device in use."""
        return 0

    def manual_seed_all(self, seed: int) -> None:
        """Seed nothing: draws come from the CPU's generator."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Asked by every autocast, even if disabled; none is implemented."""
        return [torch.bfloat16]


def register() -> None:
    """Add the device to this process, for good."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, BackendModule())
    # Module.to would otherwise make new parameters, and so untie tied weights
    torch.__future__.set_swap_module_params_on_conversion(True)
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)
    for name in (*FACTORIES, "empty.memory_format", "empty_strided"):
        library.impl(name, _factory(name), "PrivateUse1")
    library.impl("_copy_from", _copy_from, "PrivateUse1")


def _factory(name: str) -> Callable[..., Tensor]:
    """The kernel of a function that makes a tensor of numbers alone."""
    packet, _, overload = name.partition(".")
    func = getattr(getattr(aten, packet), overload or "default")

    def kernel(*args: Any, **options: Any) -> Tensor:
        rules.check_generator(options.get("generator"))
        if not packet.startswith("empty"):
            note("launch")
        return PretendTensor(func(*args, **{**options, "device": torch.device("cpu")}))

    return kernel


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """torch.tensor(numbers, device=...) ends here, without __torch_dispatch__."""
    _note_copy(target, source)
    _held(target).copy_(_held(source))
    return target


def _operate(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers that its tensors hold."""
    tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    rules.check_mix(func, args, tensors)
    rules.check_generator(kwargs.get("generator"))
    _note(func, args, kwargs)
    result = _run(func, args, kwargs)
    if func.overloadpacket is aten.copy_:
        return args[0]  # on either side
    if not _is_device(kwargs.get("device")):
        return result
    given = {id(x.held): x for x in tensors if isinstance(x, PretendTensor)}
    return pytree.tree_map_only(Tensor, lambda held: _wrapped(func, held, given), result)


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operation's result on the CPU."""
    held_args, options = pytree.tree_map(_held, (args, kwargs))
    if kwargs.get("device") is not None:
        options["device"] = torch.device("cpu")
    result = func(*held_args, **options)
    if torch.Tag.inplace_view in func.tags:
        # squeeze_ and such: the tensor that holds the numbers follows
        with torch._C._DisableTorchDispatch():
            func(*args, **kwargs)
    return result


def _wrapped(func: Any, held: Tensor, given: dict[int, PretendTensor]) -> PretendTensor:
    """A result on the device; an operation in place returns the tensor that it was given."""
    tensor = given.get(id(held))
    if tensor is None:
        return PretendTensor(held)
    if (tensor.shape, tensor.stride()) != (held.shape, held.stride()):
        raise NotImplementedError(f"{func} resizes a tensor on {NAME}")
    return tensor


def _note(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Count what the operation makes host and device do."""
    if func.overloadpacket is aten.copy_:
        _note_copy(args[0], args[1])
        return
    leaves = func.overloadpacket is aten._to_copy and not _is_device(kwargs.get("device"))
    note("sync", leaves or rules.waits(func, args))
    note("host_copy", rules.copied_indices(func, args))
    note("launch", not leaves and rules.launches(func))


def _note_copy(target: Tensor, source: Tensor) -> None:
    """Count a copy within the device or between host and device."""
    if target.device.type == "cpu":
        note("sync")
    elif source.device.type == "cpu":
        note("host_copy")
    else:
        note("launch")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, PretendTensor) else value


def _is_device(device: torch.device | str | None) -> bool:
    """Whether a result is on the device; without a word about it, it is."""
    return device is None or torch.device(device).type == NAME
