"""The system calls that may act on the world outside, by number, and which of their uses are looked at."""

from __future__ import annotations

import platform
from dataclasses import dataclass

_ALWAYS = 0xFFFFFFFF
WRITING = 0o3 | 0o100 | 0o1000
"""Flags of an open that may change something: O_WRONLY, O_RDWR, O_CREAT and O_TRUNC."""

_FASTOPEN = 0x20000000  # MSG_FASTOPEN: a send that connects


@dataclass(frozen=True, slots=True)
class Bits:
    """An argument with any of some bits set; `high` for the upper half of a pointer."""

    argument: int
    mask: int
    high: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """An argument that is one of some values."""

    argument: int
    values: tuple[int, ...]


def _pointer(argument: int) -> tuple[Bits, Bits]:
    return Bits(argument, _ALWAYS), Bits(argument, _ALWAYS, high=True)


NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # On x86-64, and on the architectures that share one table (aarch64, riscv64).
    # Files.
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "creat": (85, None),
    "truncate": (76, 45),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rmdir": (84, None),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "flock": (73, 32),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    # Sockets.
    "socket": (41, 198),
    "bind": (49, 200),
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # Other processes.
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "prlimit64": (302, 261),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "ptrace": (101, 117),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    # What processes share by number or name.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "request_key": (249, 218),
    # A ring does system calls that no filter sees.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # The machine, for those who have rights.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fsconfig": (431, 431),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "iopl": (172, None),
    "ioperm": (173, None),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
}

LAST = 469
"""The newest number that this table was made with; the kernel is to say of later ones that there are none."""

SET_OWNER = (8, 15)  # F_SETOWN and F_SETOWN_EX of fcntl: who gets its signals
IOCTL_OWNER = (0x8901, 0x8902)  # FIOSETOWN and SIOCSPGRP
_LOCKS = (6, 7, 37, 38, 1024, 1026)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE and F_NOTIFY
_IOCTLS = (
    *IOCTL_OWNER,
    *(0x40086602, 0x401C5820, 0xC0045877, 0xC0045878),  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FIFREEZE, FITHAW
    *(0x5402, 0x5403, 0x5404, 0x540B, 0x540E, 0x5410, 0x5412, 0x5414, 0x541C),  # a terminal's: TCSETS ... TIOCLINUX
    *(0x890B, 0x890C, 0x8914, 0x8916, 0x8918, 0x891A, 0x891C, 0x8922, 0x8924, 0x8955, 0x8953),  # a network's
)

ONLY: dict[str, tuple[Bits | Values, ...]] = {
    # Of these only the uses that any of the tests is true of are looked at.
    "fcntl": (Values(1, SET_OWNER + _LOCKS),),
    "ioctl": (Values(1, _IOCTLS),),
    "sendto": (Bits(3, _FASTOPEN), *_pointer(4)),
    "sendmsg": (Bits(2, _FASTOPEN),),
    "sendmmsg": (Bits(3, _FASTOPEN),),
    "prlimit64": _pointer(2),
}


def this_machine() -> tuple[int, dict[str, int]] | None:
    """The kernel's word for this architecture and its numbers, None where they are not known."""
    known = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}
    if platform.machine() not in known:
        return None
    word, column = known[platform.machine()]
    return word, {name: number for name, both in NUMBERS.items() if (number := both[column]) is not None}
