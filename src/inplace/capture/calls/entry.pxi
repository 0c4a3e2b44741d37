"""The way into the mode and out of it again, without a frame of Python's.

NOTE [ No frame of ours ]
PyTorch calls `__torch_function__` for every call of the user's. What is compiled has no frame: nothing of ours stands
in a stack or traceback for the calls that are noted here or not at all, and no time goes into making one.
A function of PyTorch's that is written in Python hands itself over by `handle_torch_function`, whose frame is there
because of us. Between that and the function again a frame of ours is needed, by which theirs are told; see
tracebacks.py, and warned.py for whose line warns.
"""

from cpython.dict cimport PyDict_CheckExact
from cpython.exc cimport PyErr_Clear, PyErr_Fetch, PyErr_NormalizeException, PyErr_Restore, PyErr_SetObject

from inplace.capture.code.tracebacks import HANDLE as handle
from inplace.capture.patches import mode_off, mode_stack

cdef object HANDLE = handle
cdef object POP = mode_stack.pop
cdef object PUSH = mode_stack.push

cdef extern from *:
    """
    static PyMethodDef entry_def = {"__torch_function__", NULL, METH_FASTCALL | METH_KEYWORDS, NULL};
    typedef PyObject* (*entry_function)(PyObject*, PyObject**, Py_ssize_t, PyObject*);
    static PyObject* entry_method(PyObject* kind, entry_function entered) {
        entry_def.ml_meth = (PyCFunction)(void (*)(void))entered;
        return PyDescr_NewMethod((PyTypeObject*)kind, &entry_def);
    }

    /* `__torch_function__` of one mode; see NOTE [ Asked for by its name ]. */
    typedef struct {
        PyObject_HEAD
        PyObject* mode;
        vectorcallfunc call;
    } Bound;
    static entry_function bound_entered;

    static PyObject* named(PyObject* one, const char* name) {
        PyObject* word = PyUnicode_InternFromString(name);
        PyObject* found = word == NULL ? NULL : Py_TYPE(one)->tp_getattro(one, word);
        Py_XDECREF(word);
        return found;
    }
    static PyObject* bound_call(PyObject* bound, PyObject* const* given, size_t count, PyObject* names) {
        return bound_entered(((Bound*)bound)->mode, (PyObject**)given, PyVectorcall_NARGS(count), names);
    }
    static PyObject* bound_named(PyObject* bound, char* name) {
        return strcmp(name, "__self__") == 0 ? Py_NewRef(((Bound*)bound)->mode) : named(bound, name);
    }
    static void bound_dealloc(PyObject* bound) {
        Py_DECREF(((Bound*)bound)->mode);
        PyObject_Free(bound);
    }
    static PyMemberDef bound_members[] = {
        {"__self__", T_OBJECT_EX, offsetof(Bound, mode), READONLY, NULL},
        {NULL},
    };
    static PyTypeObject bound_type = {
        PyVarObject_HEAD_INIT(NULL, 0)
        .tp_name = "inplace.capture.calls.shorthand.Bound",
        .tp_basicsize = sizeof(Bound),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
        .tp_vectorcall_offset = offsetof(Bound, call),
        .tp_call = PyVectorcall_Call,
        .tp_getattr = bound_named,
        .tp_getattro = PyObject_GenericGetAttr,
        .tp_members = bound_members,
        .tp_dealloc = bound_dealloc,
    };
    static PyObject* mode_named(PyObject* mode, char* name) {
        if (strcmp(name, "__torch_function__") != 0) return named(mode, name);
        Bound* bound = PyObject_New(Bound, &bound_type);
        if (bound == NULL) return NULL;
        bound->mode = Py_NewRef(mode);
        bound->call = bound_call;
        return (PyObject*)bound;
    }
    static int answer_by_name(PyObject* kind, entry_function entered) {
        bound_entered = entered;
        if (PyType_Ready(&bound_type) < 0) return -1;
        ((PyTypeObject*)kind)->tp_getattr = mode_named;
        return 0;
    }
    """
    ctypedef PyObject* (*entry_function)(PyObject*, PyObject**, Py_ssize_t, PyObject*) noexcept
    object entry_method(object kind, entry_function entered)
    int answer_by_name(object kind, entry_function entered) except -1
    # Without a look at whether they have raised, for which Cython would put a frame into the traceback:
    PyObject* raw_call "PyObject_Call"(PyObject* function, PyObject* args, PyObject* kwargs) noexcept
    PyObject* raw_vectorcall "PyObject_Vectorcall"(
        PyObject* function, PyObject** args, size_t count, PyObject* names
    ) noexcept
    PyObject* raw_item "PyDict_GetItemWithError"(PyObject* known, PyObject* key) noexcept
    PyFrameObject* PyEval_GetFrame() noexcept
    int PyException_SetTraceback(PyObject* error, PyObject* traceback) noexcept


