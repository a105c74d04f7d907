"""Open files: how many a machine has, and which descriptors each of its programs.

    Files          all open files of a machine, at most kern.maxfiles (fs.file-max)
    Descriptors    those of one program: the lowest free number is taken next, below RLIMIT_NOFILE and
                   kern.maxfilesperproc (fs.nr_open)

FreeBSD counts the file before it looks for a descriptor and keeps one in twenty for root; Linux looks for the
descriptor first, and its fs.file-max does not bind root (policy `files`). Only sockets are files here.

Sources: FreeBSD kern_descrip.c (falloc, fdalloc), uipc_syscalls.c; Linux fs/file_table.c, fs/file.c; facts:
freebsd-tcp 2.3.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.consts import FILES_LINUX, SECOND, Err, Note
from pystack._fast.tcb import Stack  # noqa: F401  (the type in the .pxd)

EMFILE = int(Err.EMFILE)
ENFILE = int(Err.ENFILE)
FILES_FULL = int(Note.FILES)
UNLIMITED = 0x7FFFFFFF

_UNLIMITED = cython.declare(cython.int, UNLIMITED)


@cython.final
@cython.cclass
class Files:
    """The open files of a machine. `programs`: the `Descriptors` that they belong to, by pid.
    `sendfiles`: calls of sendfile(2). Times are ns.
    """

    def __init__(self):
        self.used = 0
        self.high_water = 0
        self.failures = 0
        self.last_failure = 0
        self.programs = {}
        self.told = -SECOND
        self.sendfiles = 0
        self.told_of = 0

    def admits(self, s, uid):
        """May a program of this user open another file?"""
        most: cython.longlong = s.cfg.maxfiles
        if most <= 0 or self.used < self.limit_of(s, uid):
            return True
        self.failures += 1
        self.last_failure = s.now
        return False

    def limit_of(self, s, uid):
        """How many files there may be for this user to open one more; more than there can be: no limit."""
        most: cython.longlong = s.cfg.maxfiles
        if most <= 0 or (s.cfg.policy_files == FILES_LINUX and uid == 0):
            return _UNLIMITED
        if uid != 0 and s.cfg.maxfiles_reserve > 0:
            return most - most // s.cfg.maxfiles_reserve
        return most

    def tell(self, s, uid, pid):
        """The log hears of a refusal: once a second (FreeBSD), or when there are more files than ever (Linux)."""
        if s.cfg.policy_files == FILES_LINUX:
            if self.used > self.told_of:
                self.told_of = self.used
                s.say(FILES_FULL, None, s.cfg.maxfiles, pid)
        elif s.now - self.told >= SECOND:
            self.told = s.now
            s.say(FILES_FULL, None, uid, pid)
        return 0


@cython.cclass
class Descriptors:
    """The descriptors of one program, which runs as `uid`. 0, 1 and 2 are open from the beginning, on files that
    nobody counts. `nofile` is its RLIMIT_NOFILE; `used` counts all descriptors.

    A program that waits in the kernel for something that no signal ends (`asleep`) hears of nothing: its sockets are in
    `held` meanwhile. It can be made ready itself, as a socket can, and then its `handler` is called.
    """

    def __init__(self, files: Files, pid: int, uid: int, nofile: int):
        self.files = files
        self.pid = pid
        self.uid = uid
        self.nofile = nofile
        self.words = column("Q", 4)
        self.words[0] = 7
        self.hint = 0
        self.used = 3
        self.high_water = 3
        self.failures = 0
        self.last_failure = 0
        self.owner = None
        self.handler = None
        self.ready = 0
        self.queued = False
        self.asleep = False
        self.held = []

    def limit(self, s):
        """Descriptors are below this."""
        most: cython.longlong = s.cfg.maxfilesperproc
        return self.nofile if most <= 0 or self.nofile < most else most

    def take(self, s):
        """A descriptor on a new file, or a negative error (consts.Err)."""
        fd: cython.int
        linux: cython.bint = s.cfg.policy_files == FILES_LINUX
        if not linux and not self.files.admits(s, self.uid):
            self.files.tell(s, self.uid, self.pid)
            return -ENFILE
        fd = self.lowest()
        if fd >= self.limit(s):
            self.failures += 1
            self.last_failure = s.now
            return -EMFILE
        if linux and not self.files.admits(s, self.uid):
            self.files.tell(s, self.uid, self.pid)
            return -ENFILE
        one: cython.ulonglong = 1
        self.words[fd >> 6] |= one << (fd & 63)
        self.used += 1
        if self.used > self.high_water:
            self.high_water = self.used
        self.files.used += 1
        if self.files.used > self.files.high_water:
            self.files.high_water = self.files.used
        return fd

    def give(self, fd):
        """The descriptor is closed, and its file with it."""
        one: cython.ulonglong = 1
        if not cython.compiled:
            assert self.words[fd >> 6] >> (fd & 63) & 1, f"descriptor {fd} is not open"
        self.words[fd >> 6] ^= one << (fd & 63)
        if fd >> 6 < self.hint:
            self.hint = fd >> 6
        self.used -= 1
        self.files.used -= 1

    def lowest(self):
        """The lowest number that is free."""
        i: cython.int = self.hint
        fd: cython.int
        word: cython.ulonglong
        while i < self.words.shape[0] and self.words[i] == _FULL:
            i += 1
        self.hint = i
        if i == self.words.shape[0]:
            self.words = grown(memoryview(self.words), 2 * i)
        word = self.words[i]
        fd = i << 6
        while word & 1:
            word >>= 1
            fd += 1
        return fd


_FULL = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
