"""Every knob of every system, as data (TOML); `pystack.sysctl.registry` reads them."""
