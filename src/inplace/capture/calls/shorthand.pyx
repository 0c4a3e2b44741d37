# cython: language_level=3, binding=False, annotation_typing=False
"""What the mode does for most calls, compiled: the same notes as its own Python makes, in half the time.

NOTE [ Compiled and not ]
This is the path of NOTE [ The hot path ] for calls that change nothing and give out one new tensor, a view or a number.
What goes in is noted whole or not at all, and so is what comes out; Python does what was not.
Nothing here is another fact than there: `tests/capture/test_shorthand.py` records the same programs with and without,
and holds their traces to be equal. Where it was not built, or INPLACE_PURE is set, Python does all of it.

No tensor is kept, and no code of the user's runs in here.
"""

from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Contains, PyDict_DelItem, PyDict_GetItemWithError
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, Py_TYPE
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int32_t, intptr_t, uintptr_t
from libc.string cimport memcmp, memset

from types import GetSetDescriptorType, MemberDescriptorType

import torch

from inplace.capture.bytes import samples
from inplace.capture.calls import call_notes
from inplace.capture.calls.functions import variant_of
from inplace.capture.calls.known import Known
from inplace.capture.code import stacks
from inplace.capture.tables import call_log, layouts, storages, tensor_facts, tensor_states, tensors, tensors_seen
from inplace.capture.tables import refs as refs_of_tensors
from inplace.capture.tables.refs import LiveStorage, TensorRef
from inplace.capture.tables.tensor_facts import small_values
from inplace.capture.tables.tensors_seen import TensorsSeen

include "descriptors.pxi"
include "words.pxi"
include "thread.pxi"

DIGEST = SOURCE_DIGEST.decode()  # SHA-256 of this text and those beside it, when it was compiled


cdef enum:
    GIVEN_MOST = 64  # tensor arguments of a call that is noted here
    LISTING = 4  # positions at which such a call may take a list of them
    CALL_WIDTH = 9
    GIVEN_WIDTH = 3
    TENSOR_WIDTH = 6

if (CALL_WIDTH, GIVEN_WIDTH, TENSOR_WIDTH) != (call_log.WIDTH, call_log.GIVEN_WIDTH, tensors.TENSOR):
    raise ImportError("built for rows of another width")

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    int PyList_SetSlice(object some, Py_ssize_t low, Py_ssize_t high, PyObject* others) except -1

cdef int OWNED = call_notes.OWNED
cdef int SAMPLED_FIRST = samples.FIRST
cdef int LOOKS = call_notes._LOOKS
cdef int LAYOUT = layouts.LAYOUT
cdef int NO_STEP = tensors.NO_STEP
cdef int POSITIONS = call_log.POSITIONS
cdef int STACK = call_log.STACK
cdef int SEQ0 = call_log.SEQ0
cdef int SEQ1 = call_log.SEQ1
cdef int OUTS = call_log.OUTS
cdef int GIVEN = call_log.GIVEN
cdef int LEAF = tensors_seen._LEAF
cdef int LAST = tensors.LAST

cdef set INDICES = call_notes._INDICES


include "frames.pxi"
include "storages.pxi"
include "refs.pxi"
include "views.pxi"
include "owners.pxi"
include "foreign.pxi"
include "elements.pxi"
include "sleeping.pxi"
include "sampling.pxi"
include "entry.pxi"


cdef bint is_simple(values) except -1:
    """Whether a list or tuple holds integers and slices, one at least, and no tensors."""
    for value in values:
        if type(value) not in INDICES:
            return False
    return len(values) > 0


cdef struct Beginning:
    PyObject* frame  # which makes the call
    PyObject* module  # the innermost frame below it that runs a module's forward, a reference of ours; NULL for none
    long long stack
    long long times  # that the stack has made calls
    long long owner  # the module whose forward runs
    Py_ssize_t step


