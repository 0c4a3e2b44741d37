"""Scripts that raise what PyTorch says of custom functions, hooks, checkpoints and function transforms."""

from __future__ import annotations

from tests.texts.script import Script

SCRIPTS = (
    Script(
        "function ClipBackward returned an incorrect number of gradients (expected 2, got 1)",
        "custom-function",
        """
        class Clip(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, bound):
                return x.clamp(max=bound)

            @staticmethod
            def backward(ctx, grad):
                return grad  # here

        clip = Clip.apply
        x = torch.ones(3, requires_grad=True)
        clip(x, 0.5).sum().backward()
        """,
        names="grad",
        remedy="one gradient for each",
    ),
    Script(
        "Function DropBackward returned an invalid gradient at index 0 - got [2] but expected shape "
        "compatible with [3]",
        "custom-function",
        """
        class Drop(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x[:2] * 1.0

            @staticmethod
            def backward(ctx, grad_output):
                return grad_output  # here

        Drop.apply(torch.ones(3, requires_grad=True)).sum().backward()
        """,
        names="grad_output",
        remedy="shape",
    ),
    Script(
        "save_for_backward can only save variables, but argument 1 is of type float",
        "custom-function",
        """
        class Pow(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, power):
                ctx.save_for_backward(x, power)  # here
                return x**power

            @staticmethod
            def backward(ctx, grad):
                return grad, None

        power_of = Pow.apply
        power_of(torch.ones(3, requires_grad=True), 2.0)
        """,
        names="power",
        remedy="ctx.",
    ),
    Script(
        "An input that has been returned as-is as output is being saved for backward.",
        "custom-function",
        """
        class Same(torch.autograd.Function):
            @staticmethod
            def forward(ctx, t):
                ctx.save_for_backward(t)
                return t

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(*inputs, output)  # here

            @staticmethod
            def backward(ctx, grad):
                return grad

        class Keep(torch.autograd.Function):
            @staticmethod
            def forward(t):
                return t

            setup_context, backward = Same.setup_context, Same.backward

        class Plain(torch.autograd.Function):
            @staticmethod
            def forward(t):
                return t

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(output)  # here

            @staticmethod
            def backward(ctx, grad):
                return grad

        Plain.apply(torch.ones(3, requires_grad=True))
        """,
        names="output t",
        remedy="view_as|clone",
    ),
    Script(
        "Some elements marked as dirty during the forward method were not returned as output.",
        "custom-function",
        """
        class Zero(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                x.zero_()
                ctx.mark_dirty(x)  # here
                return x.sum()

            @staticmethod
            def backward(ctx, grad):
                return grad

        h = torch.ones(3, requires_grad=True) * 2
        Zero.apply(h)
        """,
        names="x",
        remedy="Return",
    ),
    Script(
        "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot",
        "custom-function",
        """
        class Both(torch.autograd.Function):
            @staticmethod
            def forward(ctx, a, b):
                ctx.mark_dirty(a)  # here
                return a.mul_(2), b * 2

            @staticmethod
            def backward(ctx, ga, gb):
                return ga * 2, gb * 2

        h = torch.ones(4, requires_grad=True) * 1
        part = h[:2]
        Both.apply(part, torch.ones(2))
        """,
        names="a part",
        remedy="clone",
    ),
    Script(
        "is a view and is being modified inplace. This view was created inside a custom Function (or because",
        "custom-function",
        """
        class Pass(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.view(-1)

            @staticmethod
            def backward(ctx, grad):
                return grad.view(2, 2)

        h = torch.ones(2, 2, requires_grad=True) * 1
        flat = Pass.apply(h)
        flat.mul_(2)  # here
        """,
        names="flat",
        remedy="flat = flat * 2|out of place|clone",
    ),
    Script(
        "Output 0 of BackwardHookFunction is a view and is being modified inplace. This view was created "
        "inside a custom Function",
        "custom-function",
        """
        block = nn.Linear(2, 2)
        block.register_full_backward_hook(lambda module, given, got: None)
        out = block(torch.ones(1, 2))
        out += 1  # here
        """,
        names="out",
        remedy="out = out + 1|out of place|clone",
    ),
    Script(
        "Output 0 of BackwardHookFunction is a view and is being modified inplace. This view was created "
        "inside a custom Function",
        "custom-function",
        """
        net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))
        net[1].register_full_backward_hook(lambda module, given, got: None)

        def run(batch):
            return net(batch)  # here

        run(torch.ones(1, 2, requires_grad=True)).sum().backward()
        """,
        names="net[1] net",
        remedy="inplace=False",
    ),
    Script(
        "Backward hook returned an invalid number of grad_input, got 2, but expected 1",
        "custom-function",
        """
        def double(module, grad_input, grad_output):
            return grad_input[0], grad_output[0]  # here

        layer = nn.Linear(2, 2)
        layer.register_full_backward_hook(double)
        layer(torch.ones(1, 2, requires_grad=True)).sum().backward()
        """,
        names="double grad_input",
        remedy="one for each",
    ),
    Script(
        "expected Variable, but hook returned 'float'",
        "custom-function",
        """
        h = torch.ones(2, requires_grad=True) * 2
        h.register_hook(lambda g: g.norm().item())  # here
        h.sum().backward()
        """,
        names="h",
        remedy="tensor|None",
    ),
    Script(
        "hook 'crop' has changed the size of value",
        "custom-function",
        """
        def crop(g):
            return g[:1]  # here

        h = torch.ones(2, requires_grad=True) * 2
        h.register_hook(crop)
        h.sum().backward()
        """,
        names="g crop",
        remedy="shape",
    ),
    Script(
        "A saved tensor pack hook is modifying its input in place.",
        "custom-function",
        """
        def pack(t):
            t.mul_(2)  # here
            return t

        x = torch.ones(3, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            h = x * 2
            y = h.pow(2)
        """,
        names="t",
        remedy="copy|clone",
    ),
    Script(
        "Output of saved tensor unpack_hook expected to be a Tensor but got result of type",
        "custom-function",
        """
        def pack(t):
            return t.tolist()

        def unpack(kept):
            return kept  # here

        x = torch.ones(3, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = x.exp()
        y.sum().backward()
        """,
        names="unpack kept",
        remedy="tensor",
    ),
    Script(
        "saved_tensors can only be accessed once when clear_saved_tensors_on_access=True is set on the",
        "custom-function",
        """
        class Square(torch.autograd.Function):
            clear_saved_tensors_on_access = True

            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, grad):
                print(ctx.saved_tensors[0].shape)
                (x,) = ctx.saved_tensors  # here
                return 2 * x * grad

        Square.apply(torch.ones(3, requires_grad=True)).sum().backward()
        """,
        names="",
        remedy="once",
    ),
    Script(
        "trying to differentiate twice a function that was marked with @once_differentiable",
        "custom-function",
        """
        class Cube(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            @torch.autograd.function.once_differentiable  # here
            def backward(ctx, grad):
                (x,) = ctx.saved_tensors
                return 3 * x**2 * grad

        x = torch.ones(2, requires_grad=True)
        (slope,) = torch.autograd.grad((Cube.apply(x) ** 2).sum(), x, create_graph=True)
        slope.sum().backward()
        """,
        names="",
        remedy="once_differentiable",
    ),
    Script(
        "Legacy autograd function with non-static forward method is deprecated.",
        "custom-function",
        """
        class Old(torch.autograd.Function):
            def forward(self, x):  # here
                return x * 2

            def backward(self, grad):
                return grad * 2

        Old()(torch.ones(2, requires_grad=True))
        """,
        names="Old",
        remedy="apply",
    ),
    Script(
        "An inplace custom Function is not modifying the forward mode gradients inplace.",
        "custom-function",
        """
        import torch.autograd.forward_ad as fwAD

        class Triple(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.mark_dirty(x)
                return x.mul_(3)

            @staticmethod
            def jvp(ctx, tangent):
                return 3 * tangent  # here

        with fwAD.dual_level():
            dual = fwAD.make_dual(torch.ones(2), torch.ones(2)) * 1
            Triple.apply(dual)
        """,
        names="tangent",
        remedy="in place|mul_",
    ),
    Script(
        "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it",
        "custom-function",
        """
        class Twice(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):  # here
                return x * 2

            @staticmethod
            def backward(ctx, grad):
                return grad * 2

        def loss(x):
            return Twice.apply(x).sum()

        torch.func.jacrev(loss)(torch.ones(2))
        """,
        names="",
        remedy="setup_context",
    ),
    Script(
        "backward() called inside a functorch transform.",
        "custom-function",
        """
        def loss(x):
            y = (x * 2).sum()
            y.backward()  # here
            return y

        torch.func.grad(loss)(torch.ones(2, requires_grad=True))
        """,
        names="y",
        remedy="torch.func.grad|transform",
    ),
    Script(
        "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.*",
        "custom-function",
        """
        def energy(x):
            p = x.detach()
            p.requires_grad_()  # here
            return (p**2).sum()

        torch.func.vmap(energy)(torch.ones(2, 3))
        """,
        names="p",
        remedy="transform",
    ),
    Script(
        "accessing `data` under vmap transform is not allowed",
        "custom-function",
        """
        def shift(row):
            return row.data + 1  # here

        torch.func.vmap(shift)(torch.ones(2, 3))
        """,
        names="row",
        remedy="detach",
    ),
    Script(
        "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call in-place",
        "custom-function",
        """
        counter = torch.zeros(2)

        def loss(x):
            counter.add_(x)  # here
            return counter.sum()

        torch.func.grad(loss)(torch.ones(2))
        """,
        names="counter",
        remedy="out of place|return|argument",
    ),
    Script(
        "vmap: It looks like you're calling .item() on a Tensor.",
        "custom-function",
        """
        def scale(row):
            return row * row.sum().item()  # here

        torch.func.vmap(scale)(torch.ones(2, 3))
        """,
        names="row",
        remedy="tensor",
    ),
    Script(
        "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other`",
        "result-does-not-fit",
        """
        def step(row):
            total = torch.zeros(3)
            total[1] = row[0]  # here
            return total

        torch.func.vmap(step)(torch.ones(2, 3))
        """,
        names="total",
        remedy="out of place",
    ),
    Script(
        "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than",
        "custom-function",
        """
        from torch.utils.checkpoint import checkpoint

        class Block(nn.Module):
            calls = 0

            def forward(self, x):
                self.calls += 1
                width = 3 if self.calls == 1 else 2  # here
                return x[:width].exp().sum()  # here

        block, x = Block(), torch.ones(4, requires_grad=True)
        checkpoint(block, x, use_reentrant=False).backward()
        """,
        names="width x",
        remedy="same",
    ),
    Script(
        "torch.utils.checkpoint: A different number of tensors was saved during the original forward and",
        "custom-function",
        """
        from torch.utils.checkpoint import checkpoint

        seen = []

        def block(x):
            y = x.sin()
            if not seen:  # here
                y = y.cos()  # here
                seen.append(1)
            return y.sum()

        checkpoint(block, torch.ones(4, requires_grad=True), use_reentrant=False).backward()
        """,
        names="y seen",
        remedy="same",
    ),
    Script(
        "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once.",
        "custom-function",
        """
        from torch.utils.checkpoint import checkpoint

        class Mul(torch.autograd.Function):
            @staticmethod
            def forward(ctx, a, b):
                ctx.save_for_backward(a, b)
                return a * b

            @staticmethod
            def backward(ctx, grad):
                left = ctx.saved_tensors[0] * grad
                right = ctx.saved_tensors[1] * grad  # here
                return right, left

        def block(t):
            return Mul.apply(t, t + 1)

        out = checkpoint(block, torch.ones(3, requires_grad=True), use_reentrant=False)
        out.sum().backward()
        """,
        names="",
        remedy="once",
    ),
    Script(
        "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs`",
        "custom-function",
        """
        from torch.utils import checkpoint

        layer = nn.Linear(2, 2)
        x = torch.ones(1, 2, requires_grad=True)
        h = checkpoint.checkpoint(layer, x, use_reentrant=True)  # here
        h.sum().backward(inputs=[x])
        """,
        names="",
        remedy="use_reentrant=False",
    ),
    Script(
        "Calling register_hooks on a saved tensor after it has been freed.",
        "freed-graph",
        """
        x = torch.ones(3, requires_grad=True)
        y = x.exp()
        y.sum().backward()  # here
        y.grad_fn._raw_saved_result.register_hooks(lambda t: t, lambda t: t)
        """,
        names="y",
        remedy="",
    ),
)
