# The numbers of ipfw_kinds.py are Python's: whoever imports one says in its own .pxd what it is in C.
