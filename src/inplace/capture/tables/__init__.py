"""Tables: live tensors, storages and counters as small ids and rows."""
