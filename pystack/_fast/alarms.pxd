from pystack._fast.wheel cimport Wheel

cpdef Py_ssize_t arm_all(Wheel wheel, const int[::1] rows, const long long[::1] deadlines) except -1
cpdef Py_ssize_t cancel_all(Wheel wheel, const int[::1] rows) except -1
