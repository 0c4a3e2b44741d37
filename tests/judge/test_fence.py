"""The operating system keeps a fenced program from acting: every way that we know of is tried, and each is noted."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from inplace.judge.fenced import Ended, Fenced

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no fence, and nothing is replayed")

SHARED = Path(f"/dev/shm/inplace-test-{os.getpid()}")  # noqa: S108  # what a replay must not touch


class World:
    """What a program may act on, and how it looks."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.file, self.pipe = folder / "mine", folder / "pipe"
        self.file.write_text("mine")
        SHARED.write_bytes(bytes(64))
        stack.callback(SHARED.unlink, missing_ok=True)
        os.mkfifo(self.pipe)
        self._pipe = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, self._pipe)
        self.tcp = stack.enter_context(socket.socket())
        self.tcp.bind(("127.0.0.1", 0))
        self.udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        self.udp.bind(("127.0.0.1", 0))
        self.local, self.abstract = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        self.local.bind(str(folder / "socket"))
        self.abstract.bind(f"\0inplace-{os.getpid()}")
        for one in (self.tcp, self.local, self.abstract):
            one.listen()
        self.signals: list[int] = []
        before = signal.signal(signal.SIGUSR1, lambda number, _: self.signals.append(number))
        stack.callback(signal.signal, signal.SIGUSR1, before)
        self._folder = folder

    def looks(self) -> dict[str, Any]:
        """Everything that would show an act."""
        files = {}
        for path in [*self._folder.iterdir(), SHARED]:
            found = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
            files[path.name] = (found.st_mode, found.st_mtime_ns, found.st_nlink, content, os.listxattr(path))
        waiting = [self.tcp, self.udp, self.local, self.abstract, self._pipe]
        return {
            "files": files,
            "heard": len(select.select(waiting, [], [], 0)[0]),
            "signals": len(self.signals),
            "process": (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0), os.sched_getscheduler(0)),
            "shared": sorted(path.name for path in SHARED.parent.glob(f"*{SHARED.name}*")),
        }

    def names(self) -> dict[str, Any]:
        """What a program needs to know to act on it."""
        return {
            "PID": os.getpid(),
            "FILE": str(self.file),
            "PIPE": str(self.pipe),
            "SOCKET": str(self._folder / "socket"),
            "ABSTRACT": f"\0inplace-{os.getpid()}",
            "TCP": self.tcp.getsockname()[1],
            "UDP": self.udp.getsockname()[1],
            "SHARED": str(SHARED),
            "MEMORY": id(self.signals),
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """What a program may act on."""
    with ExitStack() as stack:
        outside = tmp_path / "outside"
        outside.mkdir()
        yield World(outside, stack)


def fenced(folder: Path, code: str, world: World | None = None) -> Ended:
    """How a program ended behind the fence."""
    own = folder / "replays" / "run"
    own.mkdir(parents=True)
    begin = "import atexit, ctypes, fcntl, mmap, os, resource, signal, socket, sys, tempfile, threading, time\n"
    begin += "C = ctypes.CDLL(None, use_errno=True)\n"
    begin += "".join(f"{name} = {value!r}\n" for name, value in (world.names() if world is not None else {}).items())
    begin += f"OWN = {str(own)!r}\nopen(OWN + '/begun', 'w').close()\n"
    ended = Fenced().run(own, [sys.executable, "-c", begin + code], 60)
    assert isinstance(ended, Ended), ended
    return ended


ACTS = {
    "a connection": ("socket.create_connection(('127.0.0.1', TCP))", "connect 127.0.0.1:"),
    "a connection from a thread": (
        "t = threading.Thread(target=lambda: socket.create_connection(('127.0.0.1', TCP)))\nt.start()\nt.join()",
        "connect 127.0.0.1:",
    ),
    "a connection at the end": (
        "atexit.register(lambda: socket.create_connection(('127.0.0.1', TCP)))",
        "connect 127.0.0.1:",
    ),
    "a connection from a finalizer": (
        "class A:\n    def __del__(self, s=socket):\n        s.create_connection(('127.0.0.1', TCP))\na = A()\ndel a",
        "connect 127.0.0.1:",
    ),
    "a connection from C": (
        "s = C.socket(2, 1, 0)\na = b'\\x02\\0' + TCP.to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)\n"
        "C.connect(s, a, 16)",
        "connect 127.0.0.1:",
    ),
    "a connection from a child": (
        "import multiprocessing as m\n"
        "p = m.get_context('fork').Process(target=lambda: socket.create_connection(('127.0.0.1', TCP)))\n"
        "p.start()\np.join()",
        "connect 127.0.0.1:",
    ),
    "a connection from a program": (
        "import subprocess\nsubprocess.run([sys.executable, '-c', "
        "f'import socket; socket.create_connection((\"127.0.0.1\", {TCP}))'])",
        "connect 127.0.0.1:",
    ),
    "TCP fast open": ("socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', TCP))", "sendto"),
    "a datagram": ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', UDP))", "socket"),
    "a message": ("socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('127.0.0.1', UDP))", "socket"),
    "a local socket": ("socket.socket(socket.AF_UNIX).connect(SOCKET)", "connect"),
    "an abstract socket": ("socket.socket(socket.AF_UNIX).connect(ABSTRACT)", "connect"),
    "a socket made outside": ("socket.socket(socket.AF_UNIX).bind(FILE + '.socket')", "bind"),
    "netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "socket"),
    "a signal": ("os.kill(PID, signal.SIGUSR1)", "kill"),
    "a signal from C": ("C.kill(PID, int(signal.SIGUSR1))", "kill"),
    "a signal to the parent": ("os.kill(os.getppid(), signal.SIGTERM)", "kill"),
    "a signal to all": ("C.kill(-1, 15)", "kill"),
    "a signal by thread": ("C.syscall(200, PID, int(signal.SIGUSR1))", "tkill"),
    "a signal with a value": ("C.sigqueue(PID, int(signal.SIGUSR1), None)", "rt_sigqueueinfo"),
    "a signal by descriptor": (
        "signal.pidfd_send_signal(os.pidfd_open(PID), signal.SIGUSR1)",
        "pidfd_send_signal",
    ),
    "signals of a file": ("fcntl.fcntl(os.pipe()[0], 8, PID)", "fcntl"),
    "priority": ("os.setpriority(os.PRIO_PROCESS, PID, 5)", "setpriority"),
    "affinity": ("os.sched_setaffinity(PID, {0})", "sched_setaffinity"),
    "scheduler": ("os.sched_setscheduler(PID, os.SCHED_BATCH, os.sched_param(0))", "sched_setscheduler"),
    "limits": ("resource.prlimit(PID, resource.RLIMIT_CORE, (0, 0))", "prlimit64"),
    "ptrace": ("C.ptrace(16, PID, None, None)", "ptrace"),
    "memory of another": ("C.process_vm_writev(PID, None, 0, None, 0, 0)", "process_vm_writev"),
    "memory through proc": ("open(f'/proc/{PID}/mem', 'r+b')", "open"),
    "a descriptor of another": ("open(f'/proc/{PID}/fd/1', 'w')", "open"),
    "System V memory": ("C.shmget(0, 4096, 0o1600)", "shmget"),
    "System V semaphores": ("C.semget(0, 1, 0o1600)", "semget"),
    "System V messages": ("C.msgget(0, 0o1600)", "msgget"),
    "a message queue": ("C.syscall(240, b'inplace-test', 0o102, 0o600, None)", "mq_open"),
    "keys": ("C.syscall(248, b'user', b'inplace', b'x', 1, -3)", "add_key"),
    "io_uring": ("C.syscall(425, 8, bytes(120))", "io_uring_setup"),
    "a file": ("open(FILE, 'a').write('x')", "open"),
    "a file from C": ("C.open(FILE.encode(), os.O_WRONLY | os.O_TRUNC)", "open"),
    "a file by openat2": (
        "C.syscall(437, -100, FILE.encode(), (os.O_RDWR).to_bytes(8, 'little') + bytes(16), 24)",
        "open",
    ),
    "a file by another's link": ("os.symlink(FILE, OWN + '/link')\nopen(OWN + '/link', 'w')", "open"),
    "a hard link": ("os.link(FILE, OWN + '/hard')", "link"),
    "a new file": ("open(FILE + '.new', 'x')", "open"),
    "a folder": ("os.mkdir(FILE + '.d')", "mkdir"),
    "truncation": ("os.truncate(FILE, 0)", "truncate"),
    "removal": ("os.unlink(FILE)", "unlink"),
    "removal by a relative path": ("os.chdir(os.path.dirname(FILE))\nos.unlink('mine')", "unlink"),
    "a name": ("os.rename(FILE, FILE + '2')", "rename"),
    "a file moved over": ("open(OWN + '/x', 'w')\nos.replace(OWN + '/x', FILE)", "rename"),
    "a mode": ("os.chmod(FILE, 0o777)", "chmod"),
    "a mode by descriptor": ("os.fchmod(os.open(FILE, os.O_RDONLY), 0o777)", "fchmod"),
    "times": ("os.utime(FILE, (0, 0))", "utimens"),
    "an attribute": ("os.setxattr(FILE, 'user.x', b'x')", "setxattr"),
    "a lock": ("fcntl.flock(os.open(FILE, os.O_RDONLY), fcntl.LOCK_EX)", "flock"),
    "a lock of bytes": ("fcntl.lockf(os.open(FILE, os.O_RDONLY), fcntl.LOCK_SH)", "fcntl"),
    "a named pipe": ("os.open(PIPE, os.O_WRONLY | os.O_NONBLOCK)", "open"),
    "a named pipe read": ("os.open(PIPE, os.O_RDONLY | os.O_NONBLOCK)", "open"),
    "a named pipe read from C": ("C.open(PIPE.encode(), os.O_NONBLOCK)", "open"),
    "a terminal read": ("os.open('/dev/tty', os.O_RDONLY)", "open"),
    "shared memory": ("open(SHARED, 'r+b')", "open"),
    "shared memory removed": ("os.unlink(SHARED)", "unlink"),
    "shared memory by name": (
        "from multiprocessing import shared_memory\nshared_memory.SharedMemory(name=os.path.basename(SHARED))",
        "open",
    ),
    "a terminal": ("os.open('/dev/ptmx', os.O_RDWR)", "open"),
    "a shell": ("os.system(f'echo x > {FILE}')", "open"),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_fenced_program_does_not_act(name: str, tmp_path: Path, world: World) -> None:
    """The kernel refuses it, whoever asks, and the first thing that was refused is noted."""
    code, told = ACTS[name]
    before = world.looks()

    ended = fenced(tmp_path, code, world)

    assert world.looks() == before
    assert ended.refused is not None
    assert ended.refused.startswith(told)


HARMLESS = {
    "threads": "ts = [threading.Thread(target=sum, args=(range(9),)) for _ in range(3)]\n"
    "[t.start() for t in ts]\n[t.join() for t in ts]",
    "temporary files": "with tempfile.TemporaryDirectory() as d:\n    open(d + '/x', 'w').write('x')\n"
    "    os.mkdir(d + '/y')\n    os.rename(d + '/x', d + '/y/x')\n    os.chmod(d + '/y/x', 0o600)\n"
    "    os.utime(d + '/y/x')",
    "a map of its own": "m = mmap.mmap(-1, 4096)\nm[0] = 1",
    "a memory file": "f = os.memfd_create('x')\nos.write(f, b'x')\nos.ftruncate(f, 9)",
    "pipes with a name": "os.mkfifo(OWN + '/p')\nos.open(OWN + '/p', os.O_RDWR)",
    "what is open already": "open('/dev/stdin').read()\nopen('/proc/self/fd/0').read()",
    "random bytes": "open('/dev/urandom', 'rb').read(1)",
    "pipes": "r, w = os.pipe()\nos.write(w, b'x')\nos.read(r, 1)",
    "a pair of sockets": "a, b = socket.socketpair()\na.sendmsg([b'x'])\nb.recv(1)",
    "a signal to itself": "signal.signal(signal.SIGUSR1, lambda *_: None)\nos.kill(os.getpid(), signal.SIGUSR1)",
    "its own priority": "os.nice(1)\nos.sched_setaffinity(0, os.sched_getaffinity(0))\n"
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "a program": "import subprocess\nassert subprocess.run(['echo', 'x'], stdout=subprocess.PIPE).stdout == b'x\\n'",
    "what it discards": "open(os.devnull, 'w').write('x')\nprint('x')",
    "what is there already": f"os.makedirs({str(Path(__file__).parent)!r}, exist_ok=True)",
    "what is not there": "import contextlib\nwith contextlib.suppress(FileNotFoundError):\n    os.unlink('/no/such')",
    "who it is": "import getpass, platform\nos.environ.pop('USER', None)\nos.path.expanduser('~')\nplatform.node()",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_fenced_program_may_do_what_stays_its_own(name: str, tmp_path: Path) -> None:
    """Nothing is refused where nobody else would feel it."""
    ended = fenced(tmp_path, HARMLESS[name])

    assert (ended.status, ended.refused, ended.last_line) == (0, None, "")


def test_without_a_fence_nothing_runs(tmp_path: Path) -> None:
    """Where the kernel refuses the fence, as behind another one, the program is not begun, and one sentence says so."""
    source = str(Path(__file__).parents[2] / "src")
    code = (
        f"import pathlib\nsys.path.insert(0, {source!r})\nfrom inplace.judge.fenced import Fenced\n"
        "own = pathlib.Path(OWN) / 'run'\nown.mkdir()\n"
        "found = Fenced().run(own, [sys.executable, '-c', 'open(\"' + OWN + '/ran\", \"w\")'], 60)\n"
        "print(found, file=sys.stderr)\n"
    )

    ended = fenced(tmp_path, code)

    assert ended.last_line == (
        "the system has no fence for a replay (Device or resource busy), and code that could act is not run again "
        "without one"
    )
    assert not (tmp_path / "replays" / "run" / "ran").exists()


def test_what_is_refused_after_the_code_does_not_count(tmp_path: Path, world: World) -> None:
    """It is refused all the same."""
    before = world.looks()

    ended = fenced(tmp_path, "open(OWN + '/ended', 'w').close()\nos.kill(PID, signal.SIGUSR1)", world)

    assert world.looks() == before
    assert (ended.refused, ended.last_line) == (None, "PermissionError: [Errno 1] Operation not permitted")


WAITS = (
    "import os, signal\nif os.fork() == 0:\n    signal.pause()\n"
    "with open({ready!r}, 'w') as ready:\n    print(os.getpid(), os.getppid(), file=ready)\nsignal.pause()\n"
)


def waiting(own: Path) -> list[str]:
    """A program that starts another, tells its own number and the warden's in a pipe, and never ends."""
    own.mkdir(parents=True)
    os.mkfifo(own / "ready")
    return [sys.executable, "-c", WAITS.format(ready=str(own / "ready"))]


def is_left(folder: Path) -> bool:
    """Whether any process was started for a folder and still runs."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.name != str(os.getpid())]
    return any(os.fsencode(folder) in line for line in lines)


def test_all_ends_when_it_is_to_end(tmp_path: Path) -> None:
    """`stop` ends the program and what it has started, and nothing begins any more."""
    own = tmp_path / "replays" / "run"
    command, replays = waiting(own), Fenced()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(replays.run, own, command, 600)
        (own / "ready").read_text()

        replays.stop()

        assert isinstance(found.result(), Ended)
    assert not is_left(own)
    assert replays.run(own, command, 600) == "it was interrupted"


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """So is what it has started."""
    own = tmp_path / "replays" / "run"

    found = Fenced().run(own, [*waiting(own)[:2], "import os, signal\nos.fork()\nsignal.pause()"], 0.5)

    assert found == "the replay took longer than 0.5 seconds"
    assert not is_left(own)


def test_all_ends_with_who_asked(tmp_path: Path) -> None:
    """Where that process is killed, the warden ends everything, and removes the folder of all replays."""
    own = tmp_path / "replays" / "run"
    command = waiting(own)
    code = "import pathlib\nfrom inplace.judge.fenced import Fenced\n"
    code += f"Fenced().run(pathlib.Path({str(own)!r}), {command!r}, 600)"
    asks = subprocess.Popen([sys.executable, "-c", code])
    both = [os.pidfd_open(int(number)) for number in (own / "ready").read_text().split()]

    asks.kill()
    asks.wait()

    for one in both:
        select.select([one], [], [])  # until it has ended
        os.close(one)
    assert not own.parent.exists()
