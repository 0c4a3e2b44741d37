"""What PyTorch means by its texts: the text, one sentence, the usual causes, and what to do.

The keys are those of `reading/trace/ending.py`. The page `docs/error-texts.md` is made of this table
(`python tools/make_error_texts.py`), and what the tool shows of each is tested by `tests/texts`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """One text.

    Attributes:
        text: how PyTorch says it, with `…` for what differs.
        means: one sentence.
        causes: the usual ones, as clauses with a semicolon between.
        remedy: what to do.
    """

    text: str
    means: str
    causes: str
    remedy: str


MEANINGS: dict[str, Meaning] = {
    "leaf written": Meaning(
        "a leaf Variable that requires grad is being used in an in-place operation.",
        "The value of a leaf is what its gradient is about, so autograd lets no call change it.",
        "a hand-written update of a weight; data that was made to require grad and then normalised in place",
        "Put the update under `torch.no_grad()`, or write out of place under another name.",
    ),
    "view of leaf written": Meaning(
        "a view of a leaf Variable that requires grad is being used in an in-place operation.",
        "A write to the view would be a write to the leaf.",
        "an initialisation such as `layer.bias[0] = 1`; a table written into slices of a parameter",
        "Put the write under `torch.no_grad()`.",
    ),
    "dirty leaf": Meaning(
        "a leaf Variable that requires grad has been used in an in-place operation.",
        "A custom function has written to a leaf and marked it dirty.",
        "an in-place custom function that is called on a parameter or an input that requires grad",
        "Call it on a result of the leaf, or under `torch.no_grad()`.",
    ),
    "element by element": Meaning(
        "Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.",
        "Autograd can't record what a Python function does to each element.",
        "`apply_`, `map_` on a weight or a result",
        "Use PyTorch's own functions; for a leaf, put it under `torch.no_grad()` and write the result with `copy_`.",
    ),
    "gradient assigned": Meaning(
        "attempting to assign a gradient …",
        "A gradient has the shape, dtype and device of its tensor.",
        "gradients made in another precision; gradients of another model; a sum that was not taken back to the shape",
        "Bring it to the shape and dtype of the tensor first.",
    ),
    "data dtype": Meaning(
        "data set to a tensor that requires gradients must be floating point or complex dtype",
        "The gradient of the tensor has its dtype, and integers have none.",
        "quantising a parameter through `.data`",
        "Keep the dtype, or make a new tensor that requires no grad.",
    ),
    "data type": Meaning(
        "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have incompatible tensor type.",
        "A tensor can't change its layout or device by `.data`.",
        "`.data` set to a sparse tensor, or to one on another device",
        "Take `.to_dense()`, or make a new parameter.",
    ),
    "resized": Meaning(
        "cannot resize variables that require grad",
        "Its gradient would have the old size.",
        "`resize_` on a buffer that was given `requires_grad`",
        "Make a new tensor of the new size and copy the values.",
    ),
    "out requires grad": Meaning(
        "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
        "requires grad.",
        "What is written by `out=` is not recorded.",
        "a buffer that is used again to save memory in training code",
        "Leave `out=` away, or put the call under `torch.no_grad()`.",
    ),
    "flag of result": Meaning(
        "you can only change requires_grad flags of leaf variables.",
        "A result requires grad because what it was computed from does.",
        "`h.requires_grad_(False)` to stop a gradient",
        "Use `h.detach()`.",
    ),
    "integer gradient": Meaning(
        "Only Tensors of floating point and complex dtype can require gradients",
        "Integers and booleans have no derivative.",
        "images as bytes; indices as an `nn.Parameter`",
        "Convert with `.float()` first; what is not trained is a buffer, or `nn.Parameter(t, requires_grad=False)`.",
    ),
    "detached view": Meaning(
        "Can't detach views in-place. Use detach() instead.",
        "A view has the history of its base, which can't be cut in one part.",
        "`detach_()` on a slice, or on a gradient that DDP keeps in a bucket",
        "Write `detach()`, without the underscore.",
    ),
    "node deleted": Meaning(
        "Deletion of _grad_fn not allowed. Detach tensor instead!",
        "The `grad_fn` belongs to the graph.",
        "`del t._grad_fn` to free memory",
        "Use `t.detach()`.",
    ),
    "kept by non-leaf": Meaning(
        "post accumulate grad hooks cannot be registered on non-leaf tensors",
        "Only a leaf accumulates a gradient.",
        "the hook put on a result, or on a weight that was moved or scaled after it was made",
        "Use `register_hook`, or put it on the parameter itself.",
    ),
    "nothing to keep": Meaning(
        "can't retain_grad on Tensor that has requires_grad=False",
        "The tensor has no gradient path, so there is no gradient to keep.",
        "its inputs do not require grad; it was computed under `no_grad`, or detached",
        "Let what it is computed from require grad, `requires_grad_()`, and compute it where autograd records.",
    ),
    "nothing to hook": Meaning(
        "cannot register a hook on a tensor that doesn't require gradient",
        "The tensor has no gradient path, so the hook would never run.",
        "a backbone under `no_grad`; frozen parameters; a detached tensor",
        "Let what it is computed from require grad, and compute it where autograd records.",
    ),
    "non-leaf optimized": Meaning(
        "can't optimize a non-leaf Tensor",
        "A result has a graph behind it: the optimizer would change it, and the next forward computes it anew.",
        "`torch.randn(3, requires_grad=True) * 0.1`; `.to(device)` after `requires_grad=True`",
        "Compute the start value first and call `requires_grad_()` on it last.",
    ),
    "no parameters": Meaning(
        "optimizer got an empty parameter list",
        "The module has registered no parameter.",
        "layers in a plain list or dict; a filter for `requires_grad` over a frozen model; a generator used up before",
        "Use `nn.ModuleList`, `nn.ModuleDict` or `nn.ParameterList`, and let what is to be trained require grad.",
    ),
    "tensor for parameter": Meaning(
        "cannot assign 'torch.FloatTensor' as parameter '…' (torch.nn.Parameter or None expected)",
        "A name that a module has registered can only get a parameter.",
        "`layer.weight = layer.weight * 0.5`; weights from a hypernetwork",
        "Write into it under `torch.no_grad()` (`copy_`), or use `torch.func.functional_call` with computed weights.",
    ),
    "parameter twice": Meaning(
        "some parameters appear in more than one parameter group",
        "Each step would move it twice.",
        "tied weights; a part of a model listed beside the whole",
        "Put each parameter into one group only.",
    ),
    "not a scalar": Meaning(
        "grad can be implicitly created only for scalar outputs",
        "By itself backward begins at one number only, whose gradient is 1.",
        'a loss with `reduction="none"`; the model\'s output in place of the loss',
        "Reduce it with `.mean()` or `.sum()`, or pass a gradient of its shape.",
    ),
    "not real": Meaning(
        "grad can be implicitly created only for real scalar outputs but got torch.complex64",
        "By itself backward begins at one real number only.",
        "a loss computed from a Fourier transform",
        "Take `.abs()` or `.real`, or pass a gradient.",
    ),
    "begun otherwise": Meaning(
        "Mismatch in shape: grad_output[0] has a shape of … and output[0] has a shape of …",
        "The gradient to begin with has the shape of what it is the gradient of.",
        "`torch.ones(n)` for an output of shape `[n, 1]`",
        "Use `torch.ones_like(output)`.",
    ),
    "no path": Meaning(
        "element 0 of tensors does not require grad and does not have a grad_fn",
        "No gradient path leads from the loss to anything that requires grad.",
        "`no_grad` around the forward, or gradients switched off before; `detach()`, `.data`, `.item()`, numpy on the "
        "way; `argmax` or a comparison; a frozen model; a loss wrapped by `torch.tensor(...)`",
        "Look for the first of these on the way to the loss and take it out.",
    ),
    "unused": Meaning(
        "One of the differentiated Tensors appears to not have been used in the graph.",
        "There is no path from what was differentiated to that tensor.",
        "a slice or copy was used in its place; its name was given to another tensor; it is not part of the loss",
        "Ask for the gradient of the very tensor that went in; with `allow_unused=True` it is `None`.",
    ),
    "asked of plain": Meaning(
        "One of the differentiated Tensors does not require grad",
        "Only what required grad before the forward has a gradient path.",
        "`torch.autograd.grad(loss, x)` for an input that was not made to require grad",
        "Call `requires_grad_()` on it before anything is computed from it.",
    ),
    "freed": Meaning(
        "Trying to backward through the graph a second time",
        "The first backward frees what the graph has saved, unless it is told to keep it.",
        "two losses with a common part; a state carried over from the step before; a tensor made once before the loop",
        "Add the losses and go backward once, `.detach()` what is carried over, or give the first `retain_graph=True`.",
    ),
    "stale": Meaning(
        "one of the variables needed for gradient computation has been modified by an inplace operation",
        "A tensor that backward needs was changed after it was saved.",
        "`+=` or `relu_` on a result that its function keeps; an optimizer's step between forward and backward",
        "Write out of place, change a clone, or go backward first.",
    ),
    "saved detached": Meaning(
        "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_()",
        "The save has lost the graph that it belongs to.",
        "`state.detach_()` before the backward of the step",
        "Write `detach()`, or do it after backward.",
    ),
    "slope": Meaning(
        "In-place leakyReLu backward calculation is triggered with a negative slope which is not supported.",
        "From the result alone it can't be told which side of zero the input was on.",
        "`leaky_relu(x, -0.1, inplace=True)`",
        "Use `inplace=False`.",
    ),
    "no formula": Meaning(
        "the derivative for '…' is not implemented.",
        "A function on the path has no derivative in PyTorch.",
        "special functions (`igamma`, `zeta`) by their first argument",
        "Use another function, or `detach()` that argument.",
    ),
    "function without path": Meaning(
        "Output 0 of the user-provided function does not require gradients.",
        "The function's result has no path to its input.",
        "`detach()`, numpy or a comparison inside the function",
        "Compute it from the input in differentiable functions.",
    ),
    "nothing to reduce": Meaning(
        "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient.",
        "There is no gradient to average.",
        "a frozen model, or one without parameters",
        "Call `requires_grad_()` on what is to be trained, or use the module itself.",
    ),
    "not reduced": Meaning(
        "Expected to have finished reduction in the prior iteration before starting a new one.",
        "Some parameters of the module got no gradient in the iteration before, and DDP waits for them.",
        "a branch that is not used in every step; an output that is not part of the loss",
        "Use every parameter in the loss, or give `DistributedDataParallel` `find_unused_parameters=True`.",
    ),
    "ready twice": Meaning(
        "Expected to mark a variable ready only once.",
        "A parameter got its gradient twice in one backward, which DDP does not expect.",
        "a reentrant checkpoint around a layer that is used twice; shared weights with `find_unused_parameters=True`",
        "Use `checkpoint(..., use_reentrant=False)`, or `static_graph=True`.",
    ),
    "no inputs": Meaning(
        "`inputs` argument to `backward()` cannot be empty.",
        "Backward was told to go to no tensor at all.",
        "a filtered list of parameters of which none is left",
        "Give it the tensors that are to get a gradient, or leave `inputs` away.",
    ),
    "nan": Meaning(
        "Function '…' returned nan values in its 0th output.",
        "The derivative of that function is not finite where it was computed (anomaly mode looks for that).",
        "`sqrt`, `log` or a norm at zero, masked afterwards; `0 * inf`",
        "Keep the argument away from that point before the function: `clamp_min`, `torch.where` on the input.",
    ),
    "no inf checks": Meaning(
        "No inf checks were recorded for this optimizer.",
        "The scaler found no gradient in any of the optimizer's parameters.",
        "the loss does not depend on them; `backward` ran on another loss; they are frozen",
        "Use what the optimizer has in the loss that is scaled.",
    ),
    "no gradient": Meaning(
        "'NoneType' object has no attribute 'zero_' (and the like)",
        "Where this is about a gradient, it is `None`: no backward has reached the tensor.",
        "backward has not run yet; the tensor is not part of the loss, or is no leaf; `zero_grad()` has set it to "
        "`None`; the name now stands for a result",
        "Look whether it is a leaf that the loss depends on; skip what has no gradient.",
    ),
    "numpy": Meaning(
        "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        "Autograd would not see what is done with the array.",
        "plotting, or a metric of another library",
        "For what needs no gradient use `.detach()`; what the loss needs is computed with PyTorch's own functions.",
    ),
    "dlpack": Meaning(
        "Can't export tensors that require gradient, use tensor.detach()",
        "Autograd would not see what is done with the bytes.",
        "a tensor handed to CuPy, JAX or numpy",
        "Hand out `.detach()`.",
    ),
    "copied": Meaning(
        "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.",
        "A result can't be copied with its graph.",
        "a module that keeps an output as an attribute; `copy.deepcopy` of losses or states",
        "Keep `.detach()` of it, or copy a `state_dict()`.",
    ),
    "serialized": Meaning(
        "Cowardly refusing to serialize non-leaf tensor which requires_grad",
        "The graph can't be sent to another process.",
        "a result put into a queue, or given out by a DataLoader's worker",
        "Send `.detach()`.",
    ),
    "inference saved": Meaning(
        "Inference tensors cannot be saved for backward.",
        "What was made under `inference_mode` has no version counter, so autograd can't save it.",
        "features or a model made under `inference_mode` and used in training",
        "Make it under `torch.no_grad()`, or clone it outside of `inference_mode`.",
    ),
    "inference version": Meaning(
        "Inference tensors do not track version counter.",
        "What was made under `inference_mode` has no version counter.",
        "reading `_version`, or a library that does",
        "Make it outside of `inference_mode`, or clone it there.",
    ),
    "inference written": Meaning(
        "Inplace update to inference tensor outside InferenceMode is not allowed.",
        "What was made under `inference_mode` can't be tracked afterwards.",
        "a score or cache of an evaluation that is updated in training",
        "Clone it outside of `inference_mode`, or make it under `torch.no_grad()`.",
    ),
    "inference flag": Meaning(
        "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.",
        "What was made under `inference_mode` can't be tracked afterwards.",
        "a start value computed in an evaluation",
        "Clone it outside of `inference_mode` first: `x.clone().requires_grad_()`.",
    ),
    "inference view": Meaning(
        "A view was created in inference mode and is being modified inplace in normal mode.",
        "The view has no history that the write could go into.",
        "a slice taken under `inference_mode`",
        "Take the view outside of `inference_mode`, or write to a clone.",
    ),
    "view strides": Meaning(
        "view size is not compatible with input tensor's size and stride",
        "A view has the same bytes: elements that are to be one dimension must lie at equal distances.",
        "`.view` after `permute`, `transpose` or `.t()`; a slice of columns",
        "Write `.reshape(...)`, or `.contiguous().view(...)`.",
    ),
    "view size": Meaning(
        "shape '…' is invalid for input of size …",
        "A view has the same elements: their number can't change.",
        "a batch that is smaller than thought; another input size than the linear layer was made for",
        "Let one size be `-1`, and check the others against the shape.",
    ),
    "not resizable": Meaning(
        "Trying to resize storage that is not resizable",
        "The memory is another library's, and can't grow.",
        "`resize_` on a tensor from `torch.from_numpy`; a batch collated in shared memory",
        "Work on a copy: `torch.tensor(array)`, or `.clone()`.",
    ),
    "outside storage": Meaning(
        "setStorage: sizes …, strides … requiring a storage size of … are out of bounds for storage of size …",
        "The view would reach bytes behind the end.",
        "`as_strided` with too many windows",
        "Ask for fewer elements; for sliding windows use `.unfold(...)`.",
    ),
    "custom view": Meaning(
        "Output 0 of … is a view and is being modified inplace. This view was created inside a custom Function",
        "The write would put another backward in the place of the function's own.",
        "an activation with `inplace=True` behind a custom function that gives out its input, or in a module with a "
        "full backward hook",
        "Use `inplace=False`, or write to a clone.",
    ),
    "several views": Meaning(
        "Output 0 of … is a view and is being modified inplace. This view is the output of a function that returns "
        "multiple views.",
        "Autograd can't say how such a write changes the tensor behind the views.",
        "`for row in x: row.sub_(...)`; `a, b = x.chunk(2); a += 1`",
        "Index the tensor itself (`x[i]`), or write out of place and stack the pieces.",
    ),
    "no-grad view": Meaning(
        "A view was created in no_grad mode and is being modified inplace with grad mode enabled.",
        "The view has no history that the write could go into.",
        "a slice taken under `no_grad` and written outside",
        "Do both under `no_grad`, or both outside.",
    ),
    "overlaps itself": Meaning(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location.",
        "Several elements of the target are the same bytes.",
        "an in-place call on what `expand` or `broadcast_to` gave out",
        "Write to a copy: `.clone()` it first.",
    ),
    "overlaps input": Meaning(
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
        "location.",
        "The call would read what it has overwritten already.",
        "`x[1:] = x[:-1]`; a running sum in place",
        "Clone what is read: `x[1:] = x[:-1].clone()`.",
    ),
    "broadcast": Meaning(
        "output with shape … doesn't match the broadcast shape …",
        "The result is larger than its target, and an in-place call can't change the shape of its target.",
        "`total += batch` where the batch has one more dimension",
        "Reduce the other side first, or write out of place.",
    ),
    "sizes": Meaning(
        "The size of tensor a (…) must match the size of tensor b (…) at non-singleton dimension …",
        "The shapes can't be brought to a common one.",
        "a last batch that is smaller; a missing dimension",
        "Bring both to one shape first.",
    ),
    "expanded": Meaning(
        "The expanded size of the tensor (…) must match the existing size (…) at non-singleton dimension ….",
        "What is written can't be expanded to what it is written to.",
        "a slice that is longer or shorter than what is assigned to it",
        "Bring both to one shape first.",
    ),
    "indexed": Meaning(
        "shape mismatch: value tensor of shape … cannot be broadcast to indexing result of shape …",
        "The mask or index selects another number of elements than are assigned.",
        "values for all rows assigned to the masked ones",
        "Index the values by the same mask.",
    ),
    "cast": Meaning(
        "result type … can't be cast to the desired output type …",
        "An in-place call can't change the dtype of its target, and the result does not fit into it.",
        "counts divided in place; a boolean mask that is added to",
        "Write out of place, or convert the target first.",
    ),
    "put dtypes": Meaning(
        "Index put requires the source and destination dtypes match, got … for the destination and … for the source.",
        "An assignment by index casts nothing.",
        "values computed under autocast, put into a float32 buffer",
        "Cast what is written: `.to(target.dtype)`.",
    ),
    "same dtype": Meaning(
        "index_add_(): self (…) and source (…) must have the same scalar type",
        "Scatters and adds by index cast nothing.",
        "values computed under autocast, or in float64",
        "Cast what is written: `.to(target.dtype)`.",
    ),
    "more elements": Meaning(
        "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in "
        "extra_args that has more elements than `self`.",
        "Under `vmap` what is written stands for many tensors, and its target for one.",
        "a buffer made inside the function that is mapped, and filled in place",
        "Write out of place, or make the buffer from the argument: `x.new_zeros(...)`, `torch.zeros_like(x)`.",
    ),
    "found dtype": Meaning(
        "Found dtype … but expected …",
        "A gradient has another dtype than what it is the gradient of.",
        "targets that come from numpy as float64",
        "Bring both to one dtype before the loss: `.float()`.",
    ),
}


def meaning_of(what: str) -> Meaning | None:
    """What a text means; None for one that is explained by the kind that it leads to alone."""
    return MEANINGS.get("not reduced" if what == "unreduced" else what)  # the same text, with numbers of parameters