cdef class Shorthand:
    """Notes calls in short, in the tables of one recording; see NOTE [ Compiled and not ].

    Args:
        notes: what notes the calls that are not noted here.
        seen: where tensors get their ids.
        arrivals: where views do that calls give out.
        stacks: where the user's stacks get theirs.
        hooks: what the recorder does around calls.
    """

    cdef Views _views
    cdef LayoutsSeen _met
    cdef Owners _owners
    cdef Foreign _foreign
    cdef Sleeping _sleeping
    cdef Sampling _sampling
    cdef NewStorages _new
    cdef object _seen, _arrivals, _hooks, _samples, _storages, _log, _died, _counters
    cdef dict _refs, _unasked, _values, _asleep, _watched, _live
    cdef list _times, _dead, _running, _external
    cdef dict _module_numbers
    cdef list _modules
    cdef bint _is_naming
    cdef set _plain
    cdef dict _compared
    cdef list _taken
    cdef bint _has_list
    cdef array.array _calls, _given, _outputs, _rows, _states
    cdef long long _origin, _detailed
    cdef Frames _frames
    cdef long long _nested[NESTED_MOST]
    cdef int32_t _listed[LISTING][GIVEN_MOST]  # the numbers of the paths of what is in a list, -1 before one is given
    cdef Py_ssize_t _depth
    cdef dict _known
    cdef long long _most

    def __init__(self, notes, seen, arrivals, stacks, hooks):
        self._seen, self._arrivals, self._hooks, self._samples = seen, arrivals, hooks, hooks.samples
        self._met = LayoutsSeen(seen.states.layouts)
        self._new = NewStorages(seen.storages)
        self._owners, self._frames = Owners(seen), Frames(stacks)
        self._views, self._foreign = Views(seen, self._met, self._new), Foreign(seen, self._met, self._new, self._owners)
        self._sleeping = Sleeping(hooks.parts.contents, seen)
        self._sampling = None if hooks.samples is None else Sampling(hooks.samples, seen, notes)
        self._log, self._storages, self._died = notes.log, seen.storages, seen.died
        self._refs, self._unasked = seen.refs, seen.storages.unasked
        self._states, self._counters = seen.states._facts, seen.counters
        self._values, self._dead = seen.states.values, seen.dead
        self._calls, self._given, self._outputs = notes.log.calls, notes.log.given, notes.log.outputs
        self._rows, self._origin = seen.tensors.rows, notes.log.origin
        self._times, self._running = stacks.times, notes.running
        self._asleep, self._watched, self._external = hooks.asleep, hooks.watched, hooks.external
        self._live, self._plain = seen.storages.live, tensors.PLAIN
        self._detailed, self._most, self._known = notes.detailed, notes.most, notes.known
        numbered, self._is_naming = hooks.parts.naming.modules, hooks.names_modules
        self._module_numbers, self._modules = numbered.found, numbered.refs
        memset(self._listed, 255, sizeof(self._listed))
        self._compared = {}  # by steps of calls that have not ended, what they take that is compared around them

    def running(self):
        """The steps of the calls that were noted here and have not returned, the outermost first."""
        return [self._nested[place] for place in range(min(self._depth, NESTED_MOST))]

    cdef void push(self, Py_ssize_t step) noexcept:
        if self._depth < NESTED_MOST:
            self._nested[self._depth] = step
        self._depth += 1

    cdef void pop(self) noexcept:
        self._depth -= 1

    cdef Py_ssize_t begin(self, known, args, dict kwargs, Beginning* begun) except? -2:
        """Note a call that is about to run; its step, -1 where nothing was noted of it."""
        cdef int32_t row[CALL_WIDTH]
        cdef int32_t given[GIVEN_WIDTH * GIVEN_MOST]
        cdef Py_ssize_t place, count = 0, step
        cdef PyObject* facts = <PyObject*>known
        cdef int function = PyLong_AsLongLong(<object>slot(facts, ID_SLOT))
        if function < 0 or not PyTuple_CheckExact(args) or PyTuple_GET_SIZE(args) > POSITIONS:
            return -1
        if is_transforming():
            return -1
        if flag(facts, VARIES_SLOT) and (flag(facts, BUFFERS_SLOT) or kwargs.get("inplace") is True):
            if variant_of(known.facts.name, args, kwargs):
                function = PyLong_AsLongLong(<object>slot(facts, WRITING_SLOT))
                if function < 0 or not flag(facts, BUFFERS_SLOT) or self._hooks.strict:
                    return -1  # running statistics are written, which moves no counter: all else is as ever
        if PyList_GET_SIZE(self._dead):
            self._bury()
        self._taken, self._has_list = None, False
        for place in range(PyTuple_GET_SIZE(args)):
            if not self._note_given(PyTuple_GET_ITEM(args, place), place, given, &count, begun):
                return -1
        for name, value in kwargs.items():
            if name == "out":
                return -1
            place = self._log.path(name) if type(value) in self._plain else LISTING
            if not self._note_given(<PyObject*>value, place, given, &count, begun):
                return -1
        taken = self._taken
        if not count or (flag(facts, CHANGES_SLOT) and (taken is not None or self._has_list)):
            return -1
        if flag(facts, IN_PLACE_SLOT) and (self._hooks.strict or not self._is_asked(args)):
            return -1
        self._look_around(begun)
        step = begun.step
        self._times[begun.stack] = begun.times + 1
        row[0], row[1], row[3] = function, begun.stack, begun.owner
        row[2] = grad_mode()
        row[4] = row[5] = sequence() - self._origin
        row[6], row[7], row[8] = len(self._given), len(self._outputs), 0
        array.extend_buffer(self._calls, <char*>row, CALL_WIDTH)
        array.extend_buffer(self._given, <char*>given, GIVEN_WIDTH * count)
        if PyList_GET_SIZE(self._running):
            self._log.within[step] = self._running[-1]
        if taken is not None:
            if not self._sleeping.look_over(taken, step):
                self._hooks.look_over(taken)
            self._compared[step] = taken
        return step

    cdef int _look_around(self, Beginning* begun) except -1:
        """What comes before anything is noted of a call, once."""
        if begun.stack >= 0:
            return 0
        begun.step = len(self._calls) // CALL_WIDTH
        put(<PyObject*>self._seen, STEP_SLOT, begun.step)
        if self._watched or PyList_GET_SIZE(self._external):
            self._hooks.look()
        begun.stack = self._frames.stack_of(<object>begun.frame, &begun.module)
        begun.times = self._times[begun.stack]
        if begun.module != NULL and begun.times < OWNED:
            begun.owner = self._owner_of(<object>begun.module)
        put(<PyObject*>self._seen, DETAIL_SLOT, begun.times < self._detailed)
        return 0

    cdef long long _owner_of(self, frame) except -2:
        """As `Listening.module_of`, of a module that has a number."""
        cdef PyObject* number = NULL
        if self._is_naming:
            module = frame.f_locals.get("self")
            number = PyDict_GetItemWithError(self._module_numbers, <intptr_t><PyObject*>module)
            if number != NULL and living(<PyObject*>self._modules[<object>number]) is module:
                return PyLong_AsLongLong(<object>number)
        return self._hooks.module_of(frame)

    cdef bint _note_given(
        self, PyObject* value, Py_ssize_t place, int32_t* given, Py_ssize_t* count, Beginning* begun
    ) except -1:
        """Add the row of an argument, if it is a tensor; False where the call is not for us."""
        cdef PyObject* ref
        cdef PyObject* live
        cdef int32_t state
        if is_of_one_kind(value):
            if count[0] == GIVEN_MOST:
                return False
            ref = self._unmoved(value)
            if ref == NULL:  # it is new, or was written where no call of ours showed it
                if PyObject_CallOneArg(IS_INFERENCE, <object>value):  # it has no counter, and a state for each look
                    return False
                self._look_around(begun)
                if ref_of(self._refs, self._died, value) != NULL or not self._foreign.meet(value, begun.step):
                    self._seen.see(<object>value)
                ref = self._unmoved(value)
                if ref == NULL:
                    return False
            live = slot(ref, LIVE_SLOT)
            if self._asleep and live != <PyObject*>None:
                self._take(live)
            state = PyLong_AsLongLong(<object>slot(ref, STATE_SLOT))
            given += GIVEN_WIDTH * count[0]
            given[0], given[1], given[2] = place, state, state
            count[0] += 1
            return True
        if PyTuple_CheckExact(<object>value) or PyList_CheckExact(<object>value):
            return is_simple(<object>value) or self._note_listed(<object>value, place, given, count, begun)
        return type(<object>value) not in self._plain

    cdef bint _note_listed(
        self, values, Py_ssize_t place, int32_t* given, Py_ssize_t* count, Beginning* begun
    ) except -1:
        """Add the rows of an argument that is a list of tensors; False where it is none, or the call is not for us."""
        cdef Py_ssize_t number = 0
        if place >= LISTING or not len(values) or len(values) > GIVEN_MOST - count[0]:
            return False
        self._has_list = True
        for value in values:
            if not is_of_one_kind(<PyObject*>value):
                return False
            if self._listed[place][number] < 0:
                self._listed[place][number] = self._log.path(f"{place}[{number}]")
            if not self._note_given(<PyObject*>value, self._listed[place][number], given, count, begun):
                return False
            number += 1
        return True

    cdef bint _is_asked(self, tuple args) except -1:
        """Whether somebody has asked for the storage of the first argument, a tensor, that is about to be written."""
        cdef PyObject* ref
        if not args or not is_of_one_kind(<PyObject*>args[0]):
            return False
        ref = ref_of(self._refs, self._died, <PyObject*>args[0])
        return ref != NULL and slot(ref, LIVE_SLOT) != <PyObject*>None

    cdef int _take(self, PyObject* live) except -1:
        """Add a storage to those taken that are compared around the calls that take them, if it is one."""
        cdef PyObject* found = PyDict_GetItemWithError(self._asleep, <object>slot(live, LIVE_ID_SLOT))
        if found != NULL:
            if self._taken is None:
                self._taken = []
            if <object>found not in self._taken:
                self._taken.append(<object>found)
        return 0

    cdef PyObject* _unmoved(self, PyObject* value) except? NULL:
        """What is known of a tensor that is in the state that was noted last; NULL where it is not, or is new."""
        cdef char* impl
        cdef PyObject* ref = ref_of(self._refs, self._died, value)
        if ref == NULL or slot(ref, VERSION_SLOT) == <PyObject*>None:
            return NULL
        impl = impl_of(value)
        if impl != NULL:
            if version_at(impl) != PyLong_AsLongLong(<object>slot(ref, VERSION_SLOT)):
                return NULL
            return ref if pointer_at(impl) == PyLong_AsLongLong(<object>slot(ref, POINTER_SLOT)) else NULL
        try:
            if read(VERSION, value) != <object>slot(ref, VERSION_SLOT):
                return NULL
            if PyObject_CallOneArg(DATA_PTR, <object>value) != <object>slot(ref, POINTER_SLOT):
                return NULL
        except RuntimeError:  # it has no counter any more, or no memory
            return NULL
        return ref

    cdef int _bury(self) except -1:
        """Forget the tensors that have died, as `TensorsSeen.bury` does."""
        cdef long long step = PyLong_AsLongLong(<object>slot(<PyObject*>self._seen, STEP_SLOT))
        cdef list dead = self._dead
        cdef Py_ssize_t place = 0
        cdef long long tensor
        cdef PyObject* ref
        cdef PyObject* known
        while place < PyList_GET_SIZE(dead):  # to which are added those that die meanwhile
            ref = PyList_GET_ITEM(dead, place)
            place += 1
            key = <object>slot(ref, KEY_SLOT)
            known = PyDict_GetItemWithError(self._refs, key)
            if known == ref:
                PyDict_DelItem(self._refs, key)
            tensor = PyLong_AsLongLong(<object>slot(ref, TENSOR_SLOT))
            self._rows.data.as_ints[tensor * TENSOR_WIDTH + LAST] = step
            if slot(ref, LIVE_SLOT) != <PyObject*>None:
                self._new.leave(slot(ref, LIVE_SLOT), <object>slot(ref, TENSOR_SLOT), step)
            elif PyLong_AsLongLong(<object>slot(ref, NODE_SLOT)) < 0:
                pointer = <object>slot(ref, POINTER_SLOT)
                if PyDict_GetItemWithError(self._unasked, pointer) == ref:
                    PyDict_DelItem(self._unasked, pointer)
        PyList_SetSlice(dead, 0, place, NULL)
        return 0

    cdef bint end(self, known, Py_ssize_t step, args, dict kwargs, result) except -1:
        """Note what a call has given out that `begin` has noted; False where nothing was noted of it."""
        cdef long long begun = self._calls.data.as_ints[step * CALL_WIDTH + SEQ0]
        cdef long long made = -1
        cdef long long times
        cdef long long ended = sequence() - self._origin
        cdef PyObject* facts = <PyObject*>known
        cdef bint is_open = flag(facts, OPEN_SLOT), changes = flag(facts, CHANGES_SLOT)
        if ended == begun + 1:
            made = begun
        elif ended != begun and flag(facts, FRESH_SLOT):
            if known.last.get(ended - begun) != LOOKS:
                return False
            made = ended - 1
        if flag(facts, IN_PLACE_SLOT):
            if ended != begun or not self._note_written(step, args, kwargs, result):
                return False
        elif not self._note_result(known, step, args, kwargs, result, made, ended - begun, is_open):
            return False
        self._calls.data.as_ints[step * CALL_WIDTH + SEQ1] = ended
        if ended != begun:
            times = self._times[self._calls.data.as_ints[step * CALL_WIDTH + STACK]]
            if self._sampling is not None and (times <= SAMPLED_FIRST or self._samples.is_on):
                self._sampling.take(known, step, args, kwargs, result, ended - begun)
        if PyList_GET_SIZE(self._external) or (changes and self._watched):
            if self._watched or not self._take_external():
                self._hooks.settle()
        if self._compared and (taken := self.was_compared(step)):
            if not self._sleeping.settle_over(taken, len(self._calls) // CALL_WIDTH - 1):
                self._hooks.settle_over(taken)
        return True

    cdef bint _take_external(self) except -1:
        """Have storages sleep that were met lately; False where Python does it."""
        cdef Py_ssize_t last = len(self._calls) // CALL_WIDTH - 1
        return self._sleeping.take(self._external, last, self._calls.data.as_ints[last * CALL_WIDTH + STACK])

    cdef was_compared(self, Py_ssize_t step):
        """What was compared before a call that `begin` has noted and that has not ended yet; told once."""
        return self._compared.pop(step, None)

    def bury(self):
        """Forget the tensors that have died."""
        self._bury()

    @property
    def owners(self):
        """What tells whose bytes lie where, as `Storages` and `Memory` do."""
        return self._owners

    def meet_view(self, tensor, base, Py_ssize_t step, long long made):
        """The state of a view that a call has given out, as `Arrivals.meet_based` notes it; None where it does that."""
        cdef int32_t state
        return state if self._views.meet(tensor, base, step, made, &state) else None

    def take_all(self, list tensors, list paths, list refs):
        """Note the arguments of a call that takes tensors alone, and what is known of each, as `OptimizerSteps` does."""
        cdef int32_t row[GIVEN_WIDTH]
        cdef PyObject* ref
        cdef Py_ssize_t place
        for place in range(PyList_GET_SIZE(tensors)):
            tensor = tensors[place]
            ref = self._unmoved(<PyObject*>tensor)
            if ref == NULL:
                self._seen.see(tensor)
                ref = ref_of(self._refs, self._died, <PyObject*>tensor)
                if ref == NULL:
                    raise KeyError("a parameter that was just met")
            row[0] = paths[place]
            row[1] = row[2] = PyLong_AsLongLong(<object>slot(ref, STATE_SLOT))
            array.extend_buffer(self._given, <char*>row, GIVEN_WIDTH)
            refs.append(<object>ref)

    def leave_all(self, list refs, Py_ssize_t at):
        """Note the states in which a call has left those tensors, from a place among what was noted of its arguments."""
        cdef int32_t state
        for one in refs:
            tensor = living(<PyObject*>one)
            if tensor is not None:
                if not self._stepped(<PyObject*>one, tensor, &state):
                    state = self._seen.stepped(tensor, one)
                self._given.data.as_ints[at] = state
            at += GIVEN_WIDTH

    cdef bint _stepped(self, PyObject* ref, tensor, int32_t* number) except -1:
        """As `TensorsSeen.stepped`; False, and nothing noted, where that is to do it."""
        cdef char* impl = impl_of(<PyObject*>tensor)
        cdef long long state = PyLong_AsLongLong(<object>slot(ref, STATE_SLOT))
        if impl == NULL or state < 0 or slot(ref, VERSION_SLOT) == <PyObject*>None or flag(ref, GUESSED_SLOT):
            return False
        if pointer_at(impl) != PyLong_AsLongLong(<object>slot(ref, POINTER_SLOT)):
            return False
        if version_at(impl) != PyLong_AsLongLong(<object>slot(ref, VERSION_SLOT)):
            if read(BASE, <PyObject*>tensor) is not None:
                return False
            state = self._again(ref, tensor, impl, state, version_at(impl))
        number[0] = state
        return True

    cdef long long _again(self, PyObject* ref, tensor, char* impl, long long state, version) except -1:
        """Note that a tensor whose last state is `state` is in it again, at another version."""
        cdef long long row[STATE_WIDTH]
        cdef Py_ssize_t place
        for place in range(STATE_WIDTH):
            row[place] = self._states.data.as_longlongs[state * STATE_WIDTH + place]
        row[5], row[8] = PyLong_AsLongLong(version), len(self._rows) // TENSOR_WIDTH
        state = len(self._states) // STATE_WIDTH
        array.extend_buffer(self._states, <char*>row, STATE_WIDTH)
        put(ref, VERSION_SLOT, version)
        put(ref, STATE_SLOT, state)
        if flag(<PyObject*>self._seen, DETAIL_SLOT):
            values = values_of(tensor, impl)
            if values is not None:
                self._values[state] = values
        return state

    cdef bint _note_result(
        self, known, Py_ssize_t step, args, dict kwargs, result, long long made, long long nodes, bint is_open
    ) except -1:
        """Note what a call has given out; False, and nothing noted, where it is not for us."""
        cdef int32_t state
        if not is_of_one_kind(<PyObject*>result):
            if type(result) is tuple or type(result) is list:
                return self._note_results(known, step, args, kwargs, result, made, nodes, is_open)
            if is_open or (type(result) is not float and type(result) is not int and type(result) is not bool):
                return False
            if flag(<PyObject*>known, NUMBERS_SLOT) and type(result) is not bool:
                self._log.results[step] = result
            return True
        if PyList_GET_SIZE(self._dead):
            self._bury()
        if is_open and (nodes > 1 or not self._are_unchanged(args, kwargs)):
            return False
        if not self._state_of(known, result, step, made, is_open, &state):
            return False
        self._add_output(step, state)
        return True

    cdef bint _state_of(
        self, known, result, Py_ssize_t step, long long made, bint is_open, int32_t* state
    ) except -1:
        """Note the state of a tensor that a call has given out; False, and nothing noted, where it is not for us."""
        cdef PyObject* ref
        if ref_of(self._refs, self._died, <PyObject*>result) == NULL:
            return self._meet(known, result, step, made, is_open, state)
        ref = self._unmoved(<PyObject*>result)  # as `x.long()` may give out x
        if ref == NULL:
            return False
        state[0] = PyLong_AsLongLong(<object>slot(ref, STATE_SLOT))
        return True

    cdef bint _note_written(self, Py_ssize_t step, args, dict kwargs, result) except -1:
        """Note that a call has written the values of its first argument, which is no view, and that needs no gradient.

        As `TensorsSeen.stepped` does. False, and nothing noted, where it is not so.
        """
        cdef PyObject* bare = <PyObject*>result
        cdef PyObject* ref = ref_of(self._refs, self._died, bare)
        cdef char* impl = impl_of(bare)
        cdef Layout* layout
        cdef long long state
        cdef int32_t number
        cdef Py_ssize_t place
        if ref == NULL or result is not args[0] or not is_of_one_kind(bare) or self._counters.split:
            return False
        state = PyLong_AsLongLong(<object>slot(ref, STATE_SLOT))
        if state < 0 or slot(ref, VERSION_SLOT) == <PyObject*>None or <object>slot(ref, GUESSED_SLOT):
            return False
        if <object>slot(ref, LOST_SLOT):
            return False
        if (impl == NULL or word(impl, AT_META)) and (read(REQUIRES_GRAD, bare) or read(BASE, bare) is not None):
            return False
        for value in (*args[1:], *kwargs.values()):
            if value is not result and is_of_one_kind(<PyObject*>value) and self._unmoved(<PyObject*>value) == NULL:
                return False
        try:
            layout = self._met.of(result, impl)
            if layout == NULL:
                return False
            version = version_of(bare, impl)
            if pointer_of(result, impl) != <object>slot(ref, POINTER_SLOT):
                return False
        except RuntimeError:  # it has no memory any more
            return False
        if self._states.data.as_longlongs[state * STATE_WIDTH + 4] != (layout.number << LAYOUT | LEAF):
            return False
        if version != <object>slot(ref, VERSION_SLOT):
            state = self._again(ref, result, impl, state, version)
        number = state
        place = self._calls.data.as_ints[step * CALL_WIDTH + GIVEN]
        for value in (*args, *kwargs.values()):
            if is_of_one_kind(<PyObject*>value):
                if value is result:
                    self._given.data.as_ints[place + 2] = number
                place += GIVEN_WIDTH
        self._add_output(step, number)
        return True

    cdef bint _note_results(
        self, known, Py_ssize_t step, args, dict kwargs, results, long long made, long long nodes, bint is_open
    ) except -1:
        """As `_note_result`, for some tensors; where one is not for us, those before it are known when Python asks."""
        cdef int32_t states[GIVEN_MOST]
        cdef Py_ssize_t count = 0
        if len(results) > GIVEN_MOST or (is_open and (nodes > 1 or not self._are_unchanged(args, kwargs))):
            return False
        if PyList_GET_SIZE(self._dead):
            self._bury()
        for result in results:
            if not is_of_one_kind(<PyObject*>result):
                return False
            if not self._state_of(known, result, step, made, is_open, &states[count]):
                return False
            count += 1
        array.extend_buffer(self._outputs, <char*>states, count)
        self._calls.data.as_ints[step * CALL_WIDTH + OUTS] = count
        return True

    cdef bint _meet(
        self, known, tensor, Py_ssize_t step, long long made, bint is_open, int32_t* state
    ) except -1:
        """Note a tensor that a call has given out and that nobody has met; False, and nothing noted, if Python does."""
        cdef char* impl = impl_of(<PyObject*>tensor)
        base = None if impl != NULL and not word(impl, AT_META) else read(BASE, <PyObject*>tensor)
        if base is None:
            if not (is_open or flag(<PyObject*>known, FRESH_SLOT)) or not is_plain(<PyObject*>tensor):
                return False
            try:
                return self._meet_fresh(tensor, impl, step, made, is_open, state)
            except RuntimeError:  # it has no counter, or no memory
                return False
        if flag(<PyObject*>known, OWN_SLOT):
            return False
        made = -1 if made < 0 else made + self._origin
        if not self._views.meet(tensor, base, step, made, state):
            met = self._arrivals.meet_based(tensor, base, step, made)
            if met is None:
                return False
            state[0] = met
        return True

    cdef int _add_output(self, Py_ssize_t step, int32_t state) except -1:
        array.extend_buffer(self._outputs, <char*>&state, 1)
        self._calls.data.as_ints[step * CALL_WIDTH + OUTS] = 1
        return 0

    cdef bint _are_unchanged(self, args, dict kwargs) except -1:
        """Whether a call that may have changed its arguments has not."""
        for value in (*args, *kwargs.values()):
            if is_of_one_kind(<PyObject*>value) and self._unmoved(<PyObject*>value) == NULL:
                return False
        return True

    cdef bint _meet_fresh(
        self, tensor, char* impl, Py_ssize_t step, long long made, bint may_alias, int32_t* state
    ) except -1:
        """Note a tensor that a call has given out in memory of its own; False, and nothing noted, if it has not."""
        cdef PyObject* bare = <PyObject*>tensor
        cdef PyObject* found
        cdef Layout* layout
        cdef int32_t row[TENSOR_WIDTH]
        cdef int flags = 1
        pointer = pointer_of(tensor, impl)
        if not pointer or version_of(bare, impl) or offset_of_storage(tensor, impl):
            return False
        layout = self._met.of(tensor, impl)
        if layout == NULL or not layout.size:
            return False
        row[4] = layout.number << LAYOUT
        found = PyDict_GetItemWithError(self._unasked, pointer)
        if found != NULL and (<object>found)() is not None:
            return False
        if may_alias:
            if self._storages.dead:
                self._storages.bury()
            if tensor.untyped_storage()._cdata in self._live:
                return False
        if (impl != NULL and not word(impl, AT_META)) or not read(REQUIRES_GRAD, bare):
            made, flags = -1, 2
        elif made < 0:
            return False
        number = len(self._rows) // TENSOR_WIDTH
        first = -1 - number
        new = new_ref(tensor, self._died, number, 0, pointer, number, None, first)
        put(<PyObject*>new, NODE_SLOT, -1 if made < 0 else made + self._origin)
        row[0], row[1], row[2], row[3] = 0, step, step, NO_STEP
        row[4] |= flags
        row[5] = made
        array.extend_buffer(self._rows, <char*>row, TENSOR_WIDTH)
        self._refs[<intptr_t>bare] = self._unasked[pointer] = new
        if not number & 255:
            self._owners.forget_dead()
        if flag(<PyObject*>self._seen, DETAIL_SLOT):
            values = values_of(tensor, impl)
            if values is not None:
                self._values[first] = values
        state[0] = first
        return True
