"""Scripts of which PyTorch warns, and goes on."""

from __future__ import annotations

from tests.texts.script import Script

SCRIPTS = (
    Script(
        "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone()",
        "graph-detached",
        """
        model = nn.Linear(2, 1)
        opt = torch.optim.SGD(model.parameters(), 0.1)
        loss = torch.tensor(model(torch.ones(3, 2)).mean(), requires_grad=True)  # here
        loss.backward()
        opt.step()
        """,
        names="loss model",
        remedy="stack|result itself|cut out|torch.cat",
        raises=False,
    ),
    Script(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed.",
        "graph-detached",
        """
        w = torch.ones(2, requires_grad=True)
        h = w * 2
        h.sum().backward()
        print(h.grad)  # here
        """,
        names="h",
        remedy="retain_grad",
        raises=False,
    ),
    Script(
        "Use of index_put_ on expanded tensors is deprecated.",
        "overlapping-write",
        """
        table = torch.zeros(1, 3).expand(2, 3)
        table[torch.tensor([0]), torch.tensor([1])] = 1.0  # here
        """,
        names="table",
        remedy="clone",
        raises=False,
    ),
    Script(
        "Use of masked_fill_ on expanded tensors is deprecated.",
        "overlapping-write",
        """
        table = torch.zeros(1, 3).expand(2, 3)
        table.masked_fill_(torch.eye(2, 3).bool(), 1.0)  # here
        """,
        names="table",
        remedy="clone",
        raises=False,
    ),
    Script(
        "None of the inputs have requires_grad=True. Gradients will be None",
        "graph-detached",
        """
        from torch.utils.checkpoint import checkpoint

        layer, head = nn.Linear(2, 2), nn.Linear(2, 1)
        opt = torch.optim.SGD([*layer.parameters(), *head.parameters()], 0.1)
        h = checkpoint(layer, torch.ones(3, 2), use_reentrant=True)  # here
        head(h).sum().backward()
        opt.step()
        """,
        names="layer h",
        remedy="use_reentrant|requires_grad|record",
        raises=False,
    ),
    Script(
        "ctx.mark_dirty() received a tensor that was not an input.",
        "custom-function",
        """
        class Halve(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                half = x / 2
                ctx.mark_dirty(half)  # here
                return half

            @staticmethod
            def backward(ctx, grad):
                return grad / 2

        Halve.apply(torch.ones(3, requires_grad=True)).sum().backward()
        """,
        names="half",
        remedy="mark_dirty",
        raises=False,
    ),
    Script(
        "Using a non-full backward hook when the forward contains multiple autograd Nodes is deprecated",
        "custom-function",
        """
        block = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        block.register_backward_hook(lambda module, given, got: None)  # here
        block(torch.ones(1, 2, requires_grad=True)).sum().backward()
        """,
        names="block",
        remedy="register_full_backward_hook",
        raises=False,
    ),
)
