"""A loop in which an early turn writes what no error tells of, and that many windows go by after."""

LATE = """\
w = torch.ones(4, requires_grad=True)
for i in range(300):
    h = torch.sigmoid(w * 2)
    if i == 3:
        h.data.mul_(2)
    h.sum().backward()
"""
