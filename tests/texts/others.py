"""Scripts that raise what PyTorch says of shapes and dtypes, exports, losses, inference tensors and memory."""

from __future__ import annotations

from tests.texts.script import Script

SCRIPTS = (
    Script(
        "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        "export-refused",
        """
        model = nn.Linear(2, 1)
        out = model(torch.ones(3, 2))  # here
        print(out.numpy().mean())
        """,
        names="out",
        remedy="detach()",
    ),
    Script(
        "Can't export tensors that require gradient, use tensor.detach()",
        "export-refused",
        """
        h = torch.ones(2, requires_grad=True).exp()  # here
        h.__dlpack__()
        """,
        names="h",
        remedy="detach()",
    ),
    Script(
        "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the",
        "graph-detached",
        """
        import copy

        state = {}
        w = torch.ones(2, requires_grad=True)
        state["last"] = w * 2  # here
        copy.deepcopy(state)
        """,
        names="state w",
        remedy="detach",
    ),
    Script(
        "Cowardly refusing to serialize non-leaf tensor which requires_grad",
        "export-refused",
        """
        import io
        from multiprocessing.reduction import ForkingPickler
        import torch.multiprocessing

        w = torch.ones(2, requires_grad=True)
        result = w * 2  # here
        ForkingPickler(io.BytesIO()).dump(result)
        """,
        names="result",
        remedy="detach()",
    ),
    Script(
        "grad can be implicitly created only for scalar outputs",
        "non-scalar-loss",
        """
        model = nn.Linear(2, 3)
        loss = model(torch.ones(4, 2)).sum(1)
        loss.backward()  # here
        """,
        names="loss",
        remedy="sum()|mean()",
    ),
    Script(
        "grad can be implicitly created only for real scalar outputs but got torch.complex64",
        "non-scalar-loss",
        """
        z = torch.ones(2, dtype=torch.cfloat, requires_grad=True)
        energy = (z * z).sum()
        energy.backward()  # here
        """,
        names="energy",
        remedy="abs()|real",
    ),
    Script(
        "Mismatch in shape: grad_output[0] has a shape of torch.Size([3]) and output[0] has a shape of",
        "non-scalar-loss",
        """
        out = nn.Linear(2, 1)(torch.ones(3, 2))
        out.backward(torch.ones(3))  # here
        """,
        names="out",
        remedy="shape",
    ),
    Script(
        "Inference tensors cannot be saved for backward.",
        "inference-tensor",
        """
        def make():
            with torch.inference_mode():
                return nn.Linear(2, 2)  # here

        net = make()
        net(torch.ones(1, 2, requires_grad=True)).sum().backward()
        """,
        names="net",
        remedy="outside|clone",
    ),
    Script(
        "Inference tensors do not track version counter.",
        "inference-tensor",
        """
        with torch.inference_mode():
            cached = torch.ones(2).exp()  # here

        def version(t):
            return t._version

        version(cached)
        """,
        names="cached t",
        remedy="outside|clone",
    ),
    Script(
        "Inplace update to inference tensor outside InferenceMode is not allowed.",
        "inference-tensor",
        """
        with torch.inference_mode():
            score = torch.ones(2)  # here
        score += 1
        """,
        names="score",
        remedy="outside|clone",
    ),
    Script(
        "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.",
        "inference-tensor",
        """
        with torch.inference_mode():
            start = torch.zeros(2)  # here
        start.requires_grad = True
        """,
        names="start",
        remedy="outside|clone",
    ),
    Script(
        "A view was created in inference mode and is being modified inplace in normal mode.",
        "inference-tensor",
        """
        base = torch.ones(2, 2, requires_grad=True) * 1
        with torch.inference_mode():
            row = base[0]  # here
        row += 1
        """,
        names="row",
        remedy="outside|clone",
    ),
    Script(
        "A view was created in no_grad mode and is being modified inplace with grad mode enabled.",
        "graph-detached",
        """
        h = torch.ones(3, requires_grad=True) * 2
        with torch.no_grad():
            part = h[:2]
        part += 1  # here
        """,
        names="part",
        remedy="no_grad|record",
    ),
    Script(
        "A view was created in no_grad mode and its base or another view of its base has been modified",
        "graph-detached",
        """
        h = torch.ones(3, requires_grad=True) * 2
        with torch.no_grad():
            part = h[:2]
        h += 1  # here
        print(part.grad_fn)
        """,
        names="part h",
        remedy="no_grad|record",
    ),
    Script(
        "view size is not compatible with input tensor's size and stride (at least one dimension spans",
        "view-impossible",
        """
        x = torch.ones(2, 3, 4)
        y = x.permute(0, 2, 1)
        flat = y.view(2, -1)  # here
        """,
        names="y",
        remedy="reshape",
    ),
    Script(
        "shape '[2, 10]' is invalid for input of size 30",
        "view-impossible",
        """
        head = nn.Linear(10, 2)
        h = torch.randn(2, 3, 5).relu()
        out = head(h.view(2, 10))  # here
        """,
        names="h",
        remedy="-1",
    ),
    Script(
        "Trying to resize storage that is not resizable",
        "view-impossible",
        """
        import numpy

        room = numpy.zeros(4)
        mine = torch.as_tensor(room)
        mine.resize_(8)  # here
        """,
        names="mine",
        remedy="copy|clone|torch.tensor",
    ),
    Script(
        "setStorage: sizes [4, 3], strides [3, 1], storage offset 0, and itemsize 4 requiring a storage size",
        "view-impossible",
        """
        small = torch.arange(6.0)
        windows = small.as_strided((4, 3), (3, 1))  # here
        """,
        names="small",
        remedy="strides|size",
    ),
    Script(
        "output with shape [3] doesn't match the broadcast shape [2, 3]",
        "result-does-not-fit",
        """
        running = torch.zeros(3)
        for batch in torch.ones(2, 4, 3):
            running += batch  # here
        """,
        names="running",
        remedy="running = running + batch|shape",
    ),
    Script(
        "The size of tensor a (2) must match the size of tensor b (3)",
        "result-does-not-fit",
        """
        pair = torch.zeros(2)
        pair.sub_(torch.ones(3))  # here
        """,
        names="pair",
        remedy="shape",
    ),
    Script(
        "The expanded size of the tensor (3) must match the existing size (2) at non-singleton dimension 1.",
        "result-does-not-fit",
        """
        canvas = torch.zeros(4, 3)
        canvas[1:3] = torch.ones(2, 2)  # here
        """,
        names="canvas",
        remedy="shape",
    ),
    Script(
        "shape mismatch: value tensor of shape [3] cannot be broadcast to indexing result of shape [2]",
        "result-does-not-fit",
        """
        scores = torch.tensor([1.0, 5.0, 6.0])
        scores[scores > 2] = torch.zeros(3)  # here
        """,
        names="scores",
        remedy="shape|mask",
    ),
    Script(
        "result type Float can't be cast to the desired output type Long",
        "result-does-not-fit",
        """
        hist = torch.bincount(torch.tensor([0, 1, 1]))
        hist /= 3  # here
        """,
        names="hist",
        remedy="hist = hist / 3|float",
    ),
    Script(
        "result type Long can't be cast to the desired output type Bool",
        "result-does-not-fit",
        """
        mask = torch.zeros(3, dtype=torch.bool)
        mask += 1  # here
        """,
        names="mask",
        remedy="mask = mask + 1|dtype|long",
    ),
    Script(
        "Index put requires the source and destination dtypes match, got Float for the destination and "
        "BFloat16 for the source.",
        "result-does-not-fit",
        """
        memory = torch.zeros(4, 2)
        rows = torch.tensor([0, 2])
        memory[rows] = torch.ones(2, 2).bfloat16()  # here
        """,
        names="memory",
        remedy="to(",
    ),
    Script(
        "index_add_(): self (Float) and source (Double) must have the same scalar type",
        "result-does-not-fit",
        """
        pooled = torch.zeros(3, 2)
        pooled.index_add_(0, torch.tensor([1]), torch.ones(1, 2).double())  # here
        """,
        names="pooled",
        remedy="to(",
    ),
    Script(
        "scatter(): Expected self.dtype to be equal to src.dtype",
        "result-does-not-fit",
        """
        out = torch.zeros(2, 2)
        out.scatter_(1, torch.tensor([[0], [1]]), torch.ones(2, 1).half())  # here
        """,
        names="out",
        remedy="to(",
    ),
    Script(
        "Found dtype Double but expected Float",
        "result-does-not-fit",
        """
        model = nn.Linear(2, 1)
        target = torch.ones(3, 1, dtype=torch.float64)
        out = model(torch.ones(3, 2))
        loss = nn.functional.huber_loss(out, target)  # here
        loss.backward()
        """,
        names="target loss",
        remedy="float|to(",
    ),
    Script(
        "element 0 of tensors does not require grad and does not have a grad_fn",
        "graph-detached",
        """
        model = nn.Linear(2, 1)
        with torch.no_grad():
            out = model(torch.ones(3, 2))  # here
        out.sum().backward()
        """,
        names="out",
        remedy="no_grad|record",
    ),
    Script(
        "element 1 of tensors does not require grad and does not have a grad_fn",
        "graph-detached",
        """
        w = torch.ones(2, requires_grad=True)
        fine = (w * 2).sum()
        lost = (w * 2).sum().detach()  # here
        torch.autograd.backward([fine, lost])
        """,
        names="lost w",
        remedy="detach|cut out",
    ),
    Script(
        "One of the differentiated Tensors does not require grad",
        "graph-detached",
        """
        w = torch.ones(2, requires_grad=True)
        x = torch.ones(2)  # here
        torch.autograd.grad((w * x).sum(), [w, x])
        """,
        names="x",
        remedy="requires_grad",
    ),
    Script(
        "Output 0 of the user-provided function does not require gradients.",
        "graph-detached",
        """
        def f(x):
            return x.detach() * 2  # here

        torch.autograd.functional.jacobian(f, torch.ones(2), create_graph=True, strict=True)
        """,
        names="x",
        remedy="detach|cut out",
    ),
    Script(
        "`inputs` argument to `backward()` cannot be empty.",
        "graph-detached",
        """
        w = torch.ones(2, requires_grad=True)
        trained = [p for p in [w] if p.ndim > 3]  # here
        w.sum().backward(inputs=trained)
        """,
        names="trained",
        remedy="",
    ),
    Script(
        "the derivative for 'igamma: input' is not implemented.",
        "graph-detached",
        """
        a = torch.ones(2, requires_grad=True)
        p = torch.igamma(a, torch.ones(2))  # here
        p.sum().backward()
        """,
        names="p a",
        remedy="detach|another",
    ),
    Script(
        "appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior.",
        "graph-detached",
        """
        x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)  # here
        torch.autograd.grad((x * 2).sum(), [x, y])  # here
        """,
        names="y",
        remedy="use|Use",
    ),
    Script(
        "Trying to backward through the graph a second time",
        "freed-graph",
        """
        w = torch.ones(2, requires_grad=True)
        h = w.exp()
        h.sum().backward()  # here
        h.mean().backward()
        """,
        names="h",
        remedy="retain_graph",
    ),
    Script(
        "one of the variables needed for gradient computation has been modified by an inplace operation",
        "saved-tensor-modified",
        """
        h = torch.ones(2, requires_grad=True).exp()
        h += 1  # here
        h.sum().backward()
        """,
        names="h",
        remedy="h = h + 1",
    ),
    Script(
        "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_()",
        "saved-tensor-modified",
        """
        w = torch.ones(2, requires_grad=True)
        h = (w * 2).exp()
        out = (h * h).sum()
        h.detach_()  # here
        out.backward()
        """,
        names="h",
        remedy="detach()",
    ),
    Script(
        "In-place leakyReLu backward calculation is triggered with a negative slope which is not supported.",
        "saved-tensor-modified",
        """
        h = torch.ones(2, requires_grad=True) * 2
        out = nn.functional.leaky_relu(h, -0.1, inplace=True)  # here
        out.sum().backward()
        """,
        names="h out",
        remedy="inplace=False|inplace",
    ),
    Script(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory",
        "overlapping-write",
        """
        rows = torch.zeros(1, 3).expand(2, 3)
        rows += 1  # here
        """,
        names="rows",
        remedy="clone",
    ),
    Script(
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a",
        "overlapping-write",
        """
        track = torch.arange(6.0)
        track[1:] += track[:-1]  # here
        """,
        names="track",
        remedy="clone",
    ),
    Script(
        "Output 0 of Unbind is a view and is being modified inplace. This view is the output of a "
        "function that returns multiple views.",
        "multi-output-view-inplace",
        """
        h = torch.ones(2, 3, requires_grad=True) * 2
        for row in h.unbind(0):
            row.sub_(row.mean())  # here
        """,
        names="row",
        remedy="clone|out of place|row = ",
    ),
    Script(
        "Output 0 of Split is a view and is being modified inplace. This view is the output of a "
        "function that returns multiple views.",
        "multi-output-view-inplace",
        """
        h = torch.ones(4, requires_grad=True) * 2
        left, right = h.split(2)
        left *= 2  # here
        """,
        names="left",
        remedy="clone|left = ",
    ),
    Script(
        "'NoneType' object has no attribute 'zero_'",
        "graph-detached",
        """
        used = torch.ones(2, requires_grad=True)
        idle = torch.ones(2, requires_grad=True)
        loss = (used * 2).sum()  # here
        loss.backward()
        idle.grad.zero_()  # here
        """,
        names="idle",
        remedy="Use|use",
    ),
    Script(
        "No inf checks were recorded for this optimizer.",
        "graph-detached",
        """
        model, other = nn.Linear(2, 1), nn.Linear(2, 1)
        opt = torch.optim.SGD(model.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu")
        loss = other(torch.ones(1, 2)).sum()  # here
        scaler.scale(loss).backward()
        scaler.step(opt)
        """,
        names="model loss",
        remedy="Use|use",
    ),
    Script(
        "returned nan values in its 0th output",
        "non-finite-gradient",
        """
        x = torch.zeros(2, requires_grad=True)
        with torch.autograd.detect_anomaly(check_nan=True):
            y = x.sqrt() * 0  # here
            y.sum().backward()
        """,
        names="x y",
        remedy="",
    ),
    Script(
        "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a",
        "graph-detached",
        """
        import os
        import torch.distributed as dist

        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29553", GLOO_SOCKET_IFNAME="lo")
        dist.init_process_group("gloo", rank=0, world_size=1)
        net = nn.Linear(2, 2)
        net.requires_grad_(False)  # here
        nn.parallel.DistributedDataParallel(net)
        """,
        names="net",
        remedy="requires_grad_()",
    ),
    Script(
        "index 5 is out of bounds for dimension 0 with size 3",
        "",
        """
        x = torch.ones(3, 2, requires_grad=True)
        x[5]  # here
        """,
        names="x",
    ),
)
