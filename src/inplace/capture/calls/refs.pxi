"""Weak references of ours, of which there are as many as tensors, as the cyclic collector sees them.

NOTE [ The collector of cycles ]
It comes when so many containers were made, and asks each what it reaches. Ours are made as often as tensors, so it
would come twice as often as without us, and go through a dozen integers of each, every one somewhere else in memory.
So they are not counted when they are made, nor when they go: it comes when the user's own objects have it come. And it
is told only of the slot that has what it looks for.
An object of its kind has two words in front of it (`PyGC_Head`); where that is otherwise, it all stays as it was.
"""

from sys import getsizeof

cdef extern from *:
    """
    enum { HEAD = 2 * sizeof(void*) };
    static Py_ssize_t in_tensor_ref = 0, in_live_storage = 0;
    static int visit_one(PyObject* ref, Py_ssize_t offset, visitproc visit, void* arg) {
        Py_VISIT(Py_TYPE(ref));
        Py_VISIT(*(PyObject**)((char*)ref + offset));
        return _PyWeakref_RefType.tp_traverse(ref, visit, arg);
    }
    static int visit_tensor_ref(PyObject* ref, visitproc visit, void* arg) {
        return visit_one(ref, in_tensor_ref, visit, arg);
    }
    static int visit_live_storage(PyObject* ref, visitproc visit, void* arg) {
        return visit_one(ref, in_live_storage, visit, arg);
    }
    static PyObject* uncounted(PyTypeObject* kind, Py_ssize_t Py_UNUSED(items)) {
        char* block = (char*)PyObject_Calloc(1, HEAD + kind->tp_basicsize);
        if (block == NULL) return PyErr_NoMemory();
        PyObject* made = PyObject_Init((PyObject*)(block + HEAD), kind);
        PyObject_GC_Track(made);
        return made;
    }
    static void free_uncounted(void* one) {
        PyObject_Free((char*)one - HEAD);
    }
    static void keep_from_collector(PyObject* kind, traverseproc visit) {
        ((PyTypeObject*)kind)->tp_traverse = visit;
        ((PyTypeObject*)kind)->tp_alloc = uncounted;
        ((PyTypeObject*)kind)->tp_free = free_uncounted;
    }
    static void keep_refs_from_collector(PyObject* tensor_ref, Py_ssize_t live, PyObject* live_storage, Py_ssize_t refs) {
        in_tensor_ref = live;
        in_live_storage = refs;
        keep_from_collector(tensor_ref, visit_tensor_ref);
        keep_from_collector(live_storage, visit_live_storage);
    }
    """
    Py_ssize_t HEAD
    void keep_refs_from_collector(object tensor_ref, Py_ssize_t live, object live_storage, Py_ssize_t refs)


def is_as_known(kind):
    """Whether the instances of a class have just what a collector's head is in front of them."""
    one = kind(kind, None)
    return getsizeof(one) - kind.__basicsize__ == HEAD and not kind.__itemsize__

if is_as_known(TensorRef) and is_as_known(LiveStorage):
    keep_refs_from_collector(TensorRef, LIVE_SLOT, LiveStorage, LIVE_REFS_SLOT)
