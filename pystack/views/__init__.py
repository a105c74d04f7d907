"""What the operator's tools show of a machine: text as the real tool prints it, and the same as plain values.

`table` has the sockets of a machine as rows, `counters` the numbers under the kernels' own names; the
tools render them.
"""
