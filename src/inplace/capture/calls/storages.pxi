"""Storages that are met or asked for, noted as `Storages._add` does."""

cdef Py_ssize_t LIVE_ID_SLOT = slot_named("id", LiveStorage)
cdef Py_ssize_t LIVE_IMPLS_SLOT = slot_named("impls", LiveStorage)
cdef Py_ssize_t LIVE_KEY_SLOT = slot_named("key", LiveStorage)
cdef Py_ssize_t LIVE_POINTER_SLOT = slot_named("pointer", LiveStorage)
cdef Py_ssize_t LIVE_REFS_SLOT = slot_named("refs", LiveStorage)
cdef Py_ssize_t LIVE_SPLIT_SLOT = slot_named("split", LiveStorage)

cdef enum:
    STORAGE_WIDTH = 5

if STORAGE_WIDTH != storages._FACTS:
    raise ImportError("built for rows of another width")

cdef int MOST = storages._MOST
cdef int ALIVE = storages._ALIVE
cdef int LAST_OF_STORAGE = storages._LAST


cdef class NewStorages:
    """Notes storages of the CPU.

    Args:
        storages: where they get their ids.
    """

    cdef object _storages, _died, _devices
    cdef dict _live, _seconds
    cdef list _dead, _unplaced
    cdef Py_ssize_t _limit
    cdef array.array _sizes, _allocated, _facts
    cdef int _cpu

    def __init__(self, storages):
        self._storages, self._died, self._devices, self._cpu = storages, storages._died, storages._devices, -1
        self._live, self._dead, self._seconds = storages.live, storages.dead, storages._seconds
        self._unplaced, self._limit = storages._unplaced, MOST
        self._sizes, self._allocated, self._facts = storages.sizes, storages.allocated, storages._facts

    cdef int bury(self) except -1:
        """Forget those that have died, before `live` is asked."""
        cdef PyObject* ref
        while PyList_GET_SIZE(self._dead):
            one = self._dead[-1]
            ref = <PyObject*>one
            if type(one) is not LiveStorage:
                self._storages.bury()
                return 0
            key = <object>slot(ref, LIVE_KEY_SLOT)
            self._live.pop(key, None)
            self._seconds.pop(key, None)
            put(ref, LIVE_IMPLS_SLOT, <object>slot(ref, LIVE_IMPLS_SLOT) - 1)
            put(ref, LIVE_KEY_SLOT, 0)
            self._dead.pop()
        return 0

    cdef int leave(self, PyObject* live, tensor, long long step) except -1:
        """One recorded tensor less reaches a storage, as `Storages.leave` notes it."""
        cdef dict refs = <dict>slot(live, LIVE_REFS_SLOT)
        if PyDict_Contains(refs, tensor):
            PyDict_DelItem(refs, tensor)
        if not refs:
            self._facts.data.as_ints[PyLong_AsLongLong(<object>slot(live, LIVE_ID_SLOT)) * STORAGE_WIDTH + LAST_OF_STORAGE] = step
        return 0

    cdef object add(self, storage, key, pointer, size, bint is_external, long long first, long long tensor):
        """What is known of a storage from now on: the tensors that reach it are yet to be told.

        It was met at the step `first`, with a tensor; a call has made it, if it is not external.
        """
        cdef PyObject* at
        cdef int32_t row[STORAGE_WIDTH]
        if self._cpu < 0:
            self._cpu = self._devices.of(storage.device)
        self.bury()
        live = weak_reference(LiveStorage, storage, self._died)
        at = <PyObject*>live
        put(at, LIVE_ID_SLOT, len(self._sizes))
        put(at, LIVE_KEY_SLOT, key)
        put(at, LIVE_POINTER_SLOT, pointer)
        put(at, LIVE_IMPLS_SLOT, 1)
        put(at, LIVE_SPLIT_SLOT, False)
        row[0], row[1], row[2], row[3], row[4] = self._cpu, is_external, first, ALIVE, tensor
        self._sizes.append(size)
        self._allocated.append(0 if is_external else size)
        array.extend_buffer(self._facts, <char*>row, STORAGE_WIDTH)
        self._live[key] = live
        if PyList_GET_SIZE(self._unplaced) < self._limit:
            self._unplaced.append(live)
        else:
            self._storages.unplaced(live)
            self._limit = self._storages._limit
        return live
