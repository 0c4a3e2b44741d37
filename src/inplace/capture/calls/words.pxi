"""The words of tensors, read where they lie; see NOTE [ Read where it lies ]. Each tells nothing where that can't be."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from inplace.capture.calls import offsets

cdef enum:
    INLINE = 5
    LAYOUTS = 256  # layouts that are found without asking a dictionary
    DTYPES = 64

if INLINE != offsets.INLINE:
    raise ImportError("built for tensors of another kind")

OFFSETS = offsets.find()
cdef bint IS_DIRECT = OFFSETS is not None
cdef Py_ssize_t AT_IMPL, AT_STORAGE, AT_META, AT_VERSION, AT_SHAPE, AT_OFFSET, AT_NUMEL, AT_DTYPE, AT_KEYS
cdef Py_ssize_t AT_POINTER, AT_SIZE, AT_RESIZABLE, AT_COUNT, AT_CREATION
cdef uint64_t PLAIN_KEYS = 0
cdef int64_t ITEMSIZES[DTYPES]


cdef int _keep_offsets() except -1:
    global AT_IMPL, AT_STORAGE, AT_META, AT_VERSION, AT_SHAPE, AT_OFFSET, AT_NUMEL, AT_DTYPE, AT_KEYS
    global AT_POINTER, AT_SIZE, AT_RESIZABLE, AT_COUNT, AT_CREATION, PLAIN_KEYS
    cdef int dtype
    AT_IMPL, AT_STORAGE, AT_META, AT_VERSION = OFFSETS.impl, OFFSETS.storage, OFFSETS.meta, OFFSETS.version
    AT_SHAPE, AT_OFFSET, AT_NUMEL, AT_DTYPE = OFFSETS.shape, OFFSETS.offset, OFFSETS.numel, OFFSETS.dtype
    AT_KEYS, AT_POINTER, AT_COUNT, PLAIN_KEYS = OFFSETS.keys, OFFSETS.pointer, OFFSETS.count, OFFSETS.plain
    AT_SIZE, AT_RESIZABLE = OFFSETS.size, -1 if OFFSETS.resizable is None else OFFSETS.resizable
    AT_CREATION = -1 if OFFSETS.creation is None else OFFSETS.creation
    for dtype in range(DTYPES):
        ITEMSIZES[dtype] = OFFSETS.itemsizes.get(dtype, 0)
    return 0

if IS_DIRECT:
    _keep_offsets()


cdef inline int64_t word(char* block, Py_ssize_t at) noexcept:
    return (<int64_t*>(block + at))[0]


cdef inline char* impl_of(PyObject* tensor) noexcept:
    """The `TensorImpl` of a tensor that is dense and on the CPU, of whose elements one at least is there; else NULL."""
    cdef char* impl
    if not IS_DIRECT:
        return NULL
    impl = <char*>word(<char*>tensor, AT_IMPL)
    if impl == NULL or <uint64_t>word(impl, AT_KEYS) != PLAIN_KEYS:
        return NULL
    if not word(impl, AT_NUMEL) or not word(impl, AT_VERSION):
        return NULL
    if dtype_at(impl) >= DTYPES or not ITEMSIZES[dtype_at(impl)] or not begin_at(impl):
        return NULL
    return impl


cdef inline uint16_t dtype_at(char* impl) noexcept:
    return (<uint16_t*>(impl + AT_DTYPE))[0]


cdef inline int64_t begin_at(char* impl) noexcept:
    """Where the bytes of its storage begin."""
    cdef char* storage = <char*>word(impl, AT_STORAGE)
    return 0 if storage == NULL else word(storage, AT_POINTER)


cdef inline int64_t pointer_at(char* impl) noexcept:
    """What `data_ptr` gives out."""
    return begin_at(impl) + word(impl, AT_OFFSET) * ITEMSIZES[dtype_at(impl)]


cdef inline int64_t version_at(char* impl) noexcept:
    return (<uint32_t*>(<char*>word(impl, AT_VERSION) + AT_COUNT))[0]


cdef inline object version_of(PyObject* tensor, char* impl):
    """The version of a tensor, whose `TensorImpl` is `impl` or not known."""
    return read(VERSION, tensor) if impl == NULL else version_at(impl)


cdef inline object pointer_of(tensor, char* impl):
    return PyObject_CallOneArg(DATA_PTR, tensor) if impl == NULL else pointer_at(impl)


cdef inline object offset_of_storage(tensor, char* impl):
    return PyObject_CallOneArg(STORAGE_OFFSET, tensor) if impl == NULL else word(impl, AT_OFFSET)


cdef inline object storage_of(tensor, char* impl):
    """The address of the `StorageImpl` of a tensor."""
    return PyObject_CallOneArg(UNTYPED_STORAGE, tensor)._cdata if impl == NULL else word(impl, AT_STORAGE)


cdef struct Layout:
    long long number  # -1 where there is none
    long long size  # of a storage that holds one tensor of it and no more, 0 where it has gaps
    long long itemsize
    int64_t words[1 + 2 * INLINE]  # dimensions, sizes and strides
    uint16_t dtype


cdef class LayoutsSeen:
    """Finds the numbers of layouts.

    Args:
        layouts: those of the recording.
    """

    cdef dict _ids
    cdef list _sizes, _known
    cdef Layout _layouts[LAYOUTS]
    cdef Layout _other

    def __init__(self, layouts):
        cdef int place
        self._ids, self._sizes, self._known = layouts.ids, layouts.sizes, layouts.known
        for place in range(LAYOUTS):
            self._layouts[place].number = -1

    cdef Layout* of(self, tensor, char* impl) except? NULL:
        """The layout of a tensor, whose `TensorImpl` is `impl` or not known; NULL where it has not been met.

        It is read before another one is asked for.
        """
        cdef Layout* found = &self._other
        cdef int64_t* facts
        cdef uint64_t mixed
        cdef int64_t count
        cdef int place
        cdef bint same = True
        if impl == NULL or word(impl, AT_SHAPE) > INLINE or word(impl, AT_SHAPE) < 0:
            return found if self._ask(tensor, found) else NULL
        facts = <int64_t*>(impl + AT_SHAPE)
        count, mixed = facts[0], dtype_at(impl)
        mixed = mixed * 31 + facts[0]
        for place in range(1, count + 1):
            mixed = (mixed * 31 + facts[place]) * 31 + facts[INLINE + place]
        found = &self._layouts[(mixed ^ (mixed >> 8)) & (LAYOUTS - 1)]
        same = found.number >= 0 and found.dtype == dtype_at(impl) and found.words[0] == count
        for place in range(1, count + 1):
            if not same:
                break
            same = found.words[place] == facts[place] and found.words[INLINE + place] == facts[INLINE + place]
        if same:
            return found
        if not self._ask(tensor, found):
            found.number = -1
            return NULL
        found.dtype, found.words[0] = dtype_at(impl), count
        for place in range(1, count + 1):
            found.words[place], found.words[INLINE + place] = facts[place], facts[INLINE + place]
        return found

    cdef bint _ask(self, tensor, Layout* found) except -1:
        cdef PyObject* number = layout_in(self._ids, tensor)
        if number == NULL:
            return False
        found.number = PyLong_AsLongLong(<object>number)
        found.size = self._sizes[found.number]
        found.itemsize = self._known[found.number].itemsize
        return True
