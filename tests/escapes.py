"""What a program, a name or an approved call could try to get out: each with what it tries.

A payload gets what it wants to say out by `escaped`; `attempt` says "refused" with the error
when it was held back. @names@ stand for what lies outside (see `outside`), @numbers@ for the
numbers of system calls on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from workbench.sandbox import Limits

PRELUDE = """
import ctypes, fcntl, os, socket, stat, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = @numbers@
def call(name, *arguments):
    number = name if isinstance(name, int) else NUMBERS.get(name, -1)
    found = libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
def attempt(f):
    try: escaped(f())
    except Exception as error: print("refused:", type(error).__name__, error)
def escaped(what): print("ESCAPED", what)
"""


@dataclass(frozen=True)
class Escape:
    name: str
    tries: str
    how: Literal["python", "shell", "C"]
    payload: str
    says: str = "refused"
    """What its output shows when it was tried and held back (a regular expression)."""
    ended: tuple[str, ...] = ("exit",)
    write: Literal["none", "folder"] = "folder"
    bare: bool = False
    """Does it get out where there is no sandbox, without harm to this machine?"""
    limits: Limits = field(default_factory=lambda: Limits(seconds=20))
    leaves: str = ""
    """What an earlier run in the same folder did, by the shell."""


SMALL = Limits(seconds=10, memory_mb=128, processes=32, disk_mb=8)
BRIEF = Limits(seconds=0.5)


def python(name: str, tries: str, payload: str, **more: object) -> Escape:
    return Escape(name, tries, "python", payload, **more)  # type: ignore[arg-type]


def shell(name: str, tries: str, payload: str, **more: object) -> Escape:
    return Escape(name, tries, "shell", payload, **more)  # type: ignore[arg-type]


def program(name: str, tries: str, payload: str, **more: object) -> Escape:
    return Escape(name, tries, "C", payload, **more)  # type: ignore[arg-type]


FILES = [
    python(
        "absolute path",
        "reads a file outside by its path",
        "attempt(lambda: open('@outside@/secret').read())",
        bare=True,
    ),
    python(
        "absolute path, writing",
        "writes a file outside by its path",
        "attempt(lambda: open('@outside@/witness', 'w').write('x'))",
        bare=True,
    ),
    python(
        "dots",
        "climbs out of the folder",
        "attempt(lambda: open('../outside/secret').read())",
        bare=True,
    ),
    python(
        "many dots",
        "climbs above the root of the file system",
        "attempt(lambda: open('../' * 40 + '@outside@/secret').read())",
        bare=True,
    ),
    python(
        "link found",
        "follows a symbolic link that lies in the folder",
        "attempt(lambda: open('link').read())",
        bare=True,
    ),
    python(
        "folder link found",
        "writes through a link to the folder beside",
        "attempt(lambda: open('deep/up/witness', 'w').write('x'))",
        bare=True,
    ),
    python(
        "link made",
        "makes a symbolic link to a file outside and reads through it",
        "os.symlink('@outside@/secret', 'mine'); attempt(lambda: open('mine').read())",
        bare=True,
    ),
    shell(
        "repository link",
        "gets a folder outside mounted, by a link named .git that an earlier run left",
        "cat /dev/secret .git/secret",
        leaves="ln -s ../dev .git",
        bare=True,
    ),
    shell(
        "repository link, absolute",
        "the same by a path from the root",
        "cat .git/secret",
        leaves="ln -s @outside@ .git",
        bare=True,
    ),
    python(
        "hard link made",
        "gives a file outside a name in the folder",
        "attempt(lambda: os.link('@outside@/secret', 'mine') or open('mine').read())",
        bare=True,
    ),
    python(
        "hard link to the system",
        "gives a system program a name in the folder",
        "attempt(lambda: os.link('/usr/bin/env', 'mine'))",
    ),
    python(
        "moved mount",
        "renames the folder to get at what is above it",
        "attempt(lambda: os.rename('/work', '/tmp/work'))",
    ),
    python(
        "system folder", "adds a file to /usr/lib", "attempt(lambda: open('/usr/lib/mine', 'w'))"
    ),
    python(
        "interpreter",
        "puts a module where the interpreter finds it",
        "import sysconfig\nplace = sysconfig.get_path('purelib')\n"
        "attempt(lambda: open(place + '/sitecustomize.py', 'w'))",
    ),
    python(
        "interpreter's program",
        "changes the interpreter itself",
        "attempt(lambda: open(os.path.realpath(sys.executable), 'r+b'))",
    ),
    python(
        "made writable",
        "changes the rights of the interpreter's folder",
        "attempt(lambda: os.chmod(sys.base_prefix, 0o777))",
    ),
    python("root folder", "makes a file in /", "attempt(lambda: open('/mine', 'w'))"),
    python(
        "folder read-only",
        "writes to a folder that was given for reading",
        "attempt(lambda: open('plain.txt', 'w'))",
        write="none",
        bare=True,
    ),
    python(
        "passwords",
        "reads the machine's accounts",
        "attempt(lambda: open('/etc/shadow').read())\n"
        "names = open('/etc/passwd').read().split(':')[0]\n"
        "print('refused' if names == 'user' else 'ESCAPED')",
    ),
    python(
        "homes",
        "looks for files in all homes but the interpreter's folders",
        """
