# Tables and numbers: nothing here has a C face (STYLE 2.9).