cdef class Popped:
    """As `mode_off.Popped`, without frames of ours."""

    cdef object _mode

    def __enter__(self):
        self._mode = PyObject_CallNoArgs(POP)
        return self._mode

    def __exit__(self, kind, error, traceback):
        PyObject_CallOneArg(PUSH, self._mode)
        if error is not None:
            mode_off.left(self._mode, error)


mode_off.Popped = Popped

cdef enum:
    MOST_GIVEN = 8  # arguments of `__torch_function__`, itself among them
    NESTED_MOST = 64  # calls within calls of which it is told that they are running

cdef dict NO_KEYWORDS = {}  # which nobody changes
cdef Py_ssize_t ACTIVE_SLOT = 0
cdef Py_ssize_t SHORTHAND_SLOT = 0
cdef object IN_PYTHON = None
cdef object IN_FRAME = None


def entry_of(kind, in_frame):
    """The `__torch_function__` for a class of modes, which hands on to the one it has what is not noted here.

    Args:
        kind: the class.
        in_frame: calls a function with its arguments in a frame of ours.
    """
    global ACTIVE_SLOT, SHORTHAND_SLOT, IN_PYTHON, IN_FRAME
    IN_FRAME = in_frame
    ACTIVE_SLOT, SHORTHAND_SLOT = slot_named("active", kind), slot_named("_shorthand", kind)
    IN_PYTHON = kind.__torch_function__
    answer_by_name(kind, entered)
    return entry_method(kind, entered)


cdef PyObject* entered(PyObject* mode, PyObject** given, Py_ssize_t count, PyObject* names) noexcept:
    """`__torch_function__`: what is given is the function, the types it is overridden for, and its arguments."""
    cdef PyObject* shorthand = slot(mode, SHORTHAND_SLOT)
    cdef PyObject* kwargs = given[3] if count == 4 and given[3] != <PyObject*>None else NULL
    cdef PyObject* known
    if names != NULL or count < 3 or count > 4 or not flag(mode, ACTIVE_SLOT) or shorthand == NULL:
        return in_python(mode, given, count, names)
    if type(<object>shorthand) is not Shorthand or not PyTuple_CheckExact(<object>given[2]):
        return in_python(mode, given, count, names)
    if kwargs != NULL and not PyDict_CheckExact(<object>kwargs):
        return in_python(mode, given, count, names)
    known = raw_item(<PyObject*>(<Shorthand>shorthand)._known, given[0])
    if known == NULL:
        PyErr_Clear()
    elif flag(known, QUICK_SLOT):
        return called(<Shorthand>shorthand, mode, known, given, count, kwargs)
    elif flag(known, PASSED_SLOT) and not flag(known, DROPS_SLOT):
        if not flag(known, SWITCHES_SLOT) or not switches_off(given[2]):
            return made(given, kwargs)
    return in_python(mode, given, count, names)


cdef bint switches_off(PyObject* args) noexcept:
    """Whether a call that sets the gradient mode may switch it off."""
    if IS_EXPORTED and not TELL_GRAD():
        return False
    return PyTuple_GET_SIZE(<object>args) != 1 or <object>PyTuple_GET_ITEM(<object>args, 0) is not True


cdef PyObject* made(PyObject** given, PyObject* kwargs) noexcept:
    """Make a call that was handed over."""
    cdef PyObject* frame = <PyObject*>PyEval_GetFrame()
    cdef PyObject* all[3]
    cdef PyObject* code
    if frame != NULL:
        code = <PyObject*>PyFrame_GetCode(<PyFrameObject*>frame)
        Py_DECREF(<object>code)  # its frame holds it
        if code == <PyObject*>HANDLE:
            all[0], all[1], all[2] = given[0], given[2], <PyObject*>NO_KEYWORDS if kwargs == NULL else kwargs
            return raw_vectorcall(<PyObject*>IN_FRAME, all, 3, NULL)
    return raw_call(given[0], given[2], kwargs)