mine = {os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix), '/work', '/tmp'}
seen = []
for top in {'/home', '/root', '@home@'}:
    for at, folders, files in os.walk(top):
        folders[:] = [f for f in folders if os.path.join(at, f) not in mine]
        seen += files
print('refused' if not seen else f'ESCAPED {seen[:9]}')""",
    ),
    python(
        "other folders",
        "lists folders of the machine that are not needed",
        """
for name in ('var', 'run', 'sys', 'boot', 'mnt', 'srv', 'lost+found'):
    attempt(lambda: os.listdir('/' + name))""",
    ),
    python(
        "devices",
        "opens the machine's memory, log and disks",
        "for d in ('mem', 'port', 'kmsg', 'vda', 'sda', 'nvme0n1', 'fuse', 'kvm', 'tty1'):\n"
        "    attempt(lambda: open('/dev/' + d, 'rb'))",
    ),
    python(
        "device made",
        "makes a node of the first disk",
        "attempt(lambda: os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(254, 0)))",
    ),
    python("device folder", "adds a file to /dev", "attempt(lambda: open('/dev/mine', 'w'))"),
    python(
        "terminal device",
        "opens the terminal of the person at the machine",
        "attempt(lambda: open('/dev/tty', 'w'))",
    ),
    python(
        "zip",
        "unpacks an archive whose names climb out of the folder",
        """
import zipfile
with zipfile.ZipFile('a.zip', 'w') as made: made.writestr('../outside/witness', 'x')
def unpack():
    with zipfile.ZipFile('a.zip') as found:
        for name in found.namelist(): open(name, 'wb').write(found.read(name))
attempt(unpack)""",
        bare=True,
    ),
    python(
        "tar",
        "unpacks an archive with a link and a file beneath it",
        """
import io, tarfile
with tarfile.open('a.tar', 'w') as made:
    link = tarfile.TarInfo('out'); link.type, link.linkname = tarfile.SYMTYPE, '../outside'
    made.addfile(link)
    file = tarfile.TarInfo('out/witness'); file.size = 1
    made.addfile(file, io.BytesIO(b'x'))
attempt(lambda: tarfile.open('a.tar').extractall('.', filter='fully_trusted'))""",
        bare=True,
    ),
    python(
        "setuid file",
        "leaves a program that runs as us when another user starts it",
        """
open('mine', 'w').close()
attempt(lambda: os.chmod('mine', 0o4755))
attempt(lambda: os.fchmod(os.open('mine', os.O_WRONLY), 0o2755))
attempt(lambda: os.open('made', os.O_CREAT | os.O_WRONLY, 0o6755))
attempt(lambda: os.mknod('node', 0o4755 | stat.S_IFREG))""",
    ),
]

PROC = [
    python(
        "/proc/self/root",
        "takes the way by the process's own root",
        "attempt(lambda: open('/proc/self/root@outside@/secret').read())",
        bare=True,
    ),
    python(
        "/proc/1/root",
        "takes the way by the first process's root",
        "attempt(lambda: open('/proc/1/root@outside@/secret').read())",
    ),
    python(
        "/proc/self/fd",
        "reads every descriptor that was handed down",
        """
for number in range(3, 1024):
    try: os.fstat(number)
    except OSError: continue
    attempt(lambda: os.pread(number, 100, 0))
print('refused')""",
        bare=True,
    ),
    python(
        "folder descriptor",
        "climbs out by a descriptor of a folder that was left open",
        """
for number in range(3, 1024):
    try: os.listdir(number)
    except OSError: continue
    escaped(number)
attempt(lambda: os.open('../outside/secret', os.O_RDONLY, dir_fd=os.open('.', os.O_RDONLY)))""",
    ),
    python(
        "environment of others",
        "reads the environment of every process",
        """
for process in filter(str.isdigit, os.listdir('/proc')):
    try: print(open(f'/proc/{process}/environ').read())
    except OSError as error: print('refused', error)
print('refused')""",
        bare=True,
    ),
    python(
        "memory of the victim",
        "reads another process's memory by /proc",
        """
def read():
    for line in open('/proc/@victim@/maps'):
        if '[heap]' in line:
            start, end = (int(part, 16) for part in line.split()[0].split('-'))
            with open('/proc/@victim@/mem', 'rb') as memory:
                memory.seek(start); return memory.read(end - start)
attempt(read)""",
    ),
    python(
        "memory of the first",
        "writes to the memory of the sandbox's first process",
        """
def write():
    line = next(line for line in open('/proc/1/maps') if ' rw' in line)
    with open('/proc/1/mem', 'r+b', 0) as memory:
        memory.seek(int(line.split('-')[0], 16)); memory.write(b'x')
    if 'Seccomp:\\t2' in open('/proc/1/status').read(): raise OSError('but it is filtered as well')
attempt(write)""",
    ),
    python(
        "sysrq",
        "opens the kernel's emergency key",
        "attempt(lambda: open('/proc/sysrq-trigger', 'w'))",
    ),
    python(
        "core pattern",
        "opens the setting that names a program for the kernel to start",
        "attempt(lambda: open('/proc/sys/kernel/core_pattern', 'w'))",
    ),
    python(
        "kernel settings",
        "opens other settings for writing",
        """
