"""The words of the widget, each as PyTorch means it, or said to be ours.

The page `docs/glossary.md` is made of this table (`python tools/make_glossary.py`), and the widget explains by it the
words of its sentences.
"""

from __future__ import annotations

GLOSSARY: dict[str, tuple[str, ...]] = {
    "leaf": (
        "A tensor without a `grad_fn`: no call that autograd recorded has computed it.",
        "Gradients are put into the `grad` of leaves that require grad.",
        "A parameter is a leaf, and so is data.",
    ),
    "version": (
        "How often a tensor was written by a counted call, from 0.",
        "A tensor and its views have one version between them, and so has what `detach()` gives out.",
        "What `.data` gives out has a version of its own.",
    ),
    "saved": (
        "What a node of the graph keeps for the backward pass, with the version that it had then.",
        "`backward()` compares the two versions, not the numbers.",
    ),
    "culprit": ("The line that did it (our word): mostly one that wrote.",),
    "victim": (
        "The line whose saved tensor was overwritten, or whose result is needed (our word).",
        "PyTorch's anomaly mode names this one.",
    ),
    "in place": (
        "A call that writes to a tensor that it was given.",
        "Mostly it has a trailing underscore; `x[0] = 1`, `+=`, `out=` and `inplace=True` have none.",
    ),
    "counted, recorded": (
        "A write is *counted* if it moves the version, and *recorded* if it becomes a node of the graph.",
        "Under `no_grad` and through `detach()` it is counted only.",
        "Through `.data`, numpy, shared memory and in running statistics it is neither.",
    ),
    "storage": (
        "The bytes behind one or more tensors.",
        "Two tensors over one storage need not have a byte in common.",
    ),
    "view": (
        "A tensor that looks into the storage of another one, which is its *base*.",
        "Slices, `t()`, `view`, `expand` and `unbind` give out views; an index that is a list or a mask does not.",
    ),
    "CopySlices": (
        "The node that a base gets when one of its views is written.",
        "It takes the old base, and puts the result of the write there.",
    ),
    "node": (
        "One step backward, found as `grad_fn` of a result.",
        "Its *edges* lead to the nodes of what the result was computed from.",
    ),
    "AccumulateGrad": ("The node at the end of a path, which adds a gradient to the `grad` of a leaf.",),
    "cut": (
        "Where data flow on and the gradient does not (our word).",
        "`detach()`, `.data`, `no_grad`, `item()` and an integer type are cuts.",
    ),
    "alias": ("One of several names or tensors that reach the same bytes.",),
    "proved, fits this recording": (
        "A change is *proved* where a replay with it was judged by gradients that agree with finite differences.",
        "It *fits this recording* where the conditions of its rule hold on what was recorded, and no replay was made.",
    ),
    "step": ("The position of a call in a recording, from 0; in the ledger of gradients, one call of an optimizer.",),
}
"""Each word, or words that are told apart together, and what is said of it, a sentence in each."""
