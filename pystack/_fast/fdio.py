"""Reading and writing one packet of a device: the two calls of the core's drivers to the outside.

Both answer octets, or -errno: no exception, nothing allocated. The compiled bodies stand in fdio.pxd (docs/adr/0015);
these are the interpreted ones.
"""

import os

import cython

if not cython.compiled:

    def read_packet(fd, room):
        """Read into `room` from its first octet on. Octets, or -errno."""
        try:
            return os.readv(fd, [room])
        except OSError as error:
            return -error.errno

    def write_packet(fd, head, n):
        """Write head[:n]. Octets, or -errno."""
        try:
            return os.write(fd, head[:n])
        except OSError as error:
            return -error.errno

    def write_gathered(fd, head, n, pool, m):
        """Write head[:n] and the octets of the chain `m` behind it as one packet. Octets, or -errno."""
        try:
            return os.writev(fd, [head[:n], *pool.views(m, 0, pool.chain_length(m))])
        except OSError as error:
            return -error.errno
