"""The operating system's fence around a replay: what acts on the world outside is refused by the kernel, and noted.

NOTE [ The fence ]
A warden (`warden`) starts the replay and stands outside. Before the replay's interpreter begins, the kernel is told:

- Landlock (`landlock`): no file may be written, made, moved or removed outside the replay's own folder.
- A filter of system calls (`call_filter`): whatever may act (`system_calls`) waits until the warden has looked at it
  (`notices`, `decisions`). What reaches outside is refused and noted, so that no fix is called proved that was judged
  by a run which wanted to do what it could not.
- Where it may be had (`namespaces`): a network and a /dev/shm of its own, which let more code be replayed.

All of it holds for every thread and child, for native code as for Python, and until the last of them has ended. Where
the kernel refuses one of the first two, nothing is run. These modules need the standard library alone: the warden runs
without the user's packages.
"""
