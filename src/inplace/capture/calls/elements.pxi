"""Graphs that are gone through, and elements of floating-point tensors, read where they lie, for `singular_nodes`."""

from libc.math cimport isfinite

from inplace.capture.graph import singular, walk

cdef enum:
    AT_ZERO = 0
    NOT_POSITIVE = 1
    AT_MINUS_ONE = 2
    AT_ONE = 3
    NOT_FINITE = 4

if [AT_ZERO, NOT_POSITIVE, AT_MINUS_ONE, AT_ONE, NOT_FINITE] != [one.number for one in singular.TESTS]:
    raise ImportError("built for other tests")

cdef int MOST_ELEMENTS = singular.ELEMENTS
cdef int FLOAT = -1
cdef int DOUBLE = -1


cdef int _keep_dtypes() except -1:
    """Find the numbers of the dtypes that are read here."""
    global FLOAT, DOUBLE
    cdef char* impl
    single, double = torch.zeros(1, dtype=torch.float32, device="cpu"), torch.zeros(1, dtype=torch.float64, device="cpu")
    impl = impl_of(<PyObject*>single)
    if impl != NULL:
        FLOAT = dtype_at(impl)
    impl = impl_of(<PyObject*>double)
    if impl != NULL:
        DOUBLE = dtype_at(impl)
    return 0

_keep_dtypes()


cdef inline bint is_so(double value, int test) noexcept:
    """Whether an element is as a test asks."""
    if test == AT_ZERO:
        return value == 0
    if test == NOT_POSITIVE:
        return not value > 0
    if test == AT_MINUS_ONE:
        return not value > -1
    if test == AT_ONE:
        return not -1 < value < 1
    return not isfinite(value)


def has_any(tensor, int test):
    """Whether an element of a tensor is as a test asks; None where it is not read here."""
    cdef char* impl
    cdef char* block
    cdef int64_t* facts
    cdef int64_t index[INLINE]
    cdef int64_t last, at = 0
    cdef int dtype, dims, place
    if not is_of_one_kind(<PyObject*>tensor):
        return None
    impl = impl_of(<PyObject*>tensor)
    if impl == NULL:
        return None
    dtype, facts = dtype_at(impl), <int64_t*>(impl + AT_SHAPE)
    if (dtype != FLOAT and dtype != DOUBLE) or facts[0] > INLINE or word(impl, AT_NUMEL) > MOST_ELEMENTS:
        return None
    dims, last = facts[0], word(impl, AT_OFFSET)
    for place in range(dims):
        index[place] = 0
        last += facts[1 + INLINE + place] * (facts[1 + place] - 1)
    storage = PyObject_CallOneArg(UNTYPED_STORAGE, tensor)
    if not PyObject_CallOneArg(IS_RESIZABLE, storage):
        return None  # others own it, who may have given it back
    if (last + 1) * ITEMSIZES[dtype] > PyLong_AsLongLong(PyObject_CallOneArg(NBYTES, storage)):
        return None  # it was cut
    block = <char*>pointer_at(impl)
    while True:
        if is_so((<float*>block)[at] if dtype == FLOAT else (<double*>block)[at], test):
            return True
        place = dims - 1
        while place >= 0:
            index[place] += 1
            at += facts[1 + INLINE + place]
            if index[place] < facts[1 + place]:
                break
            at -= facts[1 + INLINE + place] * facts[1 + place]
            index[place] = 0
            place -= 1
        if place < 0:
            return False


def meet_all(list met, dict places, limit):
    """Add to the nodes of a `NodesBelow` those that they reach, as `NodesBelow.nodes` does."""
    cdef Py_ssize_t place = 0, most = PY_SSIZE_T_MAX if limit is None else limit
    while place < most and place < PyList_GET_SIZE(met):
        for edge in <tuple>(<object>PyList_GET_ITEM(met, place)).next_functions:
            target = (<tuple>edge)[0]
            if target is not None and target not in places:
                places[target] = PyList_GET_SIZE(met)
                met.append(target)
        place += 1


singular.has_any = has_any
walk.meet_all = meet_all
