"""How the recorded code ended: which of PyTorch's refusals it was, where, and what was on that line.

NOTE [ Words of PyTorch's ]
What can be seen in the calls is never read from a text. Some refusals leave nothing else: autograd's engine looks at
what a custom function's backward gave out, which no call shows. They are known by the part of their text that has
stood for years; where a version says it otherwise, what was on the line is told, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from inplace.facts.model import Call, Failure, TensorState
from inplace.reading.trace.place import Place

_TEXTS: tuple[tuple[str, str], ...] = (
    # What custom functions give out, keep and mark (`torch/csrc/autograd/custom_function.cpp`, `engine.cpp`).
    ("gradient count", r"unction (\w+) returned an incorrect number of gradients \(expected (\d+), got (\d+)\)"),
    ("gradient shape", r"unction (\w+) returned an invalid gradient at index (\d+) - got (\[.*?\]) but .*?(\[.*?\])"),
    ("gradient type", r"unction (\w+) returned an invalid gradient at index (\d+) - (?!got \[)(.*)"),
    ("kept number", r"save_for_backward can only save variables, but argument (\d+) is of type (\S+)"),
    ("returned input", r"input that has been returned as-is as output is being saved for backward"),
    ("dirty not returned", r"elements marked as dirty during the forward method were not returned"),
    ("dirty view", r"modifies inplace an input that is a view of another Tensor"),
    ("dirty leaf", r"a leaf Variable that requires grad has been used in an in-place operation"),
    ("read twice", r"saved_tensors can only be accessed once"),
    ("once", r"marked with @once_differentiable"),
    ("legacy", r"Legacy autograd function with non-static forward"),
    ("tangent", r"inplace custom Function is not modifying the forward mode gradients inplace"),
    ("no setup", r"In order to use an autograd\.Function with functorch transforms"),
    # Hooks (`torch/csrc/autograd/python_hook.cpp`, `torch/utils/hooks.py`).
    ("hook count", r"Backward hook returned an invalid number of grad_input, got (\d+), but expected (\d+)"),
    ("hook type", r"expected Variable, but hook returned '(.*)'"),
    ("hook shape", r"hook '(.*)' has changed the (?:size|type|device) of value"),
    ("pack writes", r"saved tensor pack hook is modifying its input in place"),
    ("unpack type", r"unpack_hook expected to be a Tensor but got result of type"),
    # Checkpoints (`torch/utils/checkpoint.py`).
    ("recomputed otherwise", r"Recomputed values for the following tensors have different metadata"),
    ("recomputed otherwise", r"A different number of tensors was saved during the original forward"),
    ("unpacked twice", r"Unpack is being triggered for a tensor that was already unpacked once"),
    ("reentrant", r"use_reentrant=True, torch\.utils\.checkpoint is incompatible"),
    # Function transforms (`aten/src/ATen/functorch`, `torch/_functorch`).
    ("backward inside", r"backward\(\) called inside a functorch transform"),
    ("requires grad inside", r"You are attempting to call Tensor\.requires_grad_\(\)"),
    ("data inside", r"accessing `data` under vmap transform"),
    ("write outside", r"the function provided attempted to call in-place"),
    ("number inside", r"vmap: It looks like you're calling \.item\(\) on a Tensor"),
    ("more elements", r"vmap: inplace arithmetic\(self, \*extra_args\) is not possible"),
    # Leaves, gradients and flags (`torch/csrc/autograd/python_variable.cpp`, `VariableTypeUtils.h`).
    ("view of leaf written", r"a view of a leaf Variable that requires grad is being used in an in-place operation"),
    ("leaf written", r"a leaf Variable that requires grad is being used in an in-place operation"),
    ("element by element", r"Can't call (?:apply_|map_|map2_)\(\) on Variable that requires grad"),
    ("gradient assigned", r"assign(?:ed)? (?:a )?grad(?:ient)? (?:of size|with dtype|has data|has )"),
    ("data dtype", r"data set to a tensor that requires gradients must be floating point"),
    ("data type", r"have incompatible tensor type"),
    ("resized", r"cannot resize variables that require grad"),
    ("detached view", r"Can't detach views in-place"),
    ("node deleted", r"Deletion of _grad_fn not allowed"),
    ("flag of result", r"you can only change requires_grad flags of leaf variables"),
    ("integer gradient", r"[Oo]nly Tensors of floating point (?:and complex )?dtype can require gradients"),
    ("kept by non-leaf", r"post accumulate grad hooks cannot be registered on non-leaf tensors"),
    ("nothing to keep", r"can't retain_grad on Tensor that has requires_grad=False"),
    ("nothing to hook", r"cannot register a hook on a tensor that doesn't require gradient"),
    ("non-leaf optimized", r"can't optimize a non-leaf Tensor"),
    ("no parameters", r"optimizer got an empty parameter list"),
    ("unreduced", r"(?s)Expected to have finished reduction.*did not receive grad for rank \d+: ([\d ]+)"),
    ("tensor for parameter", r"cannot assign '.*' as parameter '(.*?)' \(torch\.nn\.Parameter or None expected\)"),
    ("parameter twice", r"some parameters appear in more than one parameter group"),
    # Where gradients are asked for.
    ("not a scalar", r"grad can be implicitly created only for scalar outputs"),
    ("not real", r"grad can be implicitly created only for real scalar outputs but got torch\.(\S+)"),
    ("begun otherwise", r"Mismatch in shape: grad_output\[\d+\] has a shape of torch\.Size\((\[.*?\])\)"),
    ("no path", r"does not require grad and does not have a grad_fn"),
    ("unused", r"appears to not have been used in the graph"),
    ("freed", r"Trying to backward through the graph a second time"),
    ("freed", r"Calling register_hooks on a saved tensor after it has been freed"),
    ("asked of plain", r"One of the differentiated Tensors does not require grad"),
    ("stale", r"modified by an inplace operation"),
    ("no formula", r"the derivative for '(.*)' is not implemented"),
    ("function without path", r"Output \d+ of the user-provided function does not require grad"),
    ("nothing to reduce", r"DistributedDataParallel is not needed when a module doesn't have any parameter"),
    ("not reduced", r"Expected to have finished reduction in the prior iteration"),
    ("ready twice", r"Expected to mark a variable ready only once"),
    ("no inputs", r"`inputs` argument to `backward\(\)` cannot be empty"),
    ("nan", r"returned nan values in its"),
    ("no inf checks", r"No inf checks were recorded for this optimizer"),
    ("no gradient", r"'NoneType'"),  # of a line that reads a gradient
    # What is not handed out.
    ("numpy", r"Can't call numpy\(\) on Tensor that requires grad"),
    ("dlpack", r"Can't export tensors that require gradient"),
    ("copied", r"explicitly by the user \(graph leaves\) support the deepcopy protocol"),
    ("serialized", r"Cowardly refusing to serialize non-leaf tensor"),
    # Inference mode.
    ("inference saved", r"Inference tensors cannot be saved for backward"),
    ("inference version", r"Inference tensors do not track version counter"),
    ("inference written", r"Inplace update to inference tensor outside InferenceMode"),
    ("inference flag", r"Setting requires_grad=True on inference tensor"),
    # Views and memory.
    ("view strides", r"view size is not compatible with input tensor's size and stride"),
    ("view size", r"shape '(\[.*?\])' is invalid for input of size (\d+)"),
    ("not resizable", r"Trying to resize storage that is not resizable"),
    ("outside storage", r"setStorage: sizes"),
    ("custom view", r"This view was created inside a custom Function"),
    ("several views", r"This view is the output of a function"),
    ("no-grad view", r"A view was created in no_grad mode"),
    ("inference view", r"A view was created in inference mode"),
    ("overlaps itself", r"more than one element of the written-to tensor"),
    ("overlaps input", r"some elements of the input tensor and the written-to tensor"),
    # Results that have no place where they are to go.
    ("broadcast", r"output with shape (\[.*?\]) doesn't match the broadcast shape (\[.*?\])"),
    ("sizes", r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)"),
    ("expanded", r"The expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)"),
    ("indexed", r"value tensor of shape (\[.*?\]) cannot be broadcast to indexing result of shape (\[.*?\])"),
    ("cast", r"result type (\w+) can't be cast to the desired output type (\w+)"),
    ("put dtypes", r"Index put requires the .* dtypes match, got (\w+) for the destination and (\w+)"),
    ("same dtype", r"self \((\w+)\) and source \((\w+)\) must have the same scalar type"),
    ("same dtype", r"Expected self\.dtype to be equal to src\.dtype"),
    ("found dtype", r"Found dtype (\w+) but expected (\w+)"),
    ("out requires grad", r"functions with out=\.\.\. arguments don't support automatic differentiation"),
    ("saved detached", r"saved tensor that has been detached in-place"),
    ("slope", r"In-place leakyReLu backward calculation is triggered with a negative slope"),
)  # fmt: skip
_PATTERNS = tuple((what, re.compile(pattern)) for what, pattern in _TEXTS)


@dataclass(frozen=True, slots=True)
class Ending:
    """The exception that ended the recorded code, on a line of the user's.

    Attributes:
        what: which refusal of PyTorch's it is; empty for another, or for words that we do not know.
        parts: the numbers, shapes and names that its text gives.
        failure: the exception.
        places: the innermost line, and the line of the recorded cell where that is another file.
        there: the tensors that the innermost line mentions, as they were then, under their names there.
        call: the recorded call that raised it.
        is_own: whether the line raises it itself (`raise`, `assert`), as against what it calls.
    """

    what: str
    parts: tuple[str, ...]
    failure: Failure
    places: tuple[Place, ...]
    there: tuple[tuple[str, TensorState], ...]
    call: Call | None
    is_own: bool

    @property
    def place(self) -> Place:
        """The innermost line."""
        return self.places[0]

    def first(self, test: Callable[[TensorState], bool]) -> tuple[str, TensorState] | None:
        """The first tensor of the line of which something is true, with its name there."""
        return next(((name, state) for name, state in self.there if test(state)), None)


def recognized(message: str) -> tuple[str, tuple[str, ...]]:
    """Which refusal of PyTorch's a text is, and what it says in particular; empty for any other."""
    for what, pattern in _PATTERNS:
        found = pattern.search(message)
        if found is not None:
            return what, tuple(part or "" for part in found.groups())
    return "", ()
