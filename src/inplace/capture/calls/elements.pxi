"""Elements of tensors, read where they lie, and graphs that are gone through for `singular_nodes`."""

from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.math cimport isfinite

from inplace.capture.graph import singular, walk

cdef enum:
    AT_ZERO = 0
    NOT_POSITIVE = 1
    AT_MINUS_ONE = 2
    AT_ONE = 3
    NOT_FINITE = 4
    MOST_FOREIGN = 2048  # bytes of others that are copied here
    WORD = 8

if [AT_ZERO, NOT_POSITIVE, AT_MINUS_ONE, AT_ONE, NOT_FINITE] != [one.number for one in singular.TESTS]:
    raise ImportError("built for other tests")

cdef int MOST_ELEMENTS = singular.ELEMENTS
cdef int WHOLE = samples.WHOLE
cdef int WORDS = samples.WORDS
cdef object PROFILING = tensor_facts._profiling
cdef int SMALL = tensor_facts.SMALL
cdef int SMALL_INDEX = tensor_facts.SMALL_INDEX


cdef int number_of(dtype) except -2:
    """The number of a dtype, -1 where it isn't known."""
    one = torch.zeros(1, dtype=dtype, device="cpu")
    cdef char* impl = impl_of(<PyObject*>one)
    return -1 if impl == NULL else dtype_at(impl)


cdef int FLOAT = number_of(torch.float32)
cdef int DOUBLE = number_of(torch.float64)
cdef int LONG = number_of(torch.int64)
cdef int INT = number_of(torch.int32)
cdef int BOOL = number_of(torch.bool)


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


cdef inline bint advance(int64_t* index, int64_t* facts, int64_t* at) noexcept:
    """Turn to the next element in row order, `at` so many elements behind the first; False where there is none."""
    cdef int place = facts[0] - 1
    while place >= 0:
        index[place] += 1
        at[0] += facts[1 + INLINE + place]
        if index[place] < facts[1 + place]:
            return True
        at[0] -= facts[1 + INLINE + place] * facts[1 + place]
        index[place] = 0
        place -= 1
    return False


cdef Py_ssize_t bytes_over(char* impl) noexcept:
    """Bytes from the first element to behind the last; -1 where the storage was cut, or has more dimensions."""
    cdef int64_t* facts = <int64_t*>(impl + AT_SHAPE)
    cdef int64_t last = 0, itemsize = ITEMSIZES[dtype_at(impl)]
    cdef int place
    if AT_RESIZABLE < 0 or facts[0] > INLINE:
        return -1
    for place in range(facts[0]):
        last += facts[1 + INLINE + place] * (facts[1 + place] - 1)
    if (word(impl, AT_OFFSET) + last + 1) * itemsize > word(<char*>word(impl, AT_STORAGE), AT_SIZE):
        return -1
    return (last + 1) * itemsize


cdef inline bint is_ours(char* impl) noexcept:
    """Whether the bytes of a tensor belong to PyTorch: others may have given theirs back."""
    return (<char*>word(impl, AT_STORAGE))[AT_RESIZABLE] != 0


def has_any(tensor, int test):
    """Whether an element of a tensor is as a test asks; None where it is not read here."""
    cdef char* impl
    cdef char* block
    cdef int64_t index[INLINE]
    cdef int64_t at = 0
    cdef int dtype
    if not is_of_one_kind(<PyObject*>tensor):
        return None
    impl = impl_of(<PyObject*>tensor)
    if impl == NULL:
        return None
    dtype = dtype_at(impl)
    if (dtype != FLOAT and dtype != DOUBLE) or word(impl, AT_NUMEL) > MOST_ELEMENTS:
        return None
    if bytes_over(impl) < 0 or not is_ours(impl):
        return None
    block = <char*>pointer_at(impl)
    memset(index, 0, sizeof(index))
    while True:
        if is_so((<float*>block)[at] if dtype == FLOAT else (<double*>block)[at], test):
            return True
        if not advance(index, <int64_t*>(impl + AT_SHAPE), &at):
            return False


def saves_any(node, attribute, int test):
    """Whether an element of what a node has saved, by its handle, is as a test asks; None where it is not read here."""
    try:
        one = getattr(node, attribute)
        return has_any(one.data, test) if one.unpack_hook is None else None
    except (AttributeError, RuntimeError):  # it was released, or the handles of this PyTorch show nothing
        return None


cdef object values_of(tensor, char* impl):
    """The elements of a small tensor, whose `TensorImpl` is `impl` or not known, as `small_values` gives them out."""
    cdef char room[MOST_FOREIGN]
    cdef char* block
    cdef int64_t index[INLINE]
    cdef int64_t at = 0
    cdef object one
    cdef int dtype
    cdef Py_ssize_t place, count, size
    if impl == NULL or PyObject_CallNoArgs(PROFILING) is True:
        return small_values(tensor)
    dtype, count = dtype_at(impl), word(impl, AT_NUMEL)
    if count > (SMALL_INDEX if dtype == LONG else SMALL):
        return None
    if dtype != FLOAT and dtype != DOUBLE and dtype != LONG and dtype != INT and dtype != BOOL:
        return small_values(tensor)
    size, block = bytes_over(impl), <char*>pointer_at(impl)
    if size < 0:
        return small_values(tensor)
    if not is_ours(impl):
        if size > MOST_FOREIGN or copied_bytes(room, block, size) != size:
            return small_values(tensor)
        block = room
    memset(index, 0, sizeof(index))
    values = PyTuple_New(count)
    for place in range(count):
        if dtype == FLOAT:
            one = (<float*>block)[at]
        elif dtype == DOUBLE:
            one = (<double*>block)[at]
        elif dtype == LONG:
            one = (<int64_t*>block)[at]
        elif dtype == INT:
            one = (<int32_t*>block)[at]
        else:
            one = block[at] != 0
        Py_INCREF(one)
        PyTuple_SET_ITEM(values, place, one)
        advance(index, <int64_t*>(impl + AT_SHAPE), &at)
    return values


def block_of(tensor, pointer, Py_ssize_t size):
    """What is kept of so many bytes of a tensor, as `samples.py` reads it; NotImplemented where it is not read here."""
    cdef char* impl = impl_of(<PyObject*>tensor) if is_of_one_kind(<PyObject*>tensor) else NULL
    cdef long long begin = PyLong_AsLongLong(pointer)
    cdef long long start
    cdef Py_ssize_t step, place, count
    if impl == NULL or AT_RESIZABLE < 0:
        return NotImplemented
    start = begin_at(impl)
    if begin < start or begin + size > start + word(<char*>word(impl, AT_STORAGE), AT_SIZE):
        return None
    if size <= WHOLE:
        return PyBytes_FromStringAndSize(<char*>begin, size)
    step = max((size // WORD - 1) // (WORDS - 1), 1)
    count = (size // WORD - 1) // step + 1
    found = PyBytes_FromStringAndSize(NULL, count * WORD)
    for place in range(count):
        (<int64_t*>PyBytes_AS_STRING(found))[place] = (<int64_t*>begin)[place * step]
    return found


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


singular.saves_any = saves_any
samples.block_of = block_of
walk.meet_all = meet_all
