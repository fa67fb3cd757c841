#!/usr/bin/env Rscript
# Compares clade's trees with ape's and phangorn's (Debian: r-cran-ape, r-cran-phangorn).
#
#   ninja -C build clade tests/peers/peer-trees
#   Rscript tests/peers/trees.R build
#
# Exits with 1 if anything differs.
suppressPackageStartupMessages({library(ape); library(phangorn)})
set.seed(1)
build <- commandArgs(trailingOnly = TRUE)[1]
clade <- file.path(build, "clade")
peer <- file.path(build, "tests/peers/peer-trees")
scratch <- tempfile("trees-"); dir.create(scratch)
failures <- 0
check <- function(what, good, detail = "") {
  cat(sprintf("%-58s %s %s\n", what, if (good) "ok" else "DIFFERS", detail))
  if (!good) failures <<- failures + 1
}
run <- function(...) system2(clade, c(...), stdout = TRUE)
number <- function(json, name) as.numeric(sub(".*: *([0-9.]+),?.*", "\\1", grep(sprintf('"%s"', name), json, value = TRUE)[1]))

# ---- what clade writes is read ----
listed <- sum(grepl('"key":', run("list", "--json")))
newick <- file.path(scratch, "descent.nwk"); nexus <- file.path(scratch, "descent.nex")
invisible(run("tree", "--format", "newick", "-o", newick)); invisible(run("tree", "--format", "nexus", "-o", nexus))
tree <- read.tree(newick)
named <- c(tree$tip.label, tree$node.label[tree$node.label != ""])
check("ape reads the Newick tree with every variant", length(named) == listed && !any(duplicated(named)), length(named))
leaves <- read.nexus(nexus)
check("ape reads the NEXUS tree with every variant a leaf", setequal(gsub("'", "", leaves$tip.label), named), Ntip(leaves))
age <- node.depth.edgelength(leaves)[match("gla", leaves$tip.label)] - node.depth.edgelength(leaves)[match("retnet", leaves$tip.label)]
check("lengths are years: gla is younger than retnet", abs(age - 0.40) < 0.02, round(age, 3))

# ---- Robinson-Foulds ----
worst <- 0
for (round in 1:30) {
  n <- sample(4:40, 1)
  a <- rtree(n); b <- if (round %% 2) rtree(n) else rNNI(a, moves = 2)
  if (round %% 3 == 0) a <- di2multi(a, tol = 0.3)
  write.tree(a, file.path(scratch, "a.nwk")); write.tree(b, file.path(scratch, "b.nwk"))
  json <- run("compare", file.path(scratch, "a.nwk"), file.path(scratch, "b.nwk"), "--json")
  own <- number(json, "distance")
  clades <- function(t) lapply(prop.part(t), function(p) paste(sort(attr(prop.part(t), "labels")[p]), collapse = " "))
  ca <- unlist(clades(a)); cb <- unlist(clades(b))
  theirs <- length(setdiff(ca, cb)) + length(setdiff(cb, ca))
  worst <- max(worst, abs(own - theirs))
  if (is.binary(a)) worst <- max(worst, abs(own - RF.dist(a, b, rooted = TRUE)))
}
check("Robinson-Foulds equals ape's clades and phangorn's RF.dist", worst == 0, worst)

# ---- neighbour joining and UPGMA ----
joined <- function(method, d) {
  text <- c(nrow(d), sapply(seq_len(nrow(d)), function(i) paste(rownames(d)[i], paste(format(d[i, ], digits = 17), collapse = " "))))
  read.tree(text = system2(peer, method, input = text, stdout = TRUE))
}
worst <- c(nj = 0, lengths = 0, upgma = 0)
for (round in 1:40) {
  n <- sample(4:30, 1)
  d <- if (round %% 2) cophenetic(rtree(n)) else as.matrix(dist(matrix(rnorm(n * 5), n)))
  rownames(d) <- colnames(d) <- paste0("t", seq_len(n))
  own <- joined("nj", d); theirs <- nj(d)
  worst["nj"] <- max(worst["nj"], dist.topo(unroot(own), theirs))
  worst["lengths"] <- max(worst["lengths"], max(abs(cophenetic(own)[rownames(d), rownames(d)] - cophenetic(theirs)[rownames(d), rownames(d)])))
  own <- joined("upgma", d); theirs <- upgma(as.dist(d))
  worst["upgma"] <- max(worst["upgma"], max(abs(cophenetic(own)[rownames(d), rownames(d)] - cophenetic(theirs)[rownames(d), rownames(d)])))
}
check("neighbour joining has the topology of ape's nj", worst["nj"] == 0, worst["nj"])
check("and its lengths", worst["lengths"] < 1e-4, signif(worst["lengths"], 3))
check("UPGMA has the heights of phangorn's upgma", worst["upgma"] < 1e-4, signif(worst["upgma"], 3))

# ---- parsimony ----
worst <- 0
for (round in 1:40) {
  n <- sample(4:25, 1); m <- sample(1:30, 1); states <- sample(2:5, 1)
  tree <- rtree(n)
  cells <- matrix(sample(c(as.character(0:(states - 1)), "?"), n * m, TRUE, c(rep(1, states), 0.5)), n,
                  dimnames = list(tree$tip.label, NULL))
  write.tree(tree, file.path(scratch, "p.nwk"))
  text <- c(paste(n, m), paste(rownames(cells), apply(cells, 1, paste, collapse = "")))
  own <- as.numeric(system2(peer, c("parsimony", file.path(scratch, "p.nwk")), input = text, stdout = TRUE))
  data <- phyDat(cells, type = "USER", levels = as.character(0:(states - 1)), ambiguity = "?")
  worst <- max(worst, abs(own - parsimony(tree, data)))
}
check("parsimony steps equal phangorn's", worst == 0, worst)
unlink(scratch, recursive = TRUE)
quit(status = if (failures) 1 else 0)
