"""The system calls that a program in the sandbox may not make, as a BPF program for bwrap.

Namespaces and dropped capabilities refuse most of them already. The filter is the second
wall: it takes away parts of the kernel that ordinary programs never use and in which
escapes were found. What is not named here is allowed; calls that are younger than the
table, and those of other instruction sets (32-bit programs), do not exist.

Own code and no binding of libseccomp: bubblewrap comes without that library, and the
binding pyseccomp had its last release in 2021. Sources: linux/seccomp.h, linux/filter.h, and the
numbers of asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64), with which the
table is compared in the tests.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
import stat
import struct
import termios
from collections.abc import Iterable

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> its column in the tables below, and its AUDIT_ARCH number."""

_NEWEST = 466
"""removexattrat (Linux 6.13), the youngest call that was looked at."""

REFUSED: dict[str, tuple[int, int | None]] = {
    # Other processes' memory and descriptors.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # Mounts, namespaces, file handles that know no folder.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "fanotify_init": (300, 262),
    # Large and often attacked.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Keys belong to the user, not to the namespace.
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    # The kernel and the machine.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # Memory that belongs to no process, so that nobody could count it.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
"""Name -> its number on x86_64 and aarch64, None where it does not exist."""

ABSENT = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments lie in memory, where a filter can't look. Libraries then take older calls."""

ASKED = {"clone": (56, 220), "socket": (41, 198), "ioctl": (16, 29), "mmap": (9, 222)}
"""Calls that are allowed or not by their arguments.

Of maps those are refused that are shared and have no file: what was written there stays when
its pages are advised away or all but one are unmapped, and nobody could count it."""

MODES: dict[str, tuple[tuple[int | None, int | None], int, int | None]] = {
    "chmod": ((90, None), 1, None),
    "fchmod": ((91, 52), 1, None),
    "fchmodat": ((268, 53), 2, None),
    "fchmodat2": ((452, 452), 2, None),
    "mknod": ((133, None), 1, None),
    "mknodat": ((259, 33), 2, None),
    "creat": ((85, None), 1, None),
    "open": ((2, None), 2, 1),
    "openat": ((257, 56), 3, 2),
}
"""Calls that could leave a program in the folder that runs as us when another user starts it: name
-> its numbers, which argument is the mode, and which the flags that say whether the mode counts."""

_SET_ID = stat.S_ISUID | stat.S_ISGID
_MAKES_FILE = os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
"""Sockets on the sandbox's own loopback device. AF_UNIX is not among them, for a server's socket
may lie in the folder; nor is AF_VSOCK, which no namespace holds. `socketpair` stays."""

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of linux/sched.h."""

_TERMINAL_INPUT = (termios.TIOCSTI, termios.TIOCLINUX)
"""Type into a terminal."""

# seccomp_data: number, architecture, instruction pointer, six arguments of 64 bits.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, (16, 24, 32, 40, 48, 56)
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def program(machine: str = os.uname().machine) -> bytes | None:
    """The filter for `bwrap --seccomp`, or None for a machine that is not in the table."""
    if machine not in ARCHITECTURES:
        return None
    column, architecture = ARCHITECTURES[machine]
    clone, sockets, ioctl, maps = (numbers[column] for numbers in ASKED.values())
    first, second, _, fourth, *_ = _ARGUMENTS
    no = _ERROR | errno.EPERM
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        *_unless(_EQUAL, architecture, _KILL),
        _instruction(_LOAD, _NUMBER),
        *_when(_GREATER, _NEWEST, _ERROR | errno.ENOSYS),  # the x32 calls of x86_64 as well
        *_each([numbers[column] for numbers in ABSENT.values()], _ERROR | errno.ENOSYS),
        *_each([numbers[column] for numbers in REFUSED.values()], no),
        *_asked(clone, first, _when(_ANY_BIT, _NEW_NAMESPACES, no)),
        *_asked(ioctl, second, _each(_TERMINAL_INPUT, no)),
        *_asked(sockets, first, [*_each(_FAMILIES, _ALLOW), _instruction(_RETURN, no)]),
        *_asked(
            maps,
            fourth,
            [
                *_unless(_ANY_BIT, mmap.MAP_ANONYMOUS, _ALLOW),
                *_when(_ANY_BIT, mmap.MAP_SHARED, no),
            ],
        ),
    ]
    for numbers, mode, flags in MODES.values():
        tests = [_instruction(_LOAD, _ARGUMENTS[mode]), *_when(_ANY_BIT, _SET_ID, no)]
        if flags is None:
            code += _asked(numbers[column], _ARGUMENTS[mode], tests[1:])
        else:
            makes = _unless(_ANY_BIT, _MAKES_FILE, _ALLOW)
            code += _asked(numbers[column], _ARGUMENTS[flags], [*makes, *tests])
    return b"".join([*code, _instruction(_RETURN, _ALLOW)])


def _instruction(code: int, operand: int, *, yes: int = 0, no: int = 0) -> bytes:
    """struct sock_filter; `yes` and `no` are how many instructions are passed over."""
    return struct.pack("=HBBI", code, yes, no, operand)


def _when(test: int, operand: int, verdict: int) -> list[bytes]:
    return [_instruction(test, operand, no=1), _instruction(_RETURN, verdict)]


def _unless(test: int, operand: int, verdict: int) -> list[bytes]:
    return [_instruction(test, operand, yes=1), _instruction(_RETURN, verdict)]


def _each(operands: Iterable[int | None], verdict: int) -> list[bytes]:
    return [
        part
        for operand in operands
        if operand is not None
        for part in _when(_EQUAL, operand, verdict)
    ]


def _asked(number: int | None, argument: int, tests: list[bytes]) -> list[bytes]:
    """For one call: its argument is loaded and tested, and allowed when no test decided."""
    if number is None:
        return []
    inner = [_instruction(_LOAD, argument), *tests, _instruction(_RETURN, _ALLOW)]
    return [_instruction(_EQUAL, number, no=len(inner)), *inner]
