# Data only: nothing here has a C face.
