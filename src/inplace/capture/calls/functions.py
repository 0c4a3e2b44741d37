"""What the functions that arrive at the mode are: their kind, and which arguments their schema says they change."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType, FunctionType
from typing import Any

import torch

from inplace.capture.code.tracebacks import HANDLE
from inplace.facts.collectives import is_collective, written_by
from inplace.facts.model import Function, Kind
from inplace.facts.pause import no_collection

Called = Callable[..., Any]

TO_PYTHON = frozenset({"item", "tolist", "__float__", "__int__", "__index__", "__complex__"})
EXPORTS = frozenset({"numpy", "__array__", "__dlpack__", "untyped_storage", "storage", "share_memory_", "data_ptr"})
# What gives out tensors whose memory is copied when somebody asks where it is (`c10/core/impl/COW.h`), as we do.
LAZY = frozenset({"_lazy_clone"})
_FUNCTIONAL = "torch.nn.functional."
_OPEN = "torch.functional"  # of which no function keeps an alias of an argument, either
_functional = vars(torch.nn.functional)
BACKWARD = frozenset({"torch.Tensor.backward", "torch.autograd.backward", "torch.autograd.grad"})

# Questions about a tensor, not operations on it. They arrive as calls all the same (FACTS.md), so pass them fast.
_QUESTIONS = [
    "__len__",
    "__repr__",
    "__str__",
    "__format__",
    "__hash__",
    "__dir__",
    "__dlpack_device__",
    "__reduce_ex__",
    "__contains__",
    "size",
    "dim",
    "ndimension",
    "numel",
    "nelement",
    "element_size",
    "stride",
    "storage_offset",
    "storage_type",
    "type_as_str",
    "is_complex",
    "is_floating_point",
    "is_signed",
    "is_conj",
    "is_neg",
    "is_contiguous",
    "is_pinned",
    "is_shared",
    "is_same_size",
    "is_set_to",
    "is_inference",
    "is_nonzero",
    "get_device",
    "has_names",
    "is_tensor",
    "is_storage",
    "is_distributed",
    "is_coalesced",
    "register_post_accumulate_grad_hook",
    "retain_grad",
    "_is_view",
    "_is_zerotensor",
    "_set_grad_enabled",
    "set_grad_enabled",
    "_record_function_enter_new",
    "_record_function_enter",
    "_record_function_exit",
    "_record_function_exit._RecordFunction",
    "result_type",
    "can_cast",
    "promote_types",
    "get_default_dtype",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "_has_compatible_shallow_copy_type",
    "_dimI",
    "_dimV",
    "_nnz",
    "sparse_dim",
    "dense_dim",
    "names",
    "is_vulkan_available",
    "_use_cudnn_ctc_loss",
    "cudnn_is_acceptable",
    "_debug_has_internal_overlap",
    "dim_order",
]
QUESTIONS = frozenset(_QUESTIONS)

# Arguments by keyword that a function written in Python drops when it hands itself over to a mode.
_DROPPED = {"dim_order": ("ambiguity_check",)}

# Getters that give out tensors over the same bytes, or that tell what the user expects to find (`grad`).
GETTERS = frozenset({"data", "grad", "T", "mT", "H", "mH", "real", "imag"})
SETTERS = frozenset({"data", "grad", "requires_grad", "real", "imag"})

# batch_norm and instance_norm change their running statistics without an alias annotation in the schema, and without
# moving `_version` (FACTS.md); position and keyword of the flag that decides, and the arguments that change then.
BUFFERS: dict[str, tuple[int, str, bool, tuple[str, ...]]] = {
    "torch.nn.functional.batch_norm": (5, "training", False, ("1", "2", "running_mean", "running_var")),
    "torch.batch_norm": (5, "training", False, ("3", "4", "running_mean", "running_var")),
    "torch.nn.functional.instance_norm": (5, "use_input_stats", True, ("1", "2", "running_mean", "running_var")),
}


# What the schema calls a change of the tensor, and changes none of its bytes nor its version.
_FLAGS = frozenset({"requires_grad_"})
# What has no schema, and writes by a Python function without moving `_version` (`torch/csrc/utils/tensor_apply.cpp`).
_APPLIED = frozenset({"apply_", "map_", "map2_"})

# Methods that have no schema of their name and change no argument; the operator that some of them are.
_COMPARES = {"__eq__": "eq", "__ne__": "ne"}
_CONVERTS = frozenset({"__bool__", "long", "int", "float", "double", "half", "bool", "short", "bfloat16"})

# Of a function with several names PyTorch's table has the last, which need not be the one that people write.
_USUAL = {"torch.spmm": "torch.mm"}

# It is wrapped in a change of the warning filters, after which Python shows again what it has shown once.
_resolve_name: Callable[[Any], str | None] = inspect.unwrap(torch.overrides.resolve_name)


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """What is true of a function whatever it is called with.

    `function` says what it does, `writing` what it does when a flag among its arguments makes it change one of them.
    One that is open is written in Python, and keeps no alias of an argument but in the graph. `aliases` says of which
    arguments a function may keep one that we aren't shown, or move the memory: 0 of none, 1 of the first, 2 of any.
    """

    name: str
    function: Function
    writing: Function
    is_question: bool
    is_pure: bool
    is_fresh: bool
    is_open: bool
    aliases: int
    varies: bool


def drops(label: str) -> bool:
    """Whether a function hands itself over to a mode without all its arguments."""
    return label in _DROPPED


def dropped(label: str, frame: FrameType) -> dict[str, Any]:
    """What a function of PyTorch's was called with and has not handed over in `frame`, which has called the mode."""
    caller = frame.f_back
    if frame.f_code is not HANDLE or caller is None:
        return {}
    return {name: caller.f_locals[name] for name in _DROPPED[label] if name in caller.f_locals}


