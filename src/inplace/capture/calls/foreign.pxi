"""Tensors over memory of others (`from_numpy`) that are met as arguments, noted as `TensorsSeen.read` does."""

cdef object IS_RESIZABLE = torch._C.StorageBase.__dict__["resizable"]
cdef object NBYTES = torch._C.StorageBase.__dict__["nbytes"]


cdef class Foreign:
    """Notes tensors that nobody has met, over storages that nobody has met either.

    Args:
        seen: where tensors get their ids.
        met: their layouts.
        new: what notes their storages.
        owners: what tells whose bytes lie where.
    """

    cdef object _seen, _died
    cdef LayoutsSeen _met
    cdef NewStorages _new
    cdef Owners _owners
    cdef dict _refs, _values, _live, _unasked
    cdef list _external
    cdef array.array _rows, _states

    def __init__(self, seen, met, new, owners):
        self._seen, self._died, self._met, self._new = seen, seen.died, met, new
        self._refs, self._values, self._rows = seen.refs, seen.states.values, seen.tensors.rows
        self._states, self._external = seen.states._facts, seen.storages.external
        self._live, self._unasked, self._owners = seen.storages.live, seen.storages.unasked, owners

    cdef bint meet(self, PyObject* bare, Py_ssize_t step) except -1:
        """Note a leaf that requires no grad; False, and nothing noted, where it has to be read otherwise."""
        cdef char* impl = impl_of(bare)
        cdef PyObject* found
        cdef Layout* layout
        cdef int32_t row[TENSOR_WIDTH]
        cdef long long state[STATE_WIDTH]
        cdef long long number, begin
        tensor = <object>bare
        if impl == NULL or word(impl, AT_META) or not is_plain(bare):
            return False
        layout = self._met.of(tensor, impl)
        if layout == NULL:
            return False
        state[4] = layout.number << LAYOUT | LEAF
        begin = begin_at(impl)
        state[3] = (pointer_at(impl) - begin) // layout.itemsize
        key, pointer = word(impl, AT_STORAGE), begin
        self._new.bury()
        found = PyDict_GetItemWithError(self._unasked, pointer)
        if PyDict_GetItemWithError(self._live, key) != NULL or (found != NULL and not has_died(found)):
            return False
        storage = PyObject_CallOneArg(UNTYPED_STORAGE, tensor)
        if PyObject_CallOneArg(IS_RESIZABLE, storage):
            return False
        size = PyObject_CallOneArg(NBYTES, storage)
        if self._owners.owner_of_new(pointer, size) is not None:
            return False
        tensors = len(self._rows) // TENSOR_WIDTH
        live = self._new.add(storage, key, pointer, size, True, step, tensors)
        self._external.append(live)
        row[0], row[1], row[2], row[3], row[4], row[5] = 0, NO_STEP, step, NO_STEP, NONE, -1
        array.extend_buffer(self._rows, <char*>row, TENSOR_WIDTH)
        number = len(self._states) // STATE_WIDTH
        state[0] = state[2] = tensors
        state[1] = PyLong_AsLongLong(<object>slot(<PyObject*>live, LIVE_ID_SLOT))
        state[5], state[6], state[7], state[8] = version_at(impl), -1, -1, tensors + 1
        array.extend_buffer(self._states, <char*>state, STATE_WIDTH)
        new = new_ref(tensor, self._died, tensors, version_at(impl), pointer_at(impl), tensors, live, number)
        put(<PyObject*>live, LIVE_REFS_SLOT, {tensors: new})
        self._refs[<intptr_t>bare] = new
        if flag(<PyObject*>self._seen, DETAIL_SLOT):
            values = values_of(tensor, impl)
            if values is not None:
                self._values[number] = values
        return True
