"""Getters of tensors and slots of what we know, found once and read without looking them up.

A getter is the C function behind a descriptor of `torch.Tensor`, a slot the place of an attribute in an object of ours
(`Include/cpython/descrobject.h`).
"""

cdef extern from *:
    """
    #include "frameobject.h"
    #include "structmember.h"
    #ifndef SOURCE_DIGEST
    #define SOURCE_DIGEST ""
    #endif
    static getter getter_of(PyObject* descriptor, void** closure) {
        PyGetSetDef* found = ((PyGetSetDescrObject*)descriptor)->d_getset;
        *closure = found->closure;
        return found->get;
    }
    static PyObject* read_by(getter get, PyObject* tensor, void* closure) {
        return get(tensor, closure);
    }
    /* A weak reference of a class of ours, made without `__init__`, which would read the same arguments again. */
    static PyObject* weak_reference(PyObject* kind, PyObject* one, PyObject* died) {
        PyObject* given = PyTuple_Pack(2, one, died);
        PyObject* made = given == NULL ? NULL : ((PyTypeObject*)kind)->tp_new((PyTypeObject*)kind, given, NULL);
        Py_XDECREF(given);
        return made;
    }
    /* See NOTE [ Found by its tensor ]. */
    static PyObject* one_of_its_references(PyObject* one, PyObject* kind, PyObject* died, int* is_told) {
        Py_ssize_t offset = Py_TYPE(one)->tp_weaklistoffset;
        *is_told = 0;
    #ifndef Py_GIL_DISABLED
        PyWeakReference* ref = offset ? *(PyWeakReference**)((char*)one + offset) : NULL;
        for (int count = 0; count < 8; count++) {
            if (ref == NULL) {
                *is_told = 1;
                return NULL;
            }
            if ((PyObject*)Py_TYPE(ref) == kind && ref->wr_callback == died) {
                *is_told = 1;
                return (PyObject*)ref;
            }
            ref = ref->wr_next;
        }
    #endif
        return NULL;
    }
    /* An object of a class of ours, whose slots are yet to be filled. */
    static PyObject* bare_of(PyObject* kind) {
        return ((PyTypeObject*)kind)->tp_alloc((PyTypeObject*)kind, 0);
    }
    static Py_ssize_t offset_of(PyObject* descriptor) {
        return ((PyMemberDescrObject*)descriptor)->d_member->offset;
    }
    #if PY_VERSION_HEX >= 0x030B0000
    #define instruction_of(frame) PyFrame_GetLasti(frame)
    #else
    #define instruction_of(frame) ((frame)->f_lasti * (int)sizeof(_Py_CODEUNIT))
    #endif
    """
    ctypedef PyObject* (*getter)(PyObject*, void*)
    getter getter_of(object descriptor, void** closure)
    object read_by(getter get, PyObject* tensor, void* closure)
    Py_ssize_t offset_of(object descriptor)
    object bare_of(object kind)
    object weak_reference(object kind, object one, object died)
    PyObject* one_of_its_references(PyObject* one, object kind, object died, bint* is_told) noexcept
    ctypedef struct PyFrameObject:
        pass
    ctypedef struct PyCodeObject:
        pass
    const char* SOURCE_DIGEST
    int instruction_of(PyFrameObject* frame)
    PyCodeObject* PyFrame_GetCode(PyFrameObject* frame)
    PyFrameObject* PyFrame_GetBack(PyFrameObject* frame)
    object PyObject_CallNoArgs(object function)
    object PyObject_CallOneArg(object function, object argument)
    long long PyLong_AsLongLong(object number) except? -1


cdef struct Getter:
    getter get
    void* closure


cdef Getter getter_named(str name) except *:
    descriptor = torch._C.TensorBase.__dict__[name]
    if type(descriptor) is not GetSetDescriptorType:
        raise ImportError(f"{name} of a tensor is no getter of C any more")
    cdef Getter found
    found.get = getter_of(descriptor, &found.closure)
    return found


cdef Py_ssize_t slot_named(str name, kind=TensorRef) except -1:
    descriptor = kind.__dict__[name]
    if type(descriptor) is not MemberDescriptorType:
        raise ImportError(f"{name} of a {kind.__name__} is no slot")
    return offset_of(descriptor)


cdef Getter VERSION = getter_named("_version")
cdef Getter REQUIRES_GRAD = getter_named("requires_grad")
cdef Getter IS_CPU = getter_named("is_cpu")
cdef Getter SHAPE = getter_named("shape")
cdef Getter DTYPE = getter_named("dtype")
cdef Getter BASE = getter_named("_base")
cdef object DATA_PTR = torch._C.TensorBase.__dict__["data_ptr"]
cdef object STRIDE = torch._C.TensorBase.__dict__["stride"]
cdef object STORAGE_OFFSET = torch._C.TensorBase.__dict__["storage_offset"]

cdef Py_ssize_t COUNTER_SLOT = slot_named("counter")
cdef Py_ssize_t GUESSED_SLOT = slot_named("guessed")
cdef Py_ssize_t KEY_SLOT = slot_named("key")
cdef Py_ssize_t LIVE_SLOT = slot_named("live")
cdef Py_ssize_t LOST_SLOT = slot_named("lost")
cdef Py_ssize_t NODE_SLOT = slot_named("node")
cdef Py_ssize_t POINTER_SLOT = slot_named("pointer")
cdef Py_ssize_t STATE_SLOT = slot_named("state")
cdef Py_ssize_t TENSOR_SLOT = slot_named("tensor")
cdef Py_ssize_t VERSION_SLOT = slot_named("version")