for name in ('kernel/modprobe', 'vm/drop_caches', 'kernel/hostname', 'net/ipv4/ip_forward'):
    attempt(lambda: open('/proc/sys/' + name, 'w'))""",
    ),
    python(
        "kernel memory",
        "opens the kernel's memory and log",
        "for name in ('kcore', 'kmsg', 'vmcore'): attempt(lambda: open('/proc/' + name, 'rb'))",
    ),
    python(
        "uid map",
        "maps itself to more users",
        "attempt(lambda: open('/proc/self/uid_map', 'w').write('0 0 4294967295'))",
    ),
    python(
        "out of memory",
        "asks the kernel to kill others first",
        "attempt(lambda: open('/proc/self/oom_score_adj', 'w').write('-1000'))",
    ),
]

SYSTEM_CALLS = [
    python(
        "ptrace",
        "attaches to the sandbox's first process",
        "attempt(lambda: call('ptrace', 16, 1, 0, 0))",
    ),
    python(
        "ptrace, asking for it",
        "offers itself to be traced",
        "attempt(lambda: call('ptrace', 0, 0, 0, 0))",
    ),
    python(
        "ptrace the victim",
        "attaches to a process outside",
        "attempt(lambda: call('ptrace', 16, @victim@, 0, 0))",
    ),
    python(
        "process_vm_readv",
        "reads another process's memory",
        """
buffer = ctypes.create_string_buffer(64)
def read(process):
    start = int(next(l for l in open(f'/proc/{process}/maps') if ' r' in l).split('-')[0], 16)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    there = (ctypes.c_size_t * 2)(start, 64)
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    return call('process_vm_readv', process, here, one, there, one, none)
attempt(lambda: read(@victim@))
attempt(lambda: read(1))""",
    ),
    python(
        "pidfd_getfd",
        "takes a descriptor of another process",
        "attempt(lambda: call('pidfd_getfd', os.pidfd_open(1), 0, 0))",
    ),
    python(
        "unshare",
        "makes a namespace in which it is root",
        "attempt(lambda: call('unshare', 0x10000000))",
    ),
    python(
        "unshare command",
        "the same by the system's program",
        "done = subprocess.run(['unshare', '-Ur', 'id', '-u'], capture_output=True, text=True)\n"
        "print('ESCAPED' if done.stdout.strip() == '0' else 'refused ' + done.stderr)",
    ),
    python(
        "clone",
        "makes a child in a user namespace of its own",
        """
def clone():
    child = call('clone', ctypes.c_ulong(0x10000000 | 17), None, None, None, None)
    if child == 0: os._exit(0)
    return child
attempt(clone)""",
    ),
    python(
        "clone3",
        "the same by the call whose flags no filter can read",
        """
def clone():
    arguments = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17, 0, 0, 0)
    child = call('clone3', arguments, ctypes.c_size_t(64))
    if child == 0: os._exit(0)
    return child
attempt(clone)""",
    ),
    python(
        "setns",
        "enters a namespace of the first process",
        """
for name in ('mnt', 'net', 'pid', 'user'):
    attempt(lambda: call('setns', os.open(f'/proc/1/ns/{name}', os.O_RDONLY), 0))""",
    ),
    python(
        "mount",
        "mounts a file system",
        "attempt(lambda: call('mount', b'x', b'/tmp', b'tmpfs', 0, 0))",
    ),
    python(
        "mount, again writable",
        "mounts /usr again, writable",
        "attempt(lambda: call('mount', None, b'/usr', None, ctypes.c_ulong(0x1020), None))",
    ),
    python(
        "mount by descriptors",
        "uses the new calls for mounts",
        """
attempt(lambda: call('fsopen', b'tmpfs', 0))
attempt(lambda: call('open_tree', -100, b'/', 1))
attempt(lambda: call('move_mount', -100, b'/usr', -100, b'/tmp', 0))
clear = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
attempt(lambda: call('mount_setattr', -100, b'/usr', 0, clear, ctypes.c_size_t(32)))""",
    ),
    python(
        "umount",
        "uncovers what lies under a mount",
        """
for place in (b'/work', b'/proc', b'/tmp', b'/'): attempt(lambda: call('umount2', place, 2))""",
    ),
    python(
        "chroot",
        "changes its root, as in the classic way out",
        """
folder = os.open('/', os.O_RDONLY)
attempt(lambda: os.chroot('/tmp'))
attempt(lambda: call('pivot_root', b'/', b'/tmp'))""",
    ),
    python(
        "file handles",
        "opens a file by its number, without a folder",
        """
handle = ctypes.create_string_buffer(struct.pack('Ii', 8, 1) + struct.pack('II', 2, 0) + bytes(128))
attempt(lambda: call('name_to_handle_at', -100, b'/usr', handle, ctypes.byref(ctypes.c_int()), 0))
attempt(lambda: call('open_by_handle_at', os.open('/usr', os.O_RDONLY), handle, 0))""",
    ),
    python(
        "keys",
        "reads and adds keys of the user's ring",
        """
