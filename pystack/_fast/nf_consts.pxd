# Plain Python constants: nothing here has a C face (STYLE 2.9).
