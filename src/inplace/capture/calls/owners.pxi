"""Whose bytes lie where, noted as `Memory` and `Storages` do.

NOTE [ Bytes of the heap ]
What `malloc` gives out for a small array lies in the heap of the process, between where that began and where it ends
now: all of that is there to be read, whoever has it. To ask the kernel for a copy takes longer than all else that is
done about such an array. So it is asked for what lies elsewhere, which may be a file that was cut, or be unmapped.
"""

from inplace.capture.bytes import foreign_memory
from inplace.capture.tables import memory as memories

cdef extern from *:
    """
    #ifdef __linux__
    #include <errno.h>
    #include <stdio.h>
    #include <sys/uio.h>
    #include <unistd.h>
    static uintptr_t heap_begin = 0;
    static void find_heap(void) {
        char line[512];
        unsigned long begin, end;
        FILE* maps = fopen("/proc/self/maps", "r");
        while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
            if (strstr(line, "[heap]") == NULL || sscanf(line, "%lx-%lx", &begin, &end) != 2) continue;
            heap_begin = begin;
            break;
        }
        if (maps != NULL) fclose(maps);
    }
    static int is_in_heap(uintptr_t begin, Py_ssize_t size) {
        return heap_begin && begin >= heap_begin && begin + size <= (uintptr_t)sbrk(0);
    }
    /* The bytes copied; -1 where nobody may read all of them; -2 where the kernel doesn't copy any. */
    static Py_ssize_t copied_bytes(char* here, void* there, Py_ssize_t size) {
        if (is_in_heap((uintptr_t)there, size)) {
            memcpy(here, there, size);
            return size;
        }
        struct iovec mine = {here, (size_t)size}, theirs = {there, (size_t)size};
        ssize_t count = process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0);
        return count == size ? count : count >= 0 || errno == EFAULT ? -1 : -2;
    }
    #else
    static void find_heap(void) {}
    static int is_in_heap(uintptr_t begin, Py_ssize_t size) {
        return 0;
    }
    static Py_ssize_t copied_bytes(char* here, void* there, Py_ssize_t size) {
        return -2;
    }
    #endif
    /* The object that a weak reference is to; None where it has died. */
    static PyObject* living(PyObject* ref) {
        PyObject* found = NULL;
    #if PY_VERSION_HEX >= 0x030D0000
        if (PyWeakref_GetRef(ref, &found) < 0) return NULL;
        return found == NULL ? Py_NewRef(Py_None) : found;
    #else
        found = PyWeakref_GET_OBJECT(ref);
        Py_INCREF(found);
        return found;
    #endif
    }
    static int has_died(PyObject* ref) {
    #if PY_VERSION_HEX >= 0x030D0000
        PyObject* found = NULL;
        PyWeakref_GetRef(ref, &found);
        Py_XDECREF(found);
        return found == NULL;
    #else
        return PyWeakref_GET_OBJECT(ref) == Py_None;
    #endif
    }
    """
    void find_heap()
    bint is_in_heap(uintptr_t begin, Py_ssize_t size)
    Py_ssize_t copied_bytes(char* here, void* there, Py_ssize_t size)
    bint has_died(PyObject* ref)
    object living(PyObject* ref)

cdef int KINDS = memories._KINDS
cdef int MOST_BLOCKS = memories._MOST
cdef int MOST_LATELY = storages.LATELY
cdef object TOO_MANY = storages.TOO_MANY
cdef int FACTS = tensors.FACTS


def copy(pointer, Py_ssize_t size):
    """The bytes at an address; None where nobody may read them any more, NotImplemented where the kernel copies none."""
    cdef Py_ssize_t count
    found = PyBytes_FromStringAndSize(NULL, size)
    count = copied_bytes(<char*>found, <void*><intptr_t>PyLong_AsLongLong(pointer), size)
    return found if count == size else None if count == -1 else NotImplemented


find_heap()
foreign_memory.copied = copy


