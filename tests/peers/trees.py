#!/usr/bin/env python3
"""Reads clade's trees with DendroPy (Debian: python3-dendropy) and compares distances on random trees.

    ninja -C build clade
    /usr/bin/python3 tests/peers/trees.py build [phyloxml.xsd]

With a copy of phyloXML's schema the phyloXML is validated too, by xmllint. Exits with 1 if anything differs.
"""
import json
import random
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

import dendropy
from dendropy.calculate import treecompare
from dendropy.simulate import treesim

clade = Path(sys.argv[1]) / "clade"
failures = 0


def run(*words):
    return subprocess.run([clade, *words], check=True, capture_output=True, text=True).stdout


def check(what, good, detail=""):
    global failures
    print(f"{what:58} {'ok' if good else 'DIFFERS'} {detail}")
    failures += not good


def parents_of(tree):
    label = lambda node: node.taxon.label if node.taxon else node.label
    return {label(n): label(n.parent_node) if n.parent_node else None for n in tree.preorder_node_iter() if label(n)}


contract = json.loads(run("tree", "--json"))
declared = {n["key"]: n["parent"] for n in contract["nodes"]}
roots = [k for k, p in declared.items() if p is None]

tree = dendropy.Tree.get(data=run("tree", "--format", "newick"), schema="newick")
check("DendroPy reads the Newick tree with the parents of JSON", parents_of(tree) == declared, len(declared))

data = dendropy.DataSet.get(data=run("tree", "--format", "nexus"), schema="nexus")
taxa = {t.label for t in data.taxon_namespaces[0]}
check("DendroPy reads the NEXUS file: its taxa", taxa == set(declared), len(taxa))
leaves = {n.taxon.label for n in data.tree_lists[0][0].leaf_node_iter()}
check("its tree, with every variant a leaf", leaves == set(declared), len(leaves))
matrix = data.char_matrices[0]
check("its characters", len(matrix) == len(declared) and matrix.max_sequence_size > 0, matrix.max_sequence_size)

root = xml.fromstring(run("tree", "--format", "graphml"))
space = {"g": "http://graphml.graphdrawing.org/xmlns"}
nodes = {n.get("id") for n in root.findall(".//g:node", space)}
edges = [(e.get("source"), e.get("target")) for e in root.findall(".//g:edge", space)]
donors = sum(len(n["donors"]) for n in contract["nodes"])
check("GraphML has the nodes and edges", nodes == set(declared) and len(edges) == len(declared) - len(roots) + donors,
      f"{len(nodes)} {len(edges)}")

root = xml.fromstring(run("tree", "--format", "phyloxml"))
space = {"p": "http://www.phyloxml.org"}
names = [n.text for n in root.findall(".//p:clade/p:name", space)]
relations = root.findall(".//p:clade_relation", space)
check("phyloXML has the clades and relations", sorted(names) == sorted(declared) and len(relations) == donors, len(names))
if len(sys.argv) > 2:
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(run("tree", "--format", "phyloxml"))
        file.flush()
        result = subprocess.run(["xmllint", "--noout", "--schema", sys.argv[2], file.name], capture_output=True, text=True)
    check("phyloXML is valid", result.returncode == 0, result.stderr[:300])

for label in ["it's", "a b", "a_b", "x:(y)", "[z];", "ünïcode"]:
    with tempfile.TemporaryDirectory() as folder:
        first = dendropy.Tree.get(data="((a,b),c,d);", schema="newick")
        first.taxon_namespace[0].label = label
        path = Path(folder) / "odd.nwk"
        first.write(path=path, schema="newick")
        own = json.loads(run("compare", str(path), str(path), "--json"))
    check(f"a label of DendroPy's is read: {label}", own["shared"] == 4 and own["robinson_foulds"]["distance"] == 0)

random.seed(1)
worst = 0
with tempfile.TemporaryDirectory() as folder:
    for _ in range(30):
        space = dendropy.TaxonNamespace([f"t{i}" for i in range(random.randint(4, 40))])
        pair = [treesim.pure_kingman_tree(space, rng=random.Random(random.random())) for _ in range(2)]
        paths = [Path(folder) / name for name in ("a.nwk", "b.nwk")]
        for one, path in zip(pair, paths):
            one.is_rooted = True
            one.encode_bipartitions()
            one.write(path=path, schema="newick", suppress_rooting=True)
        own = json.loads(run("compare", *map(str, paths), "--json"))["robinson_foulds"]["distance"]
        worst = max(worst, abs(own - treecompare.symmetric_difference(*pair)))
check("Robinson-Foulds equals DendroPy's symmetric difference", worst == 0, worst)
sys.exit(1 if failures else 0)
