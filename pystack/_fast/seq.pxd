cpdef unsigned int add(unsigned int seq, unsigned int n) noexcept nogil
cpdef unsigned int sub(unsigned int seq, unsigned int n) noexcept nogil
cpdef int dist(unsigned int a, unsigned int b) noexcept nogil
cpdef bint before(unsigned int a, unsigned int b) noexcept nogil
cpdef bint after(unsigned int a, unsigned int b) noexcept nogil
cpdef bint before_eq(unsigned int a, unsigned int b) noexcept nogil
cpdef bint after_eq(unsigned int a, unsigned int b) noexcept nogil
cpdef bint between(unsigned int x, unsigned int lo, unsigned int hi) noexcept nogil
cpdef unsigned int maximum(unsigned int a, unsigned int b) noexcept nogil
cpdef unsigned int minimum(unsigned int a, unsigned int b) noexcept nogil
