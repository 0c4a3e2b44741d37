# title: accumulator tensor made inside the function
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://docs.python.org/3/faq/programming.html#why-are-default-values-shared-between-objects
import torch

def column_sums(batches, acc=None):
    if acc is None:
        acc = torch.zeros(2)
    for batch in batches:
        acc += batch.sum(0)
    return acc

train = [torch.ones(3, 2), torch.ones(1, 2)]
valid = [torch.full((2, 2), 5.0)]
first = column_sums(train)
second = column_sums(valid)
both = column_sums(valid, acc=first.clone())
print(first, second, both)