cdef PyObject* in_python(PyObject* mode, PyObject** given, Py_ssize_t count, PyObject* names) noexcept:
    """Have Python note a call."""
    cdef PyObject* all[MOST_GIVEN]
    cdef Py_ssize_t place, others = count
    if names != NULL:
        others += PyTuple_GET_SIZE(<object>names)
    all[0] = mode
    for place in range(min(others, MOST_GIVEN - 1)):
        all[place + 1] = given[place]
    return raw_vectorcall(<PyObject*>IN_PYTHON, all, min(count, MOST_GIVEN - 1) + 1, names)


cdef PyObject* called(
    Shorthand shorthand, PyObject* mode, PyObject* known, PyObject** given, Py_ssize_t count, PyObject* kwargs
) noexcept:
    """Note a call and make it."""
    cdef PyObject* result
    cdef Py_ssize_t step
    cdef bint is_noted = started(shorthand, <object>mode, <object>known, given[2], kwargs, &step)
    if not is_noted:
        return NULL
    if step == -1:
        return in_python(mode, given, count, NULL)
    if step < 0:
        return made(given, kwargs)
    shorthand.push(step)
    result = made(given, kwargs)
    shorthand.pop()
    if result == NULL:
        failed(shorthand, <object>mode, <object>known, step, given[2], kwargs)
    elif not finished(shorthand, <object>mode, <object>known, step, given[2], kwargs, result):
        Py_DECREF(<object>result)
        return NULL
    return result


cdef inline dict keywords(PyObject* kwargs):
    return NO_KEYWORDS if kwargs == NULL else <dict>kwargs


cdef void set_error(error) noexcept:
    """Let an error be what is raised."""
    PyErr_SetObject(type(error), error)


cdef bint started(Shorthand shorthand, mode, known, PyObject* args, PyObject* kwargs, Py_ssize_t* step) noexcept:
    """Note a call that is about to run; `step` is its own, -1 where Python notes it, -2 where nobody does.

    False where an interrupt came, which is raised then.
    """
    cdef Beginning begun
    begun.frame, begun.module = <PyObject*>PyEval_GetFrame(), NULL
    begun.stack = begun.owner = -1
    step[0] = -1
    try:
        if begun.frame != NULL:
            step[0] = shorthand.begin(known, <object>args, keywords(kwargs), &begun)
        return True
    except BaseException as error:
        fault = error
        step[0] = -2
    finally:
        Py_XDECREF(begun.module)
    return spared(shorthand, mode, fault)


cdef bint finished(
    Shorthand shorthand, mode, known, Py_ssize_t step, PyObject* args, PyObject* kwargs, PyObject* result
) noexcept:
    """Note what a call has given out; False where an interrupt came, which is raised then."""
    try:
        if not shorthand.end(known, step, <object>args, keywords(kwargs), <object>result):
            mode._end(known, step, <object>args, keywords(kwargs), <object>result, shorthand.was_compared(step))
        if step >= shorthand._most:
            shorthand._hooks.full()
        return True
    except BaseException as error:
        fault = error
    return spared(shorthand, mode, fault)


cdef bint spared(Shorthand shorthand, mode, fault) noexcept:
    """Leave off for a fault of ours; False where it was an interrupt, which is raised then."""
    try:
        if mode.spares(fault):
            return True
        fault.__traceback__ = None  # it would have nothing but ours
    except BaseException as error:
        fault = error
    set_error(fault)
    return False


cdef void failed(Shorthand shorthand, mode, known, Py_ssize_t step, PyObject* args, PyObject* kwargs) noexcept:
    """Note that a call has raised what is raised now, and goes on being."""
    cdef PyObject* kind
    cdef PyObject* value
    cdef PyObject* traceback
    PyErr_Fetch(&kind, &value, &traceback)
    PyErr_NormalizeException(&kind, &value, &traceback)
    if traceback != NULL:
        PyException_SetTraceback(value, traceback)
    try:
        shorthand.was_compared(step)  # which lets go of it
        mode.raised(known, step, <object>args, keywords(kwargs), <object>value)
        fault = None
    except BaseException as error:
        fault = error
    if fault is None or spared(shorthand, mode, fault):
        PyErr_Restore(kind, value, traceback)
    else:
        Py_XDECREF(kind)
        Py_XDECREF(value)
        Py_XDECREF(traceback)
