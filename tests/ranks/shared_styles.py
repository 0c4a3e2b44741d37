"""What children write into memory that their parent has saved from, in many styles, each beside a sound twin.

Run as a script: each function is one style, and a line that is to be told ends with `# told`. The children are forked,
or started by the method that is the script's first argument; the others are the styles that are to run.
"""

from __future__ import annotations

import ctypes
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import torch
from torch import multiprocessing, nn
from torch.utils.data import DataLoader, Dataset

METHOD = sys.argv[1] if len(sys.argv) > 1 else "fork"
context = multiprocessing.get_context(METHOD)


def weight() -> torch.Tensor:
    """A leaf."""
    return torch.ones(4, requires_grad=True)


def in_child(target: Any, *given: Any) -> None:
    """Run a function in a child, to its end."""
    torch.set_num_threads(1)
    child = context.Process(target=target, args=given)
    child.start()
    child.join()
    assert child.exitcode == 0


def saved() -> tuple[torch.Tensor, torch.Tensor]:
    """A shared tensor, and a loss whose graph has saved it."""
    shared = torch.arange(4.0).share_memory_()
    return shared, (weight() * shared).sum()


# ------------------------------------------------------------ a function that writes what it is given


def adds(shared: torch.Tensor) -> None:
    shared.add_(1)  # told


def adds_to_a_copy(shared: torch.Tensor) -> None:
    shared = shared.clone()
    shared.add_(1)


def a_process() -> None:
    shared, loss = saved()
    in_child(adds, shared)
    loss.backward()


def a_process_and_a_copy() -> None:
    shared, loss = saved()
    in_child(adds_to_a_copy, shared)
    loss.backward()


# ------------------------------------------------------------ parts


def clears_half(shared: torch.Tensor) -> None:
    shared[2:].zero_()  # told


def half() -> None:
    shared, loss = saved()
    in_child(clears_half, shared)
    loss.backward()


def clears_end(shared: torch.Tensor) -> None:
    shared[2:].zero_()


def other_half() -> None:
    shared = torch.arange(4.0).share_memory_()
    loss = (torch.ones(2, requires_grad=True) * shared[:2]).sum()
    in_child(clears_end, shared)
    loss.backward()


# ------------------------------------------------------------ a loader


class Counted(Dataset[torch.Tensor]):
    def __init__(self) -> None:
        self.seen = torch.ones(4).share_memory_()

    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> torch.Tensor:
        self.seen[place] += 1  # told
        return torch.ones(2)


class Told(Counted):
    def __getitem__(self, place: int) -> torch.Tensor:
        return self.seen[place] * torch.ones(2)


def a_loader() -> None:
    data = Counted()
    loss = (weight() * data.seen).sum()
    for _ in DataLoader(data, num_workers=2, multiprocessing_context=context):
        pass
    loss.backward()


def a_loader_that_reads() -> None:
    data = Told()
    loss = (weight() * data.seen).sum()
    for _ in DataLoader(data, num_workers=2, multiprocessing_context=context):
        pass
    loss.backward()


# ------------------------------------------------------------ queues


def fills_what_comes(queue: Any, done: Any) -> None:
    shared = queue.get()
    shared.fill_(7)  # told
    done.put(1)


def reads_what_comes(queue: Any, done: Any) -> None:
    shared = queue.get()
    done.put(float(shared.sum()))


def a_queue() -> None:
    queue, done = context.SimpleQueue(), context.SimpleQueue()
    values = torch.arange(4.0).share_memory_()
    loss = (weight() * values).sum()
    child = context.Process(target=fills_what_comes, args=(queue, done))
    child.start()
    queue.put(values)
    done.get()
    child.join()
    loss.backward()


def a_queue_that_is_read() -> None:
    queue, done = context.SimpleQueue(), context.SimpleQueue()
    values = torch.arange(4.0).share_memory_()
    loss = (weight() * values).sum()
    child = context.Process(target=reads_what_comes, args=(queue, done))
    child.start()
    queue.put(values)
    done.get()
    child.join()
    loss.backward()


def produces(queue: Any, turns: Any) -> None:
    batch = torch.zeros(4)
    for number in range(2):
        batch.fill_(number)  # told
        queue.put(batch)
        turns.get()


def produces_each_anew(queue: Any, turns: Any) -> None:
    batches = []
    for number in range(2):
        batches.append(torch.full((4,), float(number)))
        queue.put(batches[-1])
        turns.get()


def consume(target: Any) -> None:
    queue, turns = context.SimpleQueue(), context.SimpleQueue()
    child = context.Process(target=target, args=(queue, turns))
    child.start()
    loss = (weight() * queue.get()).sum()
    turns.put(1)
    second = queue.get()
    (loss + second.sum()).backward()
    turns.put(1)
    child.join()


def a_producer() -> None:
    consume(produces)


def a_producer_of_new_ones() -> None:
    consume(produces_each_anew)


# ------------------------------------------------------------ models


def trains(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(2, 4)).pow(2).sum().backward()
    optimizer.step()  # told


def evaluates(model: nn.Module) -> None:
    with torch.no_grad():
        model(torch.ones(2, 4))


