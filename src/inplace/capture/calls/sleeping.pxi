"""Bytes of others that are compared around the calls that take them, as `Contents` does; see its NOTEs."""

from inplace.capture.bytes import contents as contents_of_others

cdef object WATCHED = contents_of_others.Watched
cdef Py_ssize_t AFTER_SLOT = slot_named("after", WATCHED)
cdef Py_ssize_t CONTENTS_SLOT = slot_named("contents", WATCHED)
cdef Py_ssize_t FIXED_SLOT = slot_named("fixed", WATCHED)
cdef Py_ssize_t FLIGHT_SLOT = slot_named("flight", WATCHED)
cdef Py_ssize_t LIVE_OF_WATCHED_SLOT = slot_named("live", WATCHED)
cdef Py_ssize_t REF_SLOT = slot_named("ref", WATCHED)
cdef Py_ssize_t SEEN_SLOT = slot_named("seen", WATCHED)
cdef Py_ssize_t WATCHED_STACK_SLOT = slot_named("stack", WATCHED)
cdef Py_ssize_t TAKEN_SLOT = slot_named("taken", WATCHED)
cdef Py_ssize_t WATCHED_ID_SLOT = slot_named("storage", WATCHED)

cdef long long MOST_COMPARED = contents_of_others._MOST
cdef long long LEAST = contents_of_others._LEAST

cdef enum:
    MOST_SLEEPING = 4096  # bytes of a storage that is compared here


cpdef bint is_as_it_was(one) except -1:
    """Whether a storage whose place is known has the bytes that it had; False as well where that is not told here."""
    cdef PyObject* watched = <PyObject*>one
    cdef char room[MOST_SLEEPING]
    cdef PyObject* block = slot(watched, CONTENTS_SLOT)
    cdef PyObject* ref = slot(watched, REF_SLOT)
    cdef tuple fixed = <tuple>slot(watched, FIXED_SLOT)
    cdef Py_ssize_t size
    cdef char* impl
    if flag(watched, FLIGHT_SLOT) or type(<object>block) is not bytes or type(<object>ref) is not TensorRef:
        return False
    size = PyBytes_GET_SIZE(<object>block)
    if not fixed[0] or size != fixed[2] or size > MOST_SLEEPING:
        return False
    tensor = living(ref)
    if tensor is None:
        return False
    impl = impl_of(<PyObject*>tensor)
    if impl == NULL or pointer_at(impl) != PyLong_AsLongLong(fixed[0]):
        return False
    if copied_bytes(room, <void*><intptr_t>PyLong_AsLongLong(fixed[1]), size) != size:
        return False
    return not memcmp(room, PyBytes_AS_STRING(<object>block), size)


def leave_out_unchanged(list some, after):
    """As `contents.py` wants it; those that nobody reaches any more are told too."""
    cdef list left = []
    cdef Py_ssize_t count = 0
    for one in some:
        if <dict>slot(slot(<PyObject*>one, LIVE_OF_WATCHED_SLOT), LIVE_REFS_SLOT) and is_as_it_was(one):
            put(<PyObject*>one, AFTER_SLOT, after)
            count += 1
        else:
            left.append(one)
    return left, count


contents_of_others.leave_out_unchanged = leave_out_unchanged


cdef class Sleeping:
    """Compares the storages that sleep, and has those sleep whose memory others own.

    What it does not do is left to `Contents` as it was.

    Args:
        contents: whose storages they are.
        seen: where tensors get their ids.
    """

    cdef object _contents, _seen, _died
    cdef dict _asleep, _refs
    cdef long long _awake
    cdef array.array _sizes

    def __init__(self, contents, seen):
        self._contents, self._seen, self._asleep, self._sizes = contents, seen, contents.asleep, seen.storages.sizes
        self._awake, self._refs, self._died = contents_of_others._AWAKE, seen.refs, seen.died

    cdef bint look_over(self, list some, Py_ssize_t step) except -1:
        """Note that storages are as they were before the call at a step, which takes them; False where Python looks."""
        cdef long long spent = self._contents.spent
        for one in some:
            spent += LEAST
            if spent > MOST_COMPARED or not is_as_it_was(one):
                return False
        for one in some:
            put(<PyObject*>one, AFTER_SLOT, step - 1)
            put(<PyObject*>one, TAKEN_SLOT, False)
        self._contents.spent = spent
        return True

    cdef bint settle_over(self, list some, Py_ssize_t after) except -1:
        """Note that the call `after` has left storages as they were; False where Python has to look."""
        for one in some:
            if flag(<PyObject*>one, FLIGHT_SLOT):
                return False
        for one in some:
            if PyDict_GetItemWithError(self._asleep, <object>slot(<PyObject*>one, WATCHED_ID_SLOT)) == <PyObject*>one:
                put(<PyObject*>one, AFTER_SLOT, after)
        return True

    cdef bint take(self, list external, Py_ssize_t after, long long stack) except -1:
        """Have storages sleep that were met by the call `after`, from a stack; False where Python takes what is left."""
        while PyList_GET_SIZE(external):
            if not self._take(external[PyList_GET_SIZE(external) - 1], after, stack):
                return False
            external.pop()
        return True

    cdef bint _take(self, live, Py_ssize_t after, long long stack) except -1:
        cdef PyObject* bare = <PyObject*>live
        cdef PyObject* ref = NULL
        cdef PyObject* watched
        cdef char* impl
        cdef Py_ssize_t size
        cdef long long spent = self._contents.spent
        if spent <= self._awake or spent > MOST_COMPARED:
            return False
        tensor = None
        for one in (<dict>slot(bare, LIVE_REFS_SLOT)).values():
            tensor = living(<PyObject*>one)
            if tensor is not None:
                ref = <PyObject*>one
                break
        impl = NULL if tensor is None else impl_of(<PyObject*>tensor)
        if impl == NULL or ref_of(self._refs, self._died, <PyObject*>tensor) != ref:
            return False
        number = <object>slot(bare, LIVE_ID_SLOT)
        size = self._sizes.data.as_longlongs[PyLong_AsLongLong(number)]
        if AT_RESIZABLE < 0 or is_ours(impl) or size > MOST_SLEEPING or size != word(<char*>word(impl, AT_STORAGE), AT_SIZE):
            return False
        block = PyBytes_FromStringAndSize(NULL, size)
        if copied_bytes(PyBytes_AS_STRING(block), <void*>begin_at(impl), size) != size:
            return False
        if not is_in_heap(begin_at(impl), size):  # which nobody shares
            self._contents.shared.meet(live, 0)
        made = bare_of(WATCHED)
        watched = <PyObject*>made
        put(watched, WATCHED_ID_SLOT, number)
        put(watched, LIVE_OF_WATCHED_SLOT, live)
        put(watched, SEEN_SLOT, self._seen)
        put(watched, WATCHED_STACK_SLOT, stack)
        put(watched, FLIGHT_SLOT, False)
        put(watched, TAKEN_SLOT, False)
        put(watched, REF_SLOT, <object>ref)
        put(watched, CONTENTS_SLOT, block)
        put(watched, AFTER_SLOT, after)
        put(watched, FIXED_SLOT, (pointer_at(impl), begin_at(impl), size))
        self._contents.spent = spent + LEAST
        if len(self._asleep) < self._contents.idle:
            self._asleep[number] = made
        else:
            self._contents.sleep(made)
        return True