cdef Py_ssize_t BUFFERS_SLOT = slot_named("buffers", Known)
cdef Py_ssize_t CHANGES_SLOT = slot_named("changes", Known)
cdef Py_ssize_t DROPS_SLOT = slot_named("drops", Known)
cdef Py_ssize_t FRESH_SLOT = slot_named("fresh", Known)
cdef Py_ssize_t ID_SLOT = slot_named("id", Known)
cdef Py_ssize_t IN_PLACE_SLOT = slot_named("in_place", Known)
cdef Py_ssize_t NUMBERS_SLOT = slot_named("numbers", Known)
cdef Py_ssize_t OPEN_SLOT = slot_named("open", Known)
cdef Py_ssize_t OWN_SLOT = slot_named("own", Known)
cdef Py_ssize_t PASSED_SLOT = slot_named("passed", Known)
cdef Py_ssize_t QUICK_SLOT = slot_named("quick", Known)
cdef Py_ssize_t SWITCHES_SLOT = slot_named("switches", Known)
cdef Py_ssize_t VARIES_SLOT = slot_named("varies", Known)
cdef Py_ssize_t WRITING_SLOT = slot_named("writing", Known)

cdef Py_ssize_t DETAIL_SLOT = slot_named("detail", TensorsSeen)
cdef Py_ssize_t STEP_SLOT = slot_named("step", TensorsSeen)
cdef Py_ssize_t BLOCK_SLOT = slot_named("_block", stacks.Stacks)

cdef object NO_KEY = refs_of_tensors.NO_KEY
cdef PyObject* PLAIN_TENSOR = <PyObject*>torch.Tensor
cdef PyObject* PARAMETER = <PyObject*>torch.nn.Parameter


cdef inline object read(Getter one, PyObject* tensor):
    return read_by(one.get, tensor, one.closure)


cdef inline PyObject* slot(PyObject* ref, Py_ssize_t offset):
    return (<PyObject**>(<char*>ref + offset))[0]


cdef inline void put(PyObject* ref, Py_ssize_t offset, object value):
    cdef PyObject** at = <PyObject**>(<char*>ref + offset)
    cdef PyObject* old = at[0]
    Py_INCREF(value)
    at[0] = <PyObject*>value
    Py_XDECREF(old)


cdef inline bint flag(PyObject* one, Py_ssize_t offset):
    """Whether a slot holds True."""
    return <object>slot(one, offset) is True


cdef inline bint is_plain(PyObject* value):
    """Whether this is a tensor of no subclass."""
    return <PyObject*>Py_TYPE(<object>value) == PLAIN_TENSOR


cdef inline bint is_of_one_kind(PyObject* value):
    """Whether this is a tensor of a class whose getters are those above."""
    cdef PyObject* kind = <PyObject*>Py_TYPE(<object>value)
    return kind == PLAIN_TENSOR or kind == PARAMETER


cdef inline PyObject* ref_of(dict refs, object died, PyObject* tensor) except? NULL:
    """What is known of a tensor: one of `refs`, which call `died` when theirs dies; NULL for nothing.

    NOTE [ Found by its tensor ]
    An object has a list of the weak references to it, and ours is among the first of it. So it is found without making
    an integer of an address, and without asking a dictionary as large as there are tensors, which lies in colder memory.
    Where there are more references in front of it, that dictionary is asked. One that was let go of has a key no more.
    """
    cdef bint is_told
    cdef PyObject* found = one_of_its_references(tensor, TensorRef, died, &is_told)
    if not is_told:
        return PyDict_GetItemWithError(refs, <intptr_t>tensor)
    return NULL if found == NULL or slot(found, KEY_SLOT) == <PyObject*>NO_KEY else found


cdef PyObject* layout_in(dict layouts, tensor) except? NULL:
    """The number of a tensor's layout, NULL where it has not been met; see `Layouts.of`."""
    cdef PyObject* bare = <PyObject*>tensor
    device = None if read(IS_CPU, bare) else tensor.device
    strides = PyObject_CallOneArg(STRIDE, tensor)
    return PyDict_GetItemWithError(layouts, (read(SHAPE, bare), strides, read(DTYPE, bare), device))


cdef object new_ref(tensor, died, number, version, pointer, counter, live, state):
    """What is known of a tensor that is met now, all but its node."""
    new = weak_reference(TensorRef, tensor, died)
    cdef PyObject* ref = <PyObject*>new
    put(ref, KEY_SLOT, <intptr_t><PyObject*>tensor)
    put(ref, VERSION_SLOT, version)
    put(ref, POINTER_SLOT, pointer)
    put(ref, TENSOR_SLOT, number)
    put(ref, COUNTER_SLOT, counter)
    put(ref, LIVE_SLOT, live)
    put(ref, GUESSED_SLOT, False)
    put(ref, LOST_SLOT, False)
    put(ref, STATE_SLOT, state)
    return new