@lru_cache(1)
@no_collection()
def prepare() -> None:
    """Have PyTorch make its table of names, which it makes once, and changes the warning filters meanwhile."""
    torch.overrides.resolve_name(torch.add)


def facts_of(func: Called) -> FunctionFacts:
    """The facts about a function. Those of PyTorch's own are looked up once in the life of a process."""
    may_die = isinstance(func, FunctionType) and func.__globals__ is not _functional
    return _read_facts(func) if may_die else _kept_facts(func)


@lru_cache(4096)
def _kept_facts(func: Called) -> FunctionFacts:
    return _read_facts(func)


def _read_facts(func: Called) -> FunctionFacts:
    name = name_of(func)
    function = describe(func, name, variant=False)
    varies = name in BUFFERS or isinstance(func, FunctionType)
    pure = function.kind is Kind.OP and not varies and is_pure(func, function.label)
    is_open = isinstance(func, FunctionType) and (name.startswith(_FUNCTIONAL) or func.__module__ == _OPEN)
    inplace = function.kind is Kind.OP and is_inplace(func, function.label)
    return FunctionFacts(
        name=name,
        function=function,
        writing=describe(func, name, variant=True),
        is_question=is_question(func),
        is_pure=pure,
        is_fresh=pure and is_fresh(function.label),
        is_open=is_open,
        aliases=0 if pure or is_open or function.kind is Kind.BACKWARD else 1 if inplace else 2,
        varies=varies,
    )


def is_getter(func: Called) -> bool:
    """Whether `func` reads an attribute (`Tensor.data.__get__`)."""
    return getattr(func, "__name__", "") == "__get__"


def attribute_of(func: Called) -> str:
    """The attribute that a getter or setter is about; empty for other functions."""
    return str(getattr(getattr(func, "__self__", None), "__name__", ""))


