"""Writes the comments that kernels begin with, their formulas, as a C array in the order of the registry."""

import re
import sys

output, *paths = sys.argv[1:]
lines = ['#include "block/registry.h"', "", "const char *const registry_notes[] = {"]
for path in paths:
    text = open(path, encoding="utf-8").read()
    comment = re.match(r"/\*(.*?)\*/", text, re.DOTALL)
    if not comment:
        sys.exit(f"{path}: expected a comment at the top")
    note = [re.sub(r"^ \* ?", "", line).rstrip() for line in comment[1].strip().splitlines()]
    lines.append(f"    /* {path.split('/')[-1]} */")
    lines += ['    "' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for line in note]
    lines[-1] += ","
lines += ["};", ""]
with open(output, "w", encoding="utf-8") as file:
    file.write("\n".join(lines))