attempt(lambda: call('keyctl', 0, -4, 1))
attempt(lambda: call('add_key', b'user', b'mine', b'x', ctypes.c_size_t(1), -4))
attempt(lambda: call('request_key', b'user', b'mine', None, -4))""",
    ),
    python(
        "bpf",
        "loads a program into the kernel",
        "attempt(lambda: call('bpf', 0, (ctypes.c_uint64 * 8)(2, 0, 0, 0), 64))",
    ),
    python(
        "perf",
        "watches the processor's events",
        "attempt(lambda: call('perf_event_open', ctypes.create_string_buffer(128), 0, -1, -1, 0))",
    ),
    python(
        "userfaultfd",
        "answers page faults, as exploits do to win races",
        "attempt(lambda: call('userfaultfd', 1))",
    ),
    python(
        "io_uring",
        "makes a ring by which system calls pass the filter",
        "attempt(lambda: call('io_uring_setup', 8, ctypes.create_string_buffer(120)))",
    ),
    python(
        "kernel modules",
        "loads a module or another kernel",
        """
attempt(lambda: call('init_module', b'', 0, b''))
attempt(lambda: call('finit_module', 0, b'', 0))
attempt(lambda: call('kexec_load', 0, 0, 0, 0))""",
    ),
    python(
        "reboot",
        "asks for a restart with a wrong key, which harms nobody",
        "attempt(lambda: call('reboot', 0, 0, 0, 0))",
        says="Operation not permitted",
    ),
    python(
        "clock",
        "sets the machine's clock to what it shows",
        "attempt(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))",
    ),
    python("host name", "renames the machine", "attempt(lambda: socket.sethostname('mine'))"),
    python("kernel log", "reads the kernel's log", "attempt(lambda: call('syslog', 10, None, 0))"),
    python(
        "ports", "asks for the machine's input and output ports", "attempt(lambda: call('iopl', 3))"
    ),
    python(
        "personality",
        "switches off the randomness of addresses",
        "attempt(lambda: call('personality', ctypes.c_ulong(0x0040000)))",
    ),
    python(
        "young calls",
        "makes system calls that are younger than the filter",
        "attempt(lambda: call(467, 0, 0))\nattempt(lambda: call(900, 0))",
        says="Function not implemented",
    ),
    python(
        "x32 calls",
        "makes a system call under its other number",
        "attempt(lambda: call(0x40000000 + 101, 0, 0, 0, 0))",
        says="Function not implemented",
    ),
    program(
        "32-bit calls",
        "calls the kernel as a 32-bit program, where numbers mean other things",
        """int main(void) {
                long found;
                __asm__ volatile ("int $0x80" : "=a"(found) : "a"(20L) : "memory");
                puts(found > 0 ? "ESCAPED" : "refused");
            }""",
        says="",
        ended=("signal",),
    ),
    program(
        "typed input",
        "types a command into a terminal",
        """#include <fcntl.h>
            #include <pty.h>
            #include <sys/ioctl.h>
            int main(void) {
                int here, there;
                if (openpty(&here, &there, 0, 0, 0)) { puts("refused openpty"); return 0; }
                unsigned long long other = 0x7700000000000000ull | TIOCSTI;
                long a = ioctl(there, TIOCSTI, "x"), b = syscall(SYS_ioctl, there, other, "x");
                puts(a == 0 || b == 0 ? "ESCAPED" : "refused");
            }""",
    ),
    python(
        "root",
        "becomes root",
        """
attempt(lambda: os.setuid(0))
attempt(lambda: os.setresgid(0, 0, 0))
attempt(lambda: os.setgroups([0]))""",
    ),
    shell(
        "setuid programs",
        "becomes root by the system's own programs",
        "for p in 'su -c id' 'sudo -n id' 'mount' 'newgrp root' 'passwd -d root'; do\n"
        "  timeout 2 $p < /dev/null 2>&1 | grep -q 'uid=0(root)' && echo ESCAPED $p\n"
        "done; echo refused",
    ),
    python(
        "capabilities",
        "looks for any power that was left",
        """
lines = [line.split() for line in open('/proc/self/status') if line.startswith('Cap')]
print('refused' if all(int(value, 16) == 0 for _, value in lines) else f'ESCAPED {lines}')""",
    ),
    python(
        "limits",
        "raises its own limits",
        """
import resource
for kind in ('DATA', 'FSIZE', 'CPU', 'NOFILE'):
    number = getattr(resource, 'RLIMIT_' + kind)
    attempt(lambda: resource.setrlimit(number, (resource.RLIM_INFINITY,) * 2))
attempt(lambda: os.nice(-20))
attempt(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))""",
    ),
]

NETWORK = [
    python(
        "TCP",
        "connects to a server of this machine",
        "attempt(lambda: socket.create_connection(('127.0.0.1', @tcp@), 2))",
        bare=True,
    ),
    python(
        "TCP over IPv6",
        "the same by IPv6",
        "attempt(lambda: socket.create_connection(('::1', @tcp6@), 2))",
        bare=True,
    ),
    shell(
        "TCP from the shell",
        "the same by bash",
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/@tcp@ && echo ESCAPED' 2>&1 || echo refused",
        bare=True,
    ),
    python(
        "UDP",
        "sends a datagram to a server of this machine",
        """
with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b'x', ('127.0.0.1', @udp@))
print('refused')""",
        bare=True,
    ),
    python(
        "the network",
        "connects to addresses beyond this machine",
        """