def is_question(func: Called) -> bool:
    """Whether `func` only asks about a tensor and can be passed without a record."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return attribute_of(func) not in GETTERS
    if name == "__set__":
        return attribute_of(func) not in SETTERS
    return name in QUESTIONS or name.startswith("_record_function")


def is_pure(func: Called, label: str) -> bool:
    """Whether `func` is built in and its schemas say that it changes no argument, unless it is given `out`.

    A function written in Python may do anything.
    """
    if label in _CONVERTS or label in _COMPARES:
        return getattr(func, "__objclass__", None) in torch.Tensor.__mro__
    return (
        _is_built_in(func)
        and bool(torch._C._jit_get_schemas_for_operator(f"aten::{label}"))
        and not _schema_writes(label)
    )


def _is_built_in(func: Called) -> bool:
    return callable(func) and not isinstance(func, FunctionType) and not hasattr(func, "__wrapped__")


def is_inplace(func: Called, label: str) -> bool:
    """Whether `func` is built in and its schemas say that it changes its first argument and no other."""
    return _is_built_in(func) and label.endswith("_") and set(_schema_writes(label)) == {"0", "self"}


def is_fresh(label: str) -> bool:
    """Whether `aten::label` gives out nothing but tensors that are no aliases, if it is given one and no `out`."""
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{_COMPARES.get(label, label)}")
    taking = [schema for schema in schemas if any("Tensor" in str(one.type) for one in schema.arguments)]
    given = [schema.returns for schema in taking if not any(arg.is_out for arg in schema.arguments)]
    # `aten::eq` compares lists of TorchScript too, which gives out a `bool`.
    tensors = [one for some in given if any("Tensor" in str(one.type) for one in some) for one in some]
    return bool(tensors) and all(str(one.type) == "Tensor" and one.alias_info is None for one in tensors)


def name_of(func: Called) -> str:
    """The name PyTorch exports `func` under, such as `torch.Tensor.add_`."""
    with contextlib.suppress(Exception):
        found = _resolve_name(func)
        if found:
            return _USUAL.get(found, str(found))
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", None) or type(func).__name__
    module = getattr(func, "__module__", None) or ""
    return f"{module}.{name}" if module else str(name)


def variant_of(name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """Whether this call of a function whose flags decide what it changes does change it (`training`, `inplace`)."""
    buffers = BUFFERS.get(name)
    if buffers is not None:
        position, keyword, default, _ = buffers
        return bool(args[position]) if len(args) > position else bool(kwargs.get(keyword, default))
    return kwargs.get("inplace") is True


def describe(func: Called, name: str, *, variant: bool) -> Function:
    """The plain facts about `func`; `variant` is what `variant_of` said of the call."""
    label = attribute_of(func) if name.endswith(("__get__", "__set__")) else name.rsplit(".", 1)[-1]
    return Function(
        name=name, label=label, kind=_kind_of(name, label), writes=_written_arguments(name, label, variant=variant)
    )


def _kind_of(name: str, label: str) -> Kind:
    if name.endswith("__get__"):
        return Kind.GETTER
    if name.endswith("__set__"):
        return Kind.SETTER
    if name in BACKWARD:
        return Kind.BACKWARD
    if label in TO_PYTHON:
        return Kind.TO_PYTHON
    return Kind.EXPORT if label in EXPORTS else Kind.OP


def _written_arguments(name: str, label: str, *, variant: bool) -> tuple[str, ...]:
    if is_collective(name):
        return written_by(name)
    if name in BUFFERS:
        return BUFFERS[name][3] if variant else ()
    if variant:
        return ("0", "input")
    if label in _FLAGS:
        return ()
    if (
        label in _APPLIED
        or label == "__setitem__"
        or (name.startswith("torch.Tensor.") and name.endswith("data.__set__"))
    ):
        return ("0",)
    return (*_schema_writes(label), "out")


# Saves of functions that call the one whose node they are, or whose schema calls its arguments otherwise.
_PATHS = {"self": "0", "other": "1", "mat1": "0", "mat2": "1", "input": "0", "weight": "1"}


@lru_cache(4096)
def path_of(label: str, saved: str) -> str | None:
    """The argument of a function that a save of this name was; None where that is not known.

    `tools/autograd/derivatives.yaml` names them as the schema does.
    """
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{label}"):
        for position, argument in enumerate(schema.arguments):
            if argument.name == saved and not argument.is_out:
                return str(position)
    return _PATHS.get(saved)


def is_counted(function: Function) -> bool:
    """Whether what a function changes moves the version counter; running statistics do not."""
    return function.name not in BUFFERS and function.label not in _APPLIED


def _schema_writes(label: str) -> tuple[str, ...]:
    """Arguments that some overload of `aten::label` marks as written, by position and by name.

    Arguments called `out` are given by keyword in Python, so their position says nothing.
    """
    found: dict[str, None] = {}
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{label}"):
        for position, argument in enumerate(schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write or argument.is_out:
                continue
            if "Tensor" not in str(argument.type):  # `aten::mul_` multiplies lists of TorchScript, too
                continue
            found[argument.name] = None
            if not argument.kwarg_only:
                found[str(position)] = None
    return tuple(found)
