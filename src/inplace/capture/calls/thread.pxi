"""The state of the thread, asked of C++ where it can be; see NOTE [ Asked without Python ]."""

from inplace.capture.calls import exports

ctypedef uint64_t (*number_teller)() noexcept
ctypedef unsigned char (*flag_teller)() noexcept
ctypedef int64_t* (*layers_teller)() noexcept

EXPORTS = exports.find()
cdef bint IS_EXPORTED = EXPORTS is not None
cdef number_teller TELL_SEQUENCE = NULL
cdef flag_teller TELL_GRAD = NULL
cdef flag_teller TELL_INFERENCE = NULL
cdef layers_teller TELL_LAYERS = NULL

cdef object SEQUENCE = call_notes.sequence
cdef object TRANSFORMING = call_notes.transforming
cdef object GRAD_ENABLED = call_notes.grad_enabled
cdef object INFERENCE = call_notes.inference


cdef int _keep_exports() except -1:
    global TELL_SEQUENCE, TELL_GRAD, TELL_INFERENCE, TELL_LAYERS
    TELL_SEQUENCE = <number_teller><intptr_t>EXPORTS.sequence
    TELL_GRAD, TELL_INFERENCE = <flag_teller><intptr_t>EXPORTS.grad, <flag_teller><intptr_t>EXPORTS.inference
    TELL_LAYERS = <layers_teller><intptr_t>EXPORTS.layers
    return 0

if IS_EXPORTED:
    _keep_exports()


cdef inline long long sequence() except? -1:
    """The number of the next node."""
    return <long long>TELL_SEQUENCE() if IS_EXPORTED else PyLong_AsLongLong(PyObject_CallNoArgs(SEQUENCE))


cdef inline bint is_transforming() except -1:
    """Whether a transform is on."""
    cdef int64_t* ends
    if IS_EXPORTED:
        ends = TELL_LAYERS()
        return ends[0] != ends[1]
    return PyObject_CallNoArgs(TRANSFORMING) is not None


cdef inline int grad_mode() except -1:
    """How a call is run: 0 where gradients are recorded, 1 where not, 2 in inference mode."""
    if IS_EXPORTED:
        return 2 if TELL_INFERENCE() else 0 if TELL_GRAD() else 1
    return 2 if PyObject_CallNoArgs(INFERENCE) else 0 if PyObject_CallNoArgs(GRAD_ENABLED) else 1
