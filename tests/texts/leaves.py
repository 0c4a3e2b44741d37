"""Scripts that raise what PyTorch says of leaves, of views of them, and of what a tensor is set to."""

from __future__ import annotations

from tests.texts.script import Script

SCRIPTS = (
    Script(
        "a leaf Variable that requires grad is being used in an in-place operation.",
        "leaf-inplace",
        """
        scale = torch.ones(3, requires_grad=True)
        opt = torch.optim.SGD([scale], 0.1)
        scale.clamp_(max=0.5)  # here
        """,
        names="scale",
        remedy="no_grad",
    ),
    Script(
        "a leaf Variable that requires grad has been used in an in-place operation.",
        "leaf-inplace",
        """
        class Bump(torch.autograd.Function):
            @staticmethod
            def forward(ctx, t):
                ctx.mark_dirty(t)
                return t.add_(1)

            @staticmethod
            def backward(ctx, grad):
                return grad

        shift = torch.zeros(2, requires_grad=True)
        Bump.apply(shift)  # here
        """,
        names="shift",
        remedy="no_grad",
    ),
    Script(
        "a leaf Variable that requires grad is being used in an in-place operation.",
        "leaf-inplace",
        """
        def load(target, source):
            target.set_(source)  # here

        kernel = nn.Parameter(torch.zeros(2, 2))
        load(kernel, torch.eye(2))
        """,
        names="target",
        remedy="no_grad",
    ),
    Script(
        "a view of a leaf Variable that requires grad is being used in an in-place operation.",
        "view-of-leaf-inplace",
        """
        table = nn.Embedding(4, 2)
        table.weight[0].fill_(0.0)  # here
        """,
        names="table",
        remedy="no_grad",
    ),
    Script(
        "Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.",
        "leaf-inplace",
        """
        def squash(p):
            p.apply_(lambda v: v / 2)  # here

        squash(torch.ones(2, requires_grad=True))
        """,
        names="p",
        remedy="no_grad",
    ),
    Script(
        "Can't call map_() on Variable that requires grad. Use var.detach().map_() instead.",
        "leaf-inplace",
        """
        w = torch.ones(2, requires_grad=True)
        w.map_(torch.zeros(2), lambda a, b: a + b)  # here
        """,
        names="w",
        remedy="no_grad",
    ),
    Script(
        "attempting to assign a gradient of size",
        "leaf-inplace",
        """
        w = torch.zeros(3, requires_grad=True)
        w.grad = torch.ones(2)  # here
        """,
        names="w",
        remedy="shape",
    ),
    Script(
        "attempting to assign a gradient with dtype",
        "leaf-inplace",
        """
        model = nn.Linear(2, 1).half()
        for p in model.parameters():
            p.grad = torch.zeros(p.shape)  # here
        """,
        names="p",
        remedy="dtype",
    ),
    Script(
        "data set to a tensor that requires gradients must be floating point or complex dtype",
        "leaf-inplace",
        """
        layer = nn.Linear(2, 2)
        layer.weight.data = layer.weight.data.round().long()  # here
        """,
        names="layer",
        remedy="dtype",
    ),
    Script(
        "have incompatible tensor type",
        "leaf-inplace",
        """
        dense = torch.zeros(2, 2, requires_grad=True)
        dense.data = torch.eye(2).to_sparse()  # here
        """,
        names="dense",
        remedy="dense",
    ),
    Script(
        "cannot resize variables that require grad",
        "leaf-inplace",
        """
        buffer = torch.zeros(3, requires_grad=True)
        buffer.resize_(6)  # here
        """,
        names="buffer",
        remedy="new",
    ),
    Script(
        "functions with out=... arguments don't support automatic differentiation, but one of the arguments",
        "leaf-inplace",
        """
        total = torch.zeros(2, requires_grad=True)
        torch.mul(total, 2, out=total)  # here
        """,
        names="total",
        remedy="no_grad",
    ),
    Script(
        "functions with out=... arguments don't support automatic differentiation, but one of the arguments",
        "graph-detached",
        """
        room = torch.empty(2)
        w = torch.ones(2, requires_grad=True)
        torch.exp(w, out=room)  # here
        """,
        names="room w",
        remedy="out=|new tensor",
    ),
    Script(
        "you can only change requires_grad flags of leaf variables.",
        "graph-detached",
        """
        model = nn.Linear(2, 2)
        h = model(torch.ones(1, 2))
        h.requires_grad_(False)  # here
        """,
        names="h",
        remedy="detach",
    ),
    Script(
        "Can't detach views in-place. Use detach() instead.",
        "graph-detached",
        """
        h = torch.ones(3, requires_grad=True) * 2
        first = h[:2]
        first.detach_()  # here
        """,
        names="first",
        remedy="detach()",
    ),
    Script(
        "Deletion of _grad_fn not allowed. Detach tensor instead!",
        "graph-detached",
        """
        h = torch.ones(3, requires_grad=True) * 2
        del h._grad_fn  # here
        """,
        names="h",
        remedy="detach",
    ),
    Script(
        "can't optimize a non-leaf Tensor",
        "rebound-leaf",
        """
        noise = torch.randn(3, requires_grad=True) * 0.1  # here
        torch.optim.Adam([noise])
        """,
        names="noise",
        remedy="",
    ),
    Script(
        "cannot assign 'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)",
        "rebound-leaf",
        """
        layer = nn.Linear(2, 2)
        layer.weight = layer.weight * 0.5  # here
        """,
        names="layer",
        remedy="no_grad",
    ),
    Script(
        "optimizer got an empty parameter list",
        "graph-detached",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(2, 2)]  # here

        torch.optim.SGD(Net().parameters(), 0.1)
        """,
        names="",
        remedy="ModuleList",
    ),
    Script(
        "some parameters appear in more than one parameter group",
        "shared-reference",
        """
        body, head = nn.Linear(2, 2), nn.Linear(2, 2)
        head.weight = body.weight
        opt = torch.optim.SGD([{"params": body.parameters()}, {"params": head.parameters()}], 0.1)  # here
        """,
        names="body head",
        remedy="one group only",
    ),
    Script(
        "Only Tensors of floating point and complex dtype can require gradients",
        "graph-detached",
        """
        class Table(nn.Module):
            def __init__(self):
                super().__init__()
                self.rows = nn.Parameter(torch.arange(3))  # here

        Table()
        """,
        names="rows",
        remedy="float",
    ),
    Script(
        "only Tensors of floating point and complex dtype can require gradients",
        "graph-detached",
        """
        counts = torch.tensor([1, 2])
        counts.requires_grad = True  # here
        """,
        names="counts",
        remedy="float",
    ),
    Script(
        "can't retain_grad on Tensor that has requires_grad=False",
        "graph-detached",
        """
        x = torch.ones(2)  # here
        y = x * 2
        y.retain_grad()
        """,
        names="x y",
        remedy="requires_grad",
    ),
    Script(
        "cannot register a hook on a tensor that doesn't require gradient",
        "graph-detached",
        """
        model = nn.Linear(2, 2)
        with torch.no_grad():
            h = model(torch.ones(1, 2))  # here
        h.register_hook(print)
        """,
        names="h",
        remedy="no_grad|record",
    ),
    Script(
        "post accumulate grad hooks cannot be registered on non-leaf tensors",
        "graph-detached",
        """
        w = torch.ones(2, requires_grad=True)
        h = w * 2  # here
        h.register_post_accumulate_grad_hook(print)
        """,
        names="h",
        remedy="register_hook",
    ),
)
