"""Samples of what nodes have saved, taken and compared as `Samples` does; see its NOTEs."""

cdef object SAMPLE = samples._Sample
cdef Py_ssize_t SAMPLE_AFTER_SLOT = slot_named("after", SAMPLE)
cdef Py_ssize_t SAMPLE_BACKWARDS_SLOT = slot_named("backwards", SAMPLE)
cdef Py_ssize_t SAMPLE_BLOCK_SLOT = slot_named("block", SAMPLE)
cdef Py_ssize_t SAMPLE_POINTER_SLOT = slot_named("pointer", SAMPLE)
cdef Py_ssize_t SAMPLE_REF_SLOT = slot_named("ref", SAMPLE)
cdef Py_ssize_t SAMPLE_SIZE_SLOT = slot_named("size", SAMPLE)
cdef Py_ssize_t SAMPLE_VERSION_SLOT = slot_named("version", SAMPLE)

cdef long long START_BUDGET = samples.START
cdef long long EACH = samples.EACH
cdef Py_ssize_t MOST_SAMPLES = samples._MOST
cdef tuple OUT_ONLY = samples._OUT
cdef int EXTERNAL_OF_STORAGE = storages._EXTERNAL


cdef class Sampling:
    """Takes the samples of one recording.

    What it does not do is left to `Samples` as it was.

    Args:
        samples: where they are kept.
        seen: where tensors get their ids.
        notes: what notes the calls.
    """

    cdef object _own, _died, _functions
    cdef dict _refs, _samples, _saves
    cdef array.array _calls, _facts

    def __init__(self, own, seen, notes):
        self._own, self._samples, self._saves = own, own._samples, own._saves
        self._refs, self._died, self._facts = seen.refs, seen.died, seen.storages._facts
        self._functions, self._calls = notes.functions, notes.log.calls

    cdef int take(self, known, Py_ssize_t step, tuple args, dict kwargs, result, long long nodes) except -1:
        """As `Samples.take`, of a call with these arguments."""
        cdef Py_ssize_t after = len(self._calls) // CALL_WIDTH - 1
        cdef bint gives = False, keeps = False
        cdef long long spent
        cdef PyObject* ref
        writes = self._functions[self._calls.data.as_ints[step * CALL_WIDTH]].writes
        if writes and writes != OUT_ONLY:
            self._own.take(known, step, call_notes.tensor_arguments(args, kwargs), result, nodes)
            return 0
        if len(self._samples) < MOST_SAMPLES:
            gives, keeps = self._saves.get((known, nodes)) or self._own._saves_of(known, result, nodes)
        spent = self._own._spent + 1
        self._own._spent = spent
        if self._own.is_on and START_BUDGET + (after + 1) // EACH < spent:
            self._own.is_on, self._own._need = False, 2 * (spent - self._own._begun)
        for value in (*args, *kwargs.values()):
            if is_of_one_kind(<PyObject*>value):
                self._meet(value, after, keeps and value is not result)
            elif (type(value) is list or type(value) is tuple) and value and is_of_one_kind(<PyObject*>value[0]):
                for one in value:
                    self._meet(one, after, keeps and one is not result)
        if gives and is_of_one_kind(<PyObject*>result):
            ref = ref_of(self._refs, self._died, <PyObject*>result)
            if ref != NULL:
                self._read(ref, result, after)
        return 0

    cdef int _meet(self, tensor, Py_ssize_t after, bint keeps) except -1:
        """Compare the sample of a tensor that went into a call; take one where there is none, and it may be saved."""
        cdef PyObject* ref = ref_of(self._refs, self._died, <PyObject*>tensor)
        cdef PyObject* old
        cdef char* impl
        if ref == NULL:
            return 0
        old = PyDict_GetItemWithError(self._samples, <object>slot(ref, TENSOR_SLOT))
        if old != NULL:
            impl = impl_of(<PyObject*>tensor)
            if impl == NULL:
                if self._own._stands(<object>old, tensor):
                    self._own._look(<object>old, tensor, after)
                    return 0
            elif (
                version_at(impl) == PyLong_AsLongLong(<object>slot(old, SAMPLE_VERSION_SLOT))
                and pointer_at(impl) == PyLong_AsLongLong(<object>slot(old, SAMPLE_POINTER_SLOT))
            ):
                return self._look(<object>old, tensor, after)
        return self._read(ref, tensor, after) if keeps else 0

    cdef int _look(self, old, tensor, Py_ssize_t after) except -1:
        """As `Samples._look`."""
        cdef PyObject* sample = <PyObject*>old
        cdef Py_ssize_t size = PyLong_AsLongLong(<object>slot(sample, SAMPLE_SIZE_SLOT))
        block = block_of(tensor, <object>slot(sample, SAMPLE_POINTER_SLOT), size)
        if type(block) is not bytes or block != <object>slot(sample, SAMPLE_BLOCK_SLOT):
            self._own._look(old, tensor, after)
            return 0
        self._own._spent += 1
        put(sample, SAMPLE_AFTER_SLOT, after)
        return 0

    cdef int _read(self, PyObject* ref, tensor, Py_ssize_t after) except -1:
        """As `Samples._read`."""
        cdef char* impl = impl_of(<PyObject*>tensor)
        cdef PyObject* live = slot(ref, LIVE_SLOT)
        cdef PyObject* sample
        cdef Py_ssize_t size, storage, over = -1 if impl == NULL else bytes_over(impl)
        if over < 0 or slot(ref, VERSION_SLOT) == <PyObject*>None or <object>slot(ref, LOST_SLOT):
            self._own._read(<object>ref, tensor, after)
            return 0
        number = <object>slot(ref, TENSOR_SLOT)
        self._samples.pop(number, None)
        size = word(impl, AT_NUMEL) * ITEMSIZES[dtype_at(impl)]
        if over != size:  # it has gaps, or overlaps
            return 0
        if live == <PyObject*>None:
            if not is_ours(impl):
                return 0
        else:
            storage = PyLong_AsLongLong(<object>slot(live, LIVE_ID_SLOT))
            if self._facts.data.as_ints[storage * STORAGE_WIDTH + EXTERNAL_OF_STORAGE]:
                return 0
        pointer = pointer_at(impl)
        block = block_of(tensor, pointer, size)
        if block is None:
            return 0
        made = bare_of(SAMPLE)
        sample = <PyObject*>made
        put(sample, SAMPLE_REF_SLOT, <object>ref)
        put(sample, SAMPLE_VERSION_SLOT, version_at(impl))
        put(sample, SAMPLE_POINTER_SLOT, pointer)
        put(sample, SAMPLE_SIZE_SLOT, size)
        put(sample, SAMPLE_BLOCK_SLOT, block)
        put(sample, SAMPLE_AFTER_SLOT, after)
        put(sample, SAMPLE_BACKWARDS_SLOT, 0)
        self._own._spent += 1
        self._samples[number] = made
        return 0