for address in ('1.1.1.1', '169.254.169.254', '10.0.0.1', '224.0.0.1'):
    attempt(lambda: socket.create_connection((address, 80), 1))""",
    ),
    python(
        "broadcast",
        "sends to everybody",
        """
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    attempt(lambda: s.sendto(b'x', ('255.255.255.255', 9)))""",
    ),
    python(
        "DNS",
        "asks for a name, which could carry data out",
        "attempt(lambda: socket.getaddrinfo('data.example.com', 80))",
    ),
    python(
        "DNS, by hand",
        "asks name servers directly",
        """
for server in ('8.8.8.8', '127.0.0.53', '10.0.2.3'):
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(0.1)
        attempt(lambda: s.sendto(bytes(12), (server, 53)) and s.recv(1))""",
    ),
    python(
        "socket in the folder",
        "connects to a server whose socket lies in the folder",
        """
attempt(lambda: socket.socket(socket.AF_UNIX).connect('socket'))""",
        bare=True,
    ),
    python(
        "socket outside",
        "connects to a server whose socket lies outside",
        "attempt(lambda: os.chdir('@outside@'))\n"
        "attempt(lambda: socket.socket(socket.AF_UNIX).connect('socket'))",
        bare=True,
    ),
    python(
        "abstract socket",
        "connects to a server's socket that has a name and no file",
        "attempt(lambda: socket.socket(socket.AF_UNIX).connect('\\0@abstract@'))",
        bare=True,
    ),
    python(
        "raw socket",
        "writes its own packets",
        """
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))""",
    ),
    python(
        "netlink",
        "speaks with the kernel about networks",
        "attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))",
        bare=True,
    ),
    python(
        "vsock",
        "speaks with the machine on which this virtual one runs",
        """
attempt(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))""",
    ),
    python(
        "cipher sockets",
        "reaches the kernel's ciphers, Bluetooth and other seldom used parts",
        """
for family in (31, 29, 30, 38, 44):  # Bluetooth, CAN, TIPC, ALG, XDP
    attempt(lambda: socket.socket(family, socket.SOCK_SEQPACKET))""",
    ),
    python(
        "interfaces",
        "looks for another network device than its own loopback",
        """
lines = open('/proc/net/dev').read().splitlines()[2:]
names = {line.split(':')[0].strip() for line in lines} - {'lo', 'sit0', 'tunl0', 'ip6tnl0'}
print('refused' if not names else f'ESCAPED {names}')""",
    ),
]

OTHERS = [
    python(
        "environment",
        "prints its environment",
        "print(dict(os.environ)); print('refused')",
        bare=True,
    ),
    shell(
        "environment by the shell",
        "prints what every variable holds",
        "set; env; echo refused",
        bare=True,
    ),
    python(
        "signal",
        "ends a process outside by its number",
        "attempt(lambda: os.kill(@victim@, 9))",
        bare=True,
    ),
    python(
        "signal to all",
        "ends every process that it may",
        "import signal\nsignal.signal(15, signal.SIG_IGN)\nattempt(lambda: os.kill(-1, 15))",
    ),
    python(
        "signal to the first",
        "ends or stops the sandbox's first process",
        "import signal\nos.kill(1, 9); os.kill(1, signal.SIGSTOP); print('refused')",
    ),
    python(
        "signal by descriptor",
        "ends a process outside by a pidfd",
        "attempt(lambda: os.pidfd_open(@victim@))",
        bare=True,
    ),
    python(
        "limits of others",
        "takes a process outside its memory",
        "import resource\nattempt(lambda: resource.prlimit(@victim@, resource.RLIMIT_CPU, (0, 0)))",
    ),
    python(
        "shared memory of others",
        "lists and takes other programs' segments",
        """
attempt(lambda: call('shmget', 1234, 4096, 0o1600))
names = open('/proc/sysvipc/shm').read().splitlines()[1:]
print('refused' if not names else f'ESCAPED {names}')""",
    ),
    shell(
        "daemon",
        "leaves a process behind that writes later",
        "(setsid sh -c 'trap \"\" HUP TERM; sleep 1; echo late > late' > /dev/null 2>&1 &)\n"
        "echo refused",
    ),
    python(
        "daemon, twice forked",
        "leaves a process behind that has no parent",
        """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(3): os.close(number)
        time.sleep(1); open('late', 'w').close(); time.sleep(60)
    os._exit(0)
print('refused')""",
    ),
    shell(
        "output held open", "leaves a process that keeps the output open", "sleep 60 & echo refused"
    ),
    python(
        "core dump",
        "crashes, so that its memory is written to a file or to another program",
        """
import resource
try: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
except (ValueError, OSError): print('refused', flush=True)
os.kill(os.getpid(), 11)""",
        ended=("signal",),
    ),
    python(
        "terminal",
        "steers the terminal of whoever reads the output",
        "print('\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\x1bP+q\\x1b\\\\ \\r refused')",
        says=r"^\\x1b\]0;title\\x07\\x1b\[2J\\x9b31m\\x1bP\+q\\x1b\\ \\x0d refused\n$",
    ),
]

RESOURCES = [
    python(
        "fork bomb",
        "starts processes without end",
        "while True:\n    os.fork()",
        says="",
        ended=("processes",),
        limits=SMALL,
    ),
    shell(
        "fork bomb by the shell",
        "the same in thirteen letters",
        "bomb() { bomb | bomb & }; bomb; sleep 5",
        says="",
        ended=("processes", "exit"),
        limits=SMALL,
    ),
    python(
        "thread bomb",
        "starts threads without end",
        """
