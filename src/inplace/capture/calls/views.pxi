"""The views that calls give out, noted as `Arrivals.meet_based` does."""

cdef Getter IS_LEAF = getter_named("is_leaf")
cdef object UNTYPED_STORAGE = torch._C.TensorBase.__dict__["untyped_storage"]
cdef object IS_INFERENCE = torch._C.TensorBase.__dict__["is_inference"]
cdef object CREATION_META = tensor_facts._creation_meta

cdef enum:
    STATE_WIDTH = 9

if STATE_WIDTH != tensor_states._WIDTH:
    raise ImportError("built for rows of another width")

cdef int NONE = tensors.NONE
cdef int FIRST = tensors.FIRST
cdef int CREATION = tensor_states._CREATION


cdef inline int creation_of(tensor, char* impl) except -1:
    """The number of the creation meta of a view."""
    if impl != NULL and AT_CREATION >= 0:
        return <unsigned char>(<char*>word(impl, AT_META))[AT_CREATION]
    return PyLong_AsLongLong(int(PyObject_CallOneArg(CREATION_META, tensor)))


cdef class Views:
    """Notes views of tensors that are in the state which was noted last.

    Args:
        seen: where tensors get their ids.
        met: their layouts.
        new: what notes their storages.
    """

    cdef object _seen, _died
    cdef LayoutsSeen _met
    cdef NewStorages _new
    cdef dict _refs, _values, _unasked, _asked
    cdef array.array _rows, _states

    def __init__(self, seen, met, new):
        self._seen, self._died, self._met, self._new = seen, seen.died, met, new
        self._refs, self._values, self._rows = seen.refs, seen.states.values, seen.tensors.rows
        self._states, self._unasked, self._asked = seen.states._facts, seen.storages.unasked, seen.tensors.asked

    cdef bint meet(self, tensor, base, Py_ssize_t step, long long made, int32_t* state) except -1:
        """Note a view that a call has given out; False, and nothing noted, where it has to be read otherwise.

        Args:
            tensor: the view.
            base: what it is a view of.
            step: the call.
            made: the node that the call has made, -1 where it has made none, or several.
            state: is given the view's state.
        """
        cdef PyObject* bare = <PyObject*>tensor
        cdef PyObject* below = ref_of(self._refs, self._died, <PyObject*>base)
        cdef PyObject* live
        cdef char* impl = impl_of(bare)
        cdef char* base_impl = impl_of(<PyObject*>base)
        cdef Layout* layout
        cdef int32_t row[TENSOR_WIDTH]
        cdef long long facts[STATE_WIDTH]
        cdef long long flags, node = -1, offset, itemsize, number_of_layout
        if not is_plain(bare) or below == NULL or slot(below, VERSION_SLOT) == <PyObject*>None:
            return False
        if CREATION_META is None or <object>slot(below, LOST_SLOT):
            return False
        try:
            version, pointer = version_of(bare, impl), pointer_of(tensor, impl)
            if version != <object>slot(below, VERSION_SLOT):
                return False
            if pointer_of(base, base_impl) != <object>slot(below, POINTER_SLOT):
                return False
            layout = self._met.of(tensor, impl)
            if layout == NULL:
                return False
            number_of_layout, itemsize = layout.number, layout.itemsize
            key = storage_of(tensor, impl)
            if slot(below, LIVE_SLOT) == <PyObject*>None:
                if key != storage_of(base, base_impl) or (impl == NULL and not read(IS_CPU, bare)):
                    return False
                if not self._ask(<object>below, tensor, impl, key):
                    return False
            live = slot(below, LIVE_SLOT)
            self._new.bury()
            # A view stays over the memory that its base had: `base.data = other` moves the base alone.
            if live == <PyObject*>None or key != <object>slot(live, LIVE_KEY_SLOT):
                return False
            if not read(REQUIRES_GRAD, bare):
                flags = 6 if impl == NULL and PyObject_CallOneArg(IS_INFERENCE, tensor) else 2
            elif read(IS_LEAF, bare):
                flags = 3
            elif made < 0:
                return False  # it has to be asked which one is its own
            else:
                flags, node = 1, made
            flags |= (creation_of(tensor, impl) + 1) << CREATION
            offset = PyLong_AsLongLong(pointer)
            if offset and itemsize:
                offset = (offset - PyLong_AsLongLong(<object>slot(live, LIVE_POINTER_SLOT))) // itemsize
            else:
                offset = PyLong_AsLongLong(offset_of_storage(tensor, impl))
        except RuntimeError:  # it has no counter, or no memory
            return False
        number = len(self._rows) // TENSOR_WIDTH
        facts[0], facts[1] = number, PyLong_AsLongLong(<object>slot(live, LIVE_ID_SLOT))
        counter = <object>slot(below, COUNTER_SLOT)
        facts[2] = -1 if counter is None else PyLong_AsLongLong(counter)
        facts[3], facts[4], facts[5] = offset, number_of_layout << LAYOUT | flags, PyLong_AsLongLong(version)
        facts[6], facts[7] = node, PyLong_AsLongLong(<object>slot(below, TENSOR_SLOT))
        facts[8] = number + 1
        state[0] = len(self._states) // STATE_WIDTH
        new = new_ref(tensor, self._died, number, version, pointer, counter, <object>live, state[0])
        row[0], row[1], row[3], row[4], row[5] = 0, step, NO_STEP, NONE, -1
        row[2] = PyLong_AsLongLong(<object>slot(<PyObject*>self._seen, STEP_SLOT))
        array.extend_buffer(self._rows, <char*>row, TENSOR_WIDTH)
        array.extend_buffer(self._states, <char*>facts, STATE_WIDTH)
        self._refs[<intptr_t>bare] = new
        (<dict>slot(live, LIVE_REFS_SLOT))[number] = new
        if flag(<PyObject*>self._seen, DETAIL_SLOT):
            values = values_of(tensor, impl)
            if values is not None:
                self._values[state[0]] = values
        return True

    cdef bint _ask(self, ref, view, char* impl, key) except -1:
        """Ask for the storage of a live tensor on the CPU, as `Storages.ask` does; False where that is not to be.

        It is asked of a view of it, whose `TensorImpl` is `impl` or not known.
        """
        cdef PyObject* bare = <PyObject*>ref
        cdef long long tensor = PyLong_AsLongLong(<object>slot(bare, TENSOR_SLOT))
        pointer = <object>slot(bare, POINTER_SLOT)
        if PyDict_GetItemWithError(self._unasked, pointer) != bare:
            return False
        del self._unasked[pointer]
        storage = PyObject_CallOneArg(UNTYPED_STORAGE, view)
        size = storage.nbytes() if impl == NULL else word(<char*>word(impl, AT_STORAGE), AT_SIZE)
        live = self._new.add(
            storage, key, pointer, size, False, self._rows.data.as_ints[tensor * TENSOR_WIDTH + FIRST], tensor
        )
        put(<PyObject*>live, LIVE_REFS_SLOT, {tensor: ref})
        put(bare, LIVE_SLOT, live)
        self._asked[tensor] = <object>slot(<PyObject*>live, LIVE_ID_SLOT)
        return True
