#!/usr/bin/env python3
"""Holds schema/variant.schema.json against the loader: both must give the same verdict on every case of
tests/data/entries.json (those marked "schema" break rules that a schema cannot say) and accept the whole catalogue.

    apt install python3-jsonschema && tests/peers/variant-schema.py
"""

import json
import pathlib
import sys

import jsonschema

root = pathlib.Path(__file__).resolve().parents[2]
schema = json.loads((root / "schema/variant.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
failures = 0

table = json.loads((root / "tests/data/entries.json").read_text())
for case in table["cases"]:
    entry = {key: value for key, value in table["base"].items() if key not in case.get("drop", [])}
    entry.update(case.get("set", {}))
    expected = case["message"] is None or case.get("schema", False)
    if validator.is_valid(entry) != expected:
        print(f"the schema {'refuses' if expected else 'accepts'} {case}")
        failures += 1

entries = sorted((root / "catalog/variants").glob("*.json"))
for path in entries:
    for error in validator.iter_errors(json.loads(path.read_text())):
        print(f"{path.name}: {error.json_path}: {error.message}")
        failures += 1

print(f"{len(table['cases'])} cases, {len(entries)} entries, {failures} failures")
sys.exit(failures > 0)
