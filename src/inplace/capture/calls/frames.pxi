"""The user's stacks, known by the frames that are there, as `Stacks.key_of` does."""

cdef enum:
    CODES = 1024  # codes whose role is found without asking a dictionary
    FRAMES = 160  # frames of a key, more than are ever kept
    FOUND = 1024  # keys whose stack is found without asking one

if FRAMES <= stacks._DEEPEST + 1:
    raise ImportError("built for keys of fewer frames")

cdef int USER = stacks.USER
cdef int LIBRARY = stacks.LIBRARY
cdef int STOP = stacks.STOP
cdef int MODULE = stacks.MODULE
cdef int DEEPEST = stacks._DEEPEST


cdef struct FoundStack:
    PyObject* key  # which a dictionary holds; NULL for none
    long long stack


cdef class Frames:
    """Finds the ids of stacks.

    Args:
        stacks: gives them out.
    """

    cdef object _stacks
    cdef dict _keys
    cdef PyObject* _codes[CODES]
    cdef int _roles[CODES]
    cdef long long _key[3 * FRAMES]
    cdef FoundStack _found[FOUND]

    def __init__(self, stacks):
        cdef int place
        self._stacks, self._keys = stacks, {}
        for place in range(CODES):
            self._codes[place] = NULL
        for place in range(FOUND):
            self._found[place].key = NULL

    cdef long long stack_of(self, frame, PyObject** module) except -1:
        """The id of the user's stack at a frame, and the innermost that runs a module's forward: a new reference."""
        cdef PyFrameObject* at = <PyFrameObject*><PyObject*>frame
        cdef PyFrameObject* back
        cdef PyObject* code
        cdef PyObject* block
        cdef long long entry = 0
        cdef Py_ssize_t count = 0
        cdef int role
        block = slot(<PyObject*>self._stacks, BLOCK_SLOT)
        Py_INCREF(frame)
        try:
            while at != NULL:
                code = <PyObject*>PyFrame_GetCode(at)
                Py_DECREF(<object>code)  # its frame holds it
                role = self._role(code)
                if role == LIBRARY:
                    entry = <intptr_t>code
                elif role == USER:
                    self._key[count], self._key[count + 1] = <intptr_t>code, instruction_of(at)
                    self._key[count + 2] = entry
                    count += 3
                    if <PyObject*>at == block:
                        break  # what is outside of it stays what it was
                    entry = 0
                    if count > 3 * DEEPEST:
                        break
                elif role == STOP:
                    break
                elif role == MODULE:
                    entry = <intptr_t>code
                    if module[0] == NULL:
                        Py_INCREF(<object><PyObject*>at)
                        module[0] = <PyObject*>at
                back = PyFrame_GetBack(at)
                Py_DECREF(<object><PyObject*>at)
                at = back
            return self._stack_of_key(frame, count)
        except BaseException:
            if module[0] != NULL:
                Py_DECREF(<object>module[0])
                module[0] = NULL
            raise
        finally:
            Py_XDECREF(<PyObject*>at)

    cdef long long _stack_of_key(self, frame, Py_ssize_t count) except -1:
        """The id of the stack at a frame, of which so many words are the key."""
        cdef unsigned long long mixed = count
        cdef FoundStack* one
        cdef PyObject* known
        cdef Py_ssize_t place
        for place in range(count):
            mixed = (mixed ^ <unsigned long long>self._key[place]) * 0x9E3779B97F4A7C15ULL
            mixed ^= mixed >> 29
        one = &self._found[mixed & (FOUND - 1)]
        if one.key != NULL and PyBytes_GET_SIZE(<object>one.key) == 8 * count:
            if memcmp(PyBytes_AS_STRING(<object>one.key), self._key, 8 * count) == 0:
                return one.stack
        key = PyBytes_FromStringAndSize(<char*>self._key, 8 * count)
        known = PyDict_GetItemWithError(self._keys, key)
        if known == NULL:
            self._keys[key] = self._stacks.key_of(frame)[0]
            known = PyDict_GetItemWithError(self._keys, key)
            one.key, one.stack = <PyObject*>key, PyLong_AsLongLong(<object>known)
            return one.stack
        return PyLong_AsLongLong(<object>known)

    cdef int _role(self, PyObject* code) except -1:
        cdef Py_ssize_t place = (<intptr_t>code >> 4) & (CODES - 1)
        if self._codes[place] != code:
            role = self._stacks._roles.get(<intptr_t>code)
            self._roles[place] = self._stacks._classify(<object>code) if role is None else role
            self._codes[place] = code  # which is held there, so that its address stays its own
        return self._roles[place]
