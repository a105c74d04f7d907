# Nothing of it is C: who uses a number declares it (docs/adr/0012).
