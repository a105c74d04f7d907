# Nothing in columns is called per packet: its functions are plain Python functions.