cdef int length_of(unsigned long long number) noexcept:
    """The bits of a number, as `int.bit_length` tells them."""
    cdef int bits = 0
    while number:
        number >>= 1
        bits += 1
    return bits


cdef class Owners:
    """Tells where the bytes of new tensors lie, and forgets those of the dead.

    Args:
        seen: where tensors get their ids.
    """

    cdef object _storages
    cdef dict _refs, _unasked
    cdef list _sizes
    cdef array.array _rows, _bytes

    def __init__(self, seen):
        self._bytes = seen.storages.sizes
        self._storages, self._refs, self._unasked = seen.storages, seen.refs, seen.storages.unasked
        self._sizes, self._rows = seen.states.layouts.sizes, seen.tensors.rows

    def place(self, memory, list unplaced, long long placed):
        """Add storages to those of a `Memory`, and the tensors met since `placed` whose storages nobody has asked for."""
        cdef dict stretches = memory._stretches
        cdef unsigned long long kinds = 0
        cdef long long count = 0
        cdef PyObject* ref
        for one in unplaced:
            ref = <PyObject*>one
            if not has_died(ref):
                size = self._bytes.data.as_longlongs[PyLong_AsLongLong(<object>slot(ref, LIVE_ID_SLOT))]
                start = <object>slot(ref, LIVE_POINTER_SLOT)
                count += self._add(memory, stretches, one, start, size, &kinds)
        for one in reversed(self._refs.values()):  # which tensors enter in the order of their ids
            ref = <PyObject*>one
            if PyLong_AsLongLong(<object>slot(ref, TENSOR_SLOT)) < placed:
                break
            count += self._add_tensor(memory, stretches, one, &kinds)
        self._keep(memory, kinds, memory._count + count)
        if memory._count > memory._most:
            self._place_living(memory)

    def owner_of(self, memory, unsigned long long start, unsigned long long size):
        """As `Memory.owner_of`."""
        cdef PyObject* there
        if not start or not size:
            return None
        for kind in memory._kinds:
            there = PyDict_GetItemWithError(memory._stretches, (start >> <int>kind) * KINDS + <int>kind)
            if there == NULL:
                continue
            if type(<object>there) is list:
                for one in <list>there:
                    if self._holds(one, start, size):
                        return one
            elif self._holds(<object>there, start, size):
                return <object>there
        return None

    cdef bint _holds(self, one, unsigned long long start, unsigned long long size) except -1:
        """Whether an owner lives and has so many bytes at an address."""
        cdef unsigned long long begin
        if has_died(<PyObject*>one):
            return False
        if type(one) is LiveStorage:
            begin = <object>slot(<PyObject*>one, LIVE_POINTER_SLOT)
        elif type(one) is TensorRef:
            begin = <object>slot(<PyObject*>one, POINTER_SLOT)
        else:
            begin = one.pointer
        return begin <= start and start + size <= begin + <unsigned long long>self._size_of(one)

    cdef long long _size_of(self, one) except -1:
        """As `Storages._size_of`."""
        cdef PyObject* ref = <PyObject*>one
        cdef long long layout
        if type(one) is LiveStorage:
            return self._bytes.data.as_longlongs[PyLong_AsLongLong(<object>slot(ref, LIVE_ID_SLOT))]
        if type(one) is not TensorRef:
            return self._storages._size_of(one)
        if slot(ref, LIVE_SLOT) != <PyObject*>None:
            return 0
        if PyDict_GetItemWithError(self._unasked, <object>slot(ref, POINTER_SLOT)) != ref:
            return 0
        layout = PyLong_AsLongLong(<object>slot(ref, TENSOR_SLOT)) * TENSOR_WIDTH + FACTS
        layout = self._rows.data.as_ints[layout] >> LAYOUT
        return self._sizes[layout]

    cdef object owner_of_new(self, unsigned long long start, unsigned long long size):
        """As `Storages._same_memory` finds it, before anything is noted of it."""
        owner = self._lately(self._storages._unplaced, self._storages._placed, start, size)
        if owner is TOO_MANY:
            self._storages._place()
            owner = None
        return self.owner_of(self._storages._memory, start, size) if owner is None else owner

    cdef object _lately(self, list unplaced, long long placed, unsigned long long start, unsigned long long size):
        """As `Storages._lately`."""
        cdef Py_ssize_t count = 0
        cdef PyObject* ref
        if not start or not size:
            return None
        if PyList_GET_SIZE(unplaced) > MOST_LATELY:
            unplaced[:] = [one for one in unplaced if not has_died(<PyObject*>one)]
            if PyList_GET_SIZE(unplaced) > MOST_LATELY:
                return TOO_MANY
        for one in reversed(self._refs.values()):
            ref = <PyObject*>one
            if PyLong_AsLongLong(<object>slot(ref, TENSOR_SLOT)) < placed:
                break
            count += 1
            if count > MOST_LATELY:
                return TOO_MANY
            if slot(ref, LIVE_SLOT) == <PyObject*>None and self._holds(one, start, size):
                return one
        for one in unplaced:
            if self._holds(one, start, size):
                return one
        return None

    cdef int _place_living(self, memory) except -1:
        """As `Memory._forget_dead`."""
        cdef unsigned long long kinds = 0
        cdef long long count = 0
        cdef dict living = {}, stretches = {}
        for there in memory._stretches.values():
            for one in there if type(there) is list else (there,):
                if not has_died(<PyObject*>one):
                    living[<intptr_t><PyObject*>one] = one
        memory._stretches = stretches
        memory._kinds.clear()
        memory._count = 0
        for one in living.values():
            if type(one) is TensorRef:
                count += self._add_tensor(memory, stretches, one, &kinds)
            else:
                pointer = <object>slot(<PyObject*>one, LIVE_POINTER_SLOT) if type(one) is LiveStorage else one.pointer
                count += self._add(memory, stretches, one, pointer, self._size_of(one), &kinds)
        self._keep(memory, kinds, memory._count + count)
        memory._most = 2 * len(living) + MOST_BLOCKS
        return 0

    cdef int _keep(self, memory, unsigned long long kinds, count) except -1:
        cdef int kind
        for kind in range(KINDS):
            if kinds >> kind == 0:
                break
            if kinds >> kind & 1:
                memory._kinds.add(kind)
        memory._count = count
        return 0

    cdef int _add_tensor(self, memory, dict stretches, one, unsigned long long* kinds) except -1:
        """Add the block of a tensor, if nobody has asked for its storage."""
        pointer = <object>slot(<PyObject*>one, POINTER_SLOT)
        return self._add(memory, stretches, one, pointer, self._size_of(one), kinds)

    cdef int _add(
        self, memory, dict stretches, one, unsigned long long start, long long size, unsigned long long* kinds
    ) except -1:
        """Add a block as `Memory.add` does, and its kind to `kinds`; 0 where it is none."""
        cdef unsigned long long first, last
        cdef int kind
        if not start or not size:
            return 0
        kind = length_of(size - 1)
        kinds[0] |= 1ULL << kind
        first, last = start >> kind, start + size - 1 >> kind
        self._add_under(memory, stretches, first * KINDS + kind, one)
        if last != first:
            self._add_under(memory, stretches, last * KINDS + kind, one)
        return 1

    cdef int _add_under(self, memory, dict stretches, unsigned long long stretch, ref) except -1:
        key = stretch
        cdef PyObject* there = PyDict_GetItemWithError(stretches, key)
        if there == NULL or (type(<object>there) is not list and (there == <PyObject*>ref or has_died(there))):
            stretches[key] = ref
        else:
            memory._add_under(key, ref)
        return 0

    cdef int forget_dead(self) except -1:
        """As `Storages.forget_dead`."""
        cdef list dead
        if len(self._unasked) > self._storages._most:
            dead = [pointer for pointer, ref in self._unasked.items() if has_died(<PyObject*>ref)]
            for pointer in dead:
                del self._unasked[pointer]
            self._storages._most = 2 * len(self._unasked) + MOST
        return 0
