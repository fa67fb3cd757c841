"""Writes schema/NNNN-name.sql as a C file, so that an installed program needs no other file to make its database."""

import os
import sys

output, *paths = sys.argv[1:]
lines = ['#include "catalog/database.h"', "", "const struct migration migrations[] = {"]
for number, path in enumerate(sorted(paths), 1):
    name = os.path.basename(path)
    if int(name.split("-")[0]) != number:
        sys.exit(f"{path}: expected number {number:04d}")
    text = open(path, encoding="utf-8").read()
    if f"PRAGMA user_version = {number};" not in text:
        sys.exit(f"{path}: expected 'PRAGMA user_version = {number};'")
    lines.append(f'    {{"{name}",')
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'     "{escaped}\\n"')
    lines.append("    },")
lines += ["};", "", "const size_t migration_count = sizeof migrations / sizeof *migrations;", ""]
with open(output, "w", encoding="utf-8") as file:
    file.write("\n".join(lines))
