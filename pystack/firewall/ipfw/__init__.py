"""ipfw: rules as text, as instructions, and the books of a machine's rule set (docs/ipfw.md)."""
