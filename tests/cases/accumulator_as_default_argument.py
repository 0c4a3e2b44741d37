# title: accumulator tensor as a default argument keeps its sum between calls
# kind: shared-reference
# raises: none
# culprit: 11, 13
# victim: none
# names: acc, first, second
# fix: acc=None, and acc = torch.zeros(2) inside
# source: own reduction of https://docs.python.org/3/faq/programming.html#why-are-default-values-shared-between-objects
import torch

def column_sums(batches, acc=torch.zeros(2)):
    for batch in batches:
        acc += batch.sum(0)
    return acc

train = [torch.ones(3, 2), torch.ones(1, 2)]
valid = [torch.full((2, 2), 5.0)]
first = column_sums(train)
second = column_sums(valid)
print(first, second)
