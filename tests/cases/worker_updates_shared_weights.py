# title: another process steps the shared weights while this one waits for backward
# kind: silent-corruption
# raises: none
# culprit: 14, 23, 24
# victim: 21
# names: shared, w
# fix: compute with a local clone of the shared weights
# source: own reduction of https://pytorch.org/docs/stable/notes/multiprocessing.html
import torch
import torch.multiprocessing as mp

def worker(w):
    torch.set_num_threads(1)
    w.mul_(0.0)

if __name__ == "__main__":
    torch.manual_seed(211)
    torch.set_num_threads(1)
    shared = torch.tensor([1.0, 2.0, 3.0]).share_memory_()
    x = torch.ones(3, requires_grad=True)
    y = (x * shared).sum()
    p = mp.get_context("fork").Process(target=worker, args=(shared,))
    p.start()
    p.join()
    y.backward()
    print(x.grad)
