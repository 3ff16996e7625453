"""The command line: one file per noun. A command parses, makes one call, and shows the answer."""
