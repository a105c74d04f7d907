"""The scripts of the player, played against the kernel of this computer (docs/packetdrill.md, "The real kernel").

python -m tests.kernel FILE|DIR… Only what is under test differs from `pystack packetdrill`: sockets are the
kernel's, packets go through a TUN device in a network namespace that one process per script has for itself, time
is real. Parsing, numbers, comparing and words are the player's own. Needs Linux and root.
"""
