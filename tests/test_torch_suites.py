"""PyTorch's own collections of modules, optimizers and custom functions behave the same when they are recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.test_transparent import differences, tensors_in

MOST = 2  # inputs of one module or optimizer

Program = tuple[str, Callable[[], Any]]


def modules() -> Iterator[Program]:
    """Every module that PyTorch keeps inputs for: forward, backward, buffers."""
    from torch.testing._internal.common_modules import module_db

    for info in module_db:
        if torch.float32 not in info.dtypes:
            continue
        for number in range(min(MOST, len(_module_inputs(info)))):
            yield f"module {info.name} {number}", lambda info=info, number=number: _run_module(info, number)


def _module_inputs(info: Any) -> list[Any]:
    torch.manual_seed(1)
    return list(info.module_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=True, training=True))


def _run_module(info: Any, number: int) -> Any:
    given = _module_inputs(info)[number]
    module = info.module_cls(*given.constructor_input.args, **given.constructor_input.kwargs).train()
    if given.forward_input is None:
        return list(module.parameters())
    found = module(*given.forward_input.args, **given.forward_input.kwargs)
    outputs = [tensor for tensor in tensors_in(found) if tensor.requires_grad]
    if outputs:
        torch.stack([tensor.abs().sum() for tensor in outputs]).sum().backward()
    return [found, [p.grad for p in module.parameters() if p.grad is not None], list(module.buffers())]


def optimizers() -> Iterator[Program]:
    """Every optimizer with some of its options: three steps."""
    from torch.testing._internal.common_optimizers import optim_db

    for info in optim_db:
        for number in range(min(MOST, len(info.optim_inputs_func(device="cpu")))):
            yield f"optimizer {info.name} {number}", lambda info=info, number=number: _run_optimizer(info, number)


def _run_optimizer(info: Any, number: int) -> Any:
    torch.manual_seed(1)
    options = dict(info.optim_inputs_func(device="cpu")[number].kwargs)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    params = [param for param in net.parameters() if param.ndim > 1 or info.optim_cls.__name__ != "Muon"]
    sparse = info.optim_cls.__name__ == "SparseAdam"
    optimizer = info.optim_cls(params, **options)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(torch.ones(2, 3)).pow(2).sum()
        loss.backward()
        for param in params if sparse else ():
            param.grad = None if param.grad is None else param.grad.to_sparse()
        return loss

    for _ in range(3):
        if info.step_requires_closure:
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values()]
    return [list(net.parameters()), [value for value in kept if isinstance(value, torch.Tensor)]]


def functions() -> Iterator[Program]:
    """PyTorch's samples of custom functions."""
    from torch.testing._internal.autograd_function_db import autograd_function_db

    for info in autograd_function_db:
        for number in range(len(_samples(info))):
            yield f"function {info.name} {number}", lambda info=info, number=number: _run_function(info, number)


def _samples(info: Any) -> list[Any]:
    torch.manual_seed(1)
    return list(info.sample_inputs("cpu", torch.float32, requires_grad=True))


def _run_function(info: Any, number: int) -> Any:
    sample = _samples(info)[number]
    found = info.op(sample.input, *sample.args, **sample.kwargs)
    outputs = [tensor for tensor in tensors_in(found) if tensor.requires_grad]
    leaves = [tensor for tensor in tensors_in([sample.input, list(sample.args)]) if tensor.requires_grad]
    gradients: Any = ()
    if outputs and leaves:
        gradients = torch.autograd.grad([tensor.abs().sum() for tensor in outputs], leaves, allow_unused=True)
    return [found, [gradient for gradient in gradients if gradient is not None]]


def wrong_of(programs: Iterator[Program], least: int) -> list[tuple[str, list[str]]]:
    """The programs that differ when recorded; there have to be at least so many programs."""
    ran, wrong = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, run in programs:
            ran += 1
            found = differences(run)
            if found:
                wrong.append((name, found))
    assert ran >= least
    return wrong


def test_modules_do_the_same() -> None:
    """Outputs, gradients, buffers and random state of modules are equal."""
    assert wrong_of(modules(), 100) == []


def test_optimizers_do_the_same() -> None:
    """Parameters and state after three steps are equal, whether a step is recorded as one call or call by call."""
    assert wrong_of(optimizers(), 20) == []


def test_custom_functions_do_the_same() -> None:
    """Results and gradients of custom functions are equal."""
    assert wrong_of(functions(), 5) == []