import threading
while True: threading.Thread(target=time.sleep, args=(60,)).start()""",
        says="",
        ended=("processes",),
        limits=Limits(seconds=10, processes=32),
    ),
    python(
        "memory",
        "takes memory until there is none",
        """
try:
    held = []
    while True: held.append(bytearray(1 << 22))
except MemoryError: del held; print('refused')""",
        limits=SMALL,
    ),
    python("memory, at once", "asks for a terabyte", "attempt(lambda: bytearray(1 << 40))"),
    python(
        "memory by many",
        "takes little in each of many processes",
        """
for _ in range(20):
    if os.fork() == 0: held = os.urandom(20 << 20); time.sleep(60)
time.sleep(60)""",
        says="",
        ended=("memory",),
        limits=SMALL,
    ),
    python(
        "memory of later threads",
        "takes memory in processes whose first thread has ended, so that nothing is told of them",
        """
import threading
LAST = 60 if os.uname().machine == 'x86_64' else 93  # exit, of one thread
def hold():
    time.sleep(0.1)
    held = os.urandom(40 << 20); time.sleep(60)
for _ in range(10):
    if os.fork() == 0: threading.Thread(target=hold).start(); call(LAST, 0)
time.sleep(2); escaped('held')""",
        says="",
        ended=("memory",),
        limits=SMALL,
    ),
    python(
        "memory by maps",
        "takes shared memory, which no limit of a process bounds",
        """
import mmap
def fill():
    held = []
    while True:
        held.append(mmap.mmap(-1, 1 << 24))
        held[-1].write(bytes(1 << 24))
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "memory advised away",
        "takes shared memory and says that it is not needed, so that it counts as nobody's",
        """
import mmap
def fill():
    held = []
    for _ in range(256):
        held.append(mmap.mmap(-1, 1 << 20))
        held[-1].write(bytes(1 << 20)); held[-1].madvise(mmap.MADV_DONTNEED)
    return len(held)
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "memory of a child that ended",
        "has its shared memory written by children that are gone by then",
        """
import mmap
def fill():
    held = []
    for _ in range(64):
        held.append(mmap.mmap(-1, 1 << 22))
        child = os.fork()
        if child == 0: held[-1].write(bytes(1 << 22)); os._exit(0)
        os.waitpid(child, 0)
    return len(held)
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "memory behind one page",
        "takes shared memory and keeps a map of its first page only",
        """
libc.mmap.restype = ctypes.c_void_p
def fill():
    for _ in range(256):
        at = libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 0x21, -1, ctypes.c_long(0))
        if at == ctypes.c_void_p(-1).value: raise OSError(ctypes.get_errno(), 'mmap')
        ctypes.memset(at, 1, 1 << 20)
        libc.munmap(ctypes.c_void_p(at + 4096), ctypes.c_size_t((1 << 20) - 4096))
    return 'all'
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "memory of /dev/zero",
        "takes shared memory by mapping the device of zeros",
        """