def a_model(target: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    model.share_memory()
    loss = model(torch.ones(2, 4)).pow(2).sum()
    in_child(target, model)
    loss.backward()


def hogwild() -> None:
    a_model(trains)


def evaluated() -> None:
    a_model(evaluates)


def loads(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    model.load_state_dict(state)  # told


def weights_from_elsewhere() -> None:
    model = nn.Linear(4, 4)
    model.share_memory()
    state = {name: torch.zeros_like(one) for name, one in model.state_dict().items()}
    x = weight()
    loss = model(x).sum()
    in_child(loads, model, state)
    loss.backward()


def weights_from_elsewhere_before() -> None:
    model = nn.Linear(4, 4)
    model.share_memory()
    state = {name: torch.zeros_like(one) for name, one in model.state_dict().items()}
    x = weight()
    in_child(loads, model, state)
    loss = model(x).sum()
    loss.backward()


def updates_statistics(norm: nn.Module) -> None:
    norm.train()(torch.randn(8, 4) * 5)  # told


def statistics() -> None:
    norm = nn.BatchNorm1d(4).eval()
    norm.share_memory()
    loss = norm(torch.randn(3, 4)).pow(2).sum()
    in_child(updates_statistics, norm)
    loss.backward()


def statistics_behind_backward() -> None:
    norm = nn.BatchNorm1d(4).eval()
    norm.share_memory()
    norm(torch.randn(3, 4)).pow(2).sum().backward()
    in_child(updates_statistics, norm)


# ------------------------------------------------------------ memory that numpy has


def through_an_array(shared: torch.Tensor) -> None:
    array = shared.numpy()
    array[0] = 5  # told
    array = None


def numpy_in_the_child() -> None:
    shared, loss = saved()
    in_child(through_an_array, shared)
    loss.backward()


def numpy_of_a_copy(shared: torch.Tensor) -> None:
    array = shared.numpy().copy()
    array[0] = 5


def numpy_of_a_copy_in_the_child() -> None:
    shared, loss = saved()
    in_child(numpy_of_a_copy, shared)
    loss.backward()


def of_array(array: Any) -> torch.Tensor:
    return torch.frombuffer(array, dtype=torch.float32)


def writes_array(array: Any) -> None:
    of_array(array).mul_(2)  # told


def reads_array(array: Any) -> None:
    of_array(array).mul(2)


def an_array_of_multiprocessing() -> None:
    array = context.RawArray(ctypes.c_float, [1.0, 2.0, 3.0, 4.0])
    loss = (weight() * of_array(array)).sum()
    in_child(writes_array, array)
    loss.backward()


def an_array_that_is_read() -> None:
    array = context.RawArray(ctypes.c_float, [1.0, 2.0, 3.0, 4.0])
    loss = (weight() * of_array(array)).sum()
    in_child(reads_array, array)
    loss.backward()


def attached(name: str) -> tuple[shared_memory.SharedMemory, torch.Tensor]:
    block = shared_memory.SharedMemory(name=name)
    return block, torch.from_numpy(np.ndarray((4,), dtype=np.float32, buffer=block.buf))


def writes_block(name: str) -> None:
    _, there = attached(name)
    there[1:3] = -1.0  # told


def reads_block(name: str) -> None:
    _, there = attached(name)
    there.sum()


def a_block(target: Any) -> None:
    block = shared_memory.SharedMemory(create=True, size=16)
    values = torch.from_numpy(np.ndarray((4,), dtype=np.float32, buffer=block.buf))
    values.fill_(1)
    loss = (weight() * values).sum()
    in_child(target, block.name)
    loss.backward()
    block.unlink()


def a_named_block() -> None:
    a_block(writes_block)


def a_named_block_that_is_read() -> None:
    a_block(reads_block)


# ------------------------------------------------------------ pools and classes


def scales(shared: torch.Tensor) -> int:
    shared *= 3  # told
    return 1


def sums(shared: torch.Tensor) -> float:
    return float(shared.sum())


def pooled(target: Any) -> None:
    shared, loss = saved()
    with context.Pool(1) as pool:
        pool.apply(target, (shared,))
        pool.close()
        pool.join()
    loss.backward()


def a_pool() -> None:
    pooled(scales)


def a_pool_that_reads() -> None:
    pooled(sums)


def executed(target: Any) -> None:
    shared, loss = saved()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(target, shared).result()
    loss.backward()


def resets(shared: torch.Tensor) -> int:
    torch.zeros(4, out=shared)  # told
    return 1


def an_executor() -> None:
    executed(resets)


def an_executor_that_reads() -> None:
    executed(sums)


class Actor(context.Process):  # type: ignore[misc,name-defined]
    def __init__(self, rollout: torch.Tensor) -> None:
        super().__init__()
        self.rollout = rollout

    def run(self) -> None:
        for step in range(4):
            self.rollout[step] = step * 2.0  # told


def an_actor() -> None:
    shared, loss = saved()
    actor = Actor(shared)
    actor.start()
    actor.join()
    loss.backward()


def an_actor_and_a_copy() -> None:
    shared = torch.arange(4.0).share_memory_()
    loss = (weight() * shared.clone()).sum()
    actor = Actor(shared)
    actor.start()
    actor.join()
    loss.backward()


BUGS = [
    a_process,
    half,
    a_loader,
    a_queue,
    a_producer,
    hogwild,
    weights_from_elsewhere,
    statistics,
    numpy_in_the_child,
    an_array_of_multiprocessing,
    a_named_block,
    a_pool,
    an_executor,
    an_actor,
]
TWINS = [
    a_process_and_a_copy,
    other_half,
    a_loader_that_reads,
    a_queue_that_is_read,
    a_producer_of_new_ones,
    evaluated,
    weights_from_elsewhere_before,
    statistics_behind_backward,
    numpy_of_a_copy_in_the_child,
    an_array_that_is_read,
    a_named_block_that_is_read,
    a_pool_that_reads,
    an_executor_that_reads,
    an_actor_and_a_copy,
]
if __name__ == "__main__":
    torch.set_num_threads(1)
    for run in [globals()[name] for name in sys.argv[2:]] or [*BUGS, *TWINS]:
        run()