import mmap
def fill():
    held, zeros = [], os.open('/dev/zero', os.O_RDWR)
    for _ in range(64):
        held.append(mmap.mmap(zeros, 1 << 22))
        held[-1].write(bytes(1 << 22)); held[-1].madvise(mmap.MADV_DONTNEED)
    return len(held)
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "memory of nobody",
        "takes memory that belongs to no process",
        """
attempt(lambda: os.memfd_create('x'))
attempt(lambda: call('memfd_secret', 0))
attempt(lambda: call('shmget', 0, ctypes.c_size_t(1 << 30), 0o1600))
attempt(lambda: call('msgget', 0, 0o1600))
attempt(lambda: call('semget', 0, 1000, 0o1600))""",
    ),
    python(
        "memory in /dev/shm",
        "fills the memory behind /dev/shm",
        "def fill():\n    with open('/dev/shm/x', 'wb') as file:\n"
        "        while True: file.write(bytes(1 << 20))\nattempt(fill)",
        limits=SMALL,
    ),
    python(
        "memory in /tmp",
        "fills the memory behind /tmp by many files",
        """
def fill():
    for number in range(1000):
        with open(f'/tmp/{number}', 'wb') as file: file.write(bytes(1 << 20))
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "one file",
        "writes one file without end",
        """
def fill():
    with open('big', 'wb', 0) as file:
        while True: file.write(bytes(1 << 20))
attempt(fill)""",
        limits=SMALL,
    ),
    python(
        "many files",
        "writes files without end",
        """
number = 0
while True:
    number += 1
    with open(str(number), 'wb') as file: file.write(bytes(1 << 20))""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    python(
        "empty files",
        "makes empty files without end",
        """
number = 0
while True:
    number += 1
    open(str(number), 'wb').close()""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    *(
        python(
            f"empty files in {place}",
            "makes empty files without end in memory, whose size bounds only what is in files",
            f"""
for number in range(100_000): os.mknod(f'{place}/{{number}}')
escaped('all')""",
            says="",
            ended=("disk",),
            write="none",
            limits=SMALL,
        )
        for place in ("/tmp", "/dev/shm")
    ),
    python(
        "deleted files",
        "keeps files open that have no name any more",
        """
held = []
while True:
    held.append(open('gone', 'wb', 0)); held[-1].write(bytes(1 << 20)); os.unlink('gone')""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    python(
        "deleted files of a later thread",
        "keeps such files open in a process whose first thread has ended",
        """
import threading
LAST = 60 if os.uname().machine == 'x86_64' else 93  # exit, of one thread
def hold():
    held = []
    for _ in range(100):
        held.append(open('gone', 'wb', 0)); held[-1].write(bytes(1 << 20)); os.unlink('gone')
    time.sleep(2); escaped('held'); os._exit(0)
threading.Thread(target=hold).start(); call(LAST, 0)""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    python(
        "hidden files",
        "hides what it writes in a folder that can't be read",
        """
os.mkdir('closed'); os.chmod('closed', 0o300)
number = 0
while True:
    number += 1
    with open(f'closed/{number}', 'wb') as file: file.write(bytes(1 << 20))""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    python(
        "reserved files",
        "reserves room without writing",
        """
number = 0
while True:
    number += 1
    with open(str(number), 'wb') as file: os.posix_fallocate(file.fileno(), 0, 1 << 20)""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    python(
        "sparse file",
        "makes a file that seems to have a terabyte",
        "attempt(lambda: os.truncate(os.open('big', os.O_CREAT | os.O_WRONLY), 1 << 40))",
    ),
    python(
        "deep folders",
        "makes folders within folders, too deep for a path",
        """
while True:
    os.mkdir('d' * 200); os.chdir('d' * 200)""",
        says="",
        ended=("disk",),
        limits=SMALL,
    ),
    python(
        "long names",
        "makes names that are too long",
        "attempt(lambda: open('x' * 256, 'w'))\nopen('я' * 127, 'w').close()",
    ),
    shell("output", "writes output without end", "yes", says="left out", ended=("output",)),
    shell(
        "errors",
        "the same to stderr, without line ends",
        "cat /dev/zero >&2",
        says="left out",
        ended=("output",),
    ),
    shell(
        "sleep",
        "waits without end and ignores every signal that it can",
        "trap '' HUP INT TERM QUIT XCPU; echo refused; sleep 600; sleep 600",
        ended=("timeout",),
        limits=BRIEF,
    ),
    python(
        "spin",
        "computes without end",
        "print('refused', flush=True)\nwhile True: pass",
        ended=("timeout",),
        limits=BRIEF,
    ),
    python(
        "stopped",
        "stops itself, so that it never ends",
        "import signal\nprint('refused', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)",
        ended=("timeout",),
        limits=BRIEF,
    ),
    python(
        "pipes and sockets",
        "fills as many buffers of the kernel as it may open",
        """
held = []
def fill():
    while True:
        held.append(socket.socketpair())
        held[-1][0].setblocking(False)
        try:
            while True: held[-1][0].send(bytes(1 << 16))
        except BlockingIOError: pass
attempt(fill)""",
    ),
]

ESCAPES = [*FILES, *PROC, *SYSTEM_CALLS, *NETWORK, *OTHERS, *RESOURCES]

CONTROLS = [
    python("prints", "is a program that does no harm", "print('done')", says="^done\n$"),
    python(
        "writes the folder",
        "writes to a folder that may be written",
        "open('new', 'w').write('x'); print(open('new').read())",
        says="^x\n$",
    ),
    python(
        "reads the folder",
        "reads a folder that may be read",
        "print(open('plain.txt').read())",
        says="plain",
        write="none",
    ),
    python(
        "writes /tmp",
        "uses the private /tmp",
        "open('/tmp/x', 'w').write('x'); print('done')",
        says="done",
        write="none",
    ),
    python(
        "fills /tmp",
        "makes as many small files in the private /tmp as there is room for",
        """
for number in range((8 << 20) // 4096):
    with open(f'/tmp/{number}', 'wb') as file: file.write(bytes(4096))
time.sleep(0.2); print('done')""",
        says="done",
        write="none",
        limits=SMALL,
    ),
    python(
        "children",
        "starts processes and threads",
        """
import multiprocessing, threading
thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()
print(multiprocessing.Pool(2).map(abs, [-1, -2]))""",
        says=r"thread\n\[1, 2\]",
    ),
    python(
        "its own loopback",
        "connects to a server of its own",
        """
with socket.create_server(('127.0.0.1', 0)) as server:
    with socket.create_connection(server.getsockname()): print('done')""",
        says="done",
    ),
    python(
        "asyncio",
        "runs an event loop, which needs a pair of sockets",
        "import asyncio\nasyncio.run(asyncio.sleep(0)); print('done')",
        says="done",
    ),
    python(
        "shared memory",
        "uses a segment of its own",
        """
from multiprocessing import shared_memory
segment = shared_memory.SharedMemory(create=True, size=1000); segment.close(); segment.unlink()
print('done')""",
        says="done",
    ),
    shell(
        "zeros",
        "reads the device of zeros, and takes memory of its own",
        "head -c 3 /dev/zero | od -An -tx1; "
        "python3 -c 'import mmap; mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE).write(b\"x\")'",
        says="^ 00 00 00\n$",
    ),
    shell(
        "tools",
        "uses the system's tools",
        "echo b a | tr ' ' '\\n' | sort | head -1; bash -c 'cat <(echo done)'",
        says="a\ndone",
    ),
    program("compiled", "is compiled from C", 'int main(void) { puts("done"); }', says="done"),
]
"""Programs that must work, so that the sandbox does not hold everything back."""

NAMES = {
    "dots": "../outside/secret",
    "dots within": "deep/../../outside/secret",
    "dots alone": "..",
    "dots at the end": "deep/..",
    "absolute": "@outside@/secret",
    "system file": "/etc/passwd",
    "double slash": "//etc/passwd",
    "link to a file": "link",
    "link to a folder": "up/secret",
    "link deep within": "deep/up/secret",
    "link to the root": "root/etc/passwd",
    "link without end": "loop",
    "magic link": "magic/plain.txt",
    "hard link": "hard",
    "pipe": "pipe",
    "server's socket": "socket",
    "zero byte": "plain.txt\0.md",
    "empty": "",
    "too long": "x" * 300,
    "very long": "x/" * 100_000,
    "no text": "\udfff",
    "beneath a file": "plain.txt/x/../../../outside/secret",
}
"""Names that lead out of a folder, or to what is no plain file in it."""


@dataclass(frozen=True)
class Misuse:
    """A call that a person approved as `asked`; what is then tried with it, and must be refused.

    `meanwhile` is what another program does in the folder after the approval, by the shell;
    `changed` are parts of the grant that are others when it is used.
    """

    name: str
    tries: str
    tool: str
    asked: dict[str, object]
    meanwhile: str = ""
    changed: dict[str, str] = field(default_factory=dict)
    times: int = 1
    """How often it is run; all but the last time it works."""
    says: str = "^refused"
    """What the refusal says (a regular expression)."""


def patch(name: str, tries: str, text: str, meanwhile: str = "") -> Misuse:
    return Misuse(name, tries, "apply_patch", {"patch": text}, meanwhile)


_NEW = "--- /dev/null\n+++ {}\n@@ -0,0 +1 @@\n+x\n"
_MINE: dict[str, object] = {"path": "deep/mine", "content": "x", "replace": True}
_OUT = '{"content": "x", "path": "../outside/mine", "replace": true}'
_SWAP = "rm -r deep && ln -s ../outside deep"

MISUSES = [
    patch("patch with dots", "makes a file outside", _NEW.format("b/../outside/mine")),
    patch("patch with a path", "makes a file outside by its path", _NEW.format("@outside@/mine")),
    patch("patch through a link", "makes a file outside by a link", _NEW.format("b/up/mine")),
    patch(
        "patch with an escaped name",
        "hides the dots as octal numbers",
        _NEW.format('"b/\\056\\056/outside/mine"'),
    ),
    patch(
        "patch that renames",
        "moves a file out of the folder",
        "diff --git a/plain.txt b/../outside/mine\nrename from plain.txt\n"
        "rename to ../outside/mine\n",
    ),
    patch(
        "patch that copies",
        "copies the file to which a link leads into the folder",
        "diff --git a/link b/mine\ncopy from link\ncopy to mine\n",
    ),
    patch(
        "patch that copies a hard link",
        "copies a file that lies outside as well into the folder",
        "diff --git a/hard b/mine\ncopy from hard\ncopy to mine\n",
    ),
    patch(
        "patch that links",
        "makes a symbolic link",
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n"
        "@@ -0,0 +1 @@\n+@outside@/secret\n",
    ),
    patch(
        "patch of a folder swapped after approval",
        "makes a file outside, for the folder is a link by now",
        _NEW.format("b/deep/mine"),
        _SWAP,
    ),
    Misuse(
        "folder swapped after approval",
        "writes outside, for the folder is a link by now",
        "write_file",
        _MINE,
        _SWAP,
    ),
    Misuse(
        "file swapped after approval",
        "reads outside, for the file is a link by now",
        "read_file",
        {"path": "plain.txt"},
        "ln -sf ../outside/secret plain.txt",
    ),
    Misuse(
        "arguments changed after approval",
        "runs other arguments than those that were approved",
        "write_file",
        _MINE,
        changed={"arguments": _OUT},
        says="Nobody approved",
    ),
    Misuse(
        "arguments spelled anew after approval",
        "runs the approved arguments in another spelling, which nobody saw",
        "write_file",
        _MINE,
        changed={"arguments": '{"path":"deep/mine","content":"x","replace":true}'},
        says="Nobody approved",
    ),
    Misuse(
        "tool changed after approval",
        "runs another tool with what was approved",
        "write_file",
        _MINE,
        changed={"tool": "delete_file"},
        says="Nobody approved",
    ),
    Misuse(
        "definition changed after approval",
        "runs a tool that is not defined any more as it was approved",
        "write_file",
        _MINE,
        changed={"definition": "another"},
        says="Nobody approved",
    ),
    Misuse(
        "approval of another call",
        "runs a call with a digest that nobody was asked about",
        "write_file",
        _MINE,
        changed={"digest": "0" * 64},
        says="Nobody asked",
    ),
    Misuse(
        "approval replayed",
        "runs an approved call again",
        "write_file",
        _MINE,
        times=2,
        says="has been used",
    ),
]
"""What is tried with tools and approvals, where no program runs."""
