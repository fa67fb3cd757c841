#include "catalog/lint.h"
#include "catalog/database.h"

/* Dates are compared as far as both are known: 2023 is not before 2023-07. */
#define YOUNGER "substr(p.date, 1, length(c.date)) > substr(c.date, 1, length(p.date))"

/* A reference may hold a kernel of the variant that its composition leaves out: another form of it. */
#define FIXED_BY_A_REFERENCE \
    "SELECT 1 FROM reference AS r, json_tree(r.fixed) AS t WHERE t.key = 'kernel' AND t.value = name"

/* Each selects key and message, ordered by key. */
static const struct {
    enum lint_severity severity;
    const char *rule, *sql;
} rules[] = {
    {LINT_ERROR, "younger-parent",
     "SELECT child, 'parent ''' || parent || ''' (' || p.date || ') is younger than it (' || c.date || ')'"
     " FROM parent JOIN variant AS c ON c.key = child JOIN variant AS p ON p.key = parent"
     " WHERE " YOUNGER " AND exception IS NULL ORDER BY child, parent"},
    {LINT_WARNING, "needless-exception",
     "SELECT child, 'parent ''' || parent || ''' has an exception but is not younger'"
     " FROM parent JOIN variant AS c ON c.key = child JOIN variant AS p ON p.key = parent"
     " WHERE NOT coalesce(" YOUNGER ", 0) AND exception IS NOT NULL ORDER BY child, parent"},
    {LINT_WARNING, "unexplained-parent",
     "SELECT child, 'nothing says what it changed from parent ''' || parent || ''''"
     " FROM parent WHERE changed IS NULL ORDER BY child, parent"},
    {LINT_WARNING, "orphan",
     "SELECT key, 'has neither parents nor children' FROM variant"
     " WHERE NOT EXISTS (SELECT 1 FROM parent WHERE child = key OR parent.parent = key) ORDER BY key"},
    {LINT_ERROR, "date-after-arxiv",
     "SELECT key, 'date ' || date || ' is after arXiv ' || arxiv FROM variant"
     " WHERE arxiv GLOB '[0-9][0-9][0-9][0-9].*'"
     " AND substr(date, 1, 7) > substr('20' || substr(arxiv, 1, 2) || '-' || substr(arxiv, 3, 2),"
     " 1, length(date)) ORDER BY key"},
    {LINT_ERROR, "year-before-date",
     "SELECT key, 'year ' || year || ' is before date ' || date FROM variant"
     " WHERE year < CAST(substr(date, 1, 4) AS INTEGER) ORDER BY key"},
    {LINT_WARNING, "no-source",
     "SELECT key, 'has no id of arXiv, DOI, ACL or Semantic Scholar, no code, and no link in its references'"
     " FROM variant WHERE coalesce(arxiv, doi, acl, s2) IS NULL"
     " AND NOT EXISTS (SELECT 1 FROM code_link WHERE variant = key)"
     " AND NOT EXISTS (SELECT 1 FROM reference WHERE variant = key AND sections LIKE '%https://_%') ORDER BY "
     "key"},
    {LINT_ERROR, "same-title",
     "SELECT a.key, 'has the title of ''' || b.key || '''' FROM variant AS a JOIN variant AS b"
     " ON a.title = b.title COLLATE NOCASE AND a.key > b.key ORDER BY a.key, b.key"},
    {LINT_WARNING, "title-as-summary",
     "SELECT key, 'the summary repeats the title' FROM variant"
     " WHERE instr(lower(summary), lower(title)) ORDER BY key"},
    {LINT_WARNING, "no-reference",
     "SELECT key, 'has seed rows but no reference' FROM variant"
     " WHERE EXISTS (SELECT 1 FROM seed_row WHERE variant = key)"
     " AND NOT EXISTS (SELECT 1 FROM reference WHERE variant = key) ORDER BY key"},
    {LINT_WARNING, "written-kernel",
     "SELECT DISTINCT variant, 'kernel ''' || planned || ''' is planned but written' FROM slot"
     " JOIN kernel ON name = planned ORDER BY variant, planned"},
    /* `clade task` takes tasks by name, also those that a paper has beside a block: these two do not ask
     * after them */
    {LINT_WARNING, "unused-kernel",
     "SELECT NULL, 'kernel ''' || name || ''' is in no composition' FROM kernel"
     " WHERE kernel.slot <> 'task' AND NOT EXISTS (SELECT 1 FROM slot WHERE kernel = name) AND NOT EXISTS "
     "(" FIXED_BY_A_REFERENCE ")"
     " ORDER BY name"},
    {LINT_WARNING, "origin-without-kernel",
     "SELECT origin, 'kernel ''' || name || ''' is said to come from it, but its composition lacks it' FROM "
     "kernel"
     " WHERE kernel.slot <> 'task' AND origin IS NOT NULL AND NOT EXISTS (SELECT 1 FROM slot WHERE variant = "
     "origin AND kernel = name)"
     " AND NOT EXISTS (" FIXED_BY_A_REFERENCE " AND r.variant = origin)"
     " ORDER BY origin, name"},
    {LINT_WARNING, "component-with-mixer",
     "SELECT DISTINCT variant.key, 'is a component, but its ' || slot || ' ''' || coalesce(kernel, planned) "
     "|| ''' makes it a block'"
     " FROM variant JOIN slot ON slot.variant = variant.key LEFT JOIN trait USING (variant, layer, slot)"
     " WHERE kind = 'component' AND (slot = 'memory' OR (slot = 'mixer' AND (character = 'mixing' AND"
     " state <> 'attention' OR character = 'normalizer' AND state <> 'softmax'))) ORDER BY variant.key"},
    {LINT_WARNING, "incomplete",
     "SELECT key, 'lacks ' || substr(lacking, 3) FROM (SELECT key, iif(name IS NULL, ', name', '')"
     " || iif(title IS NULL, ', title', '') || iif(date IS NULL, ', date', '') || iif(kind IS NULL, ', "
     "kind', '')"
     " || iif(family IS NULL, ', family', '') || iif(summary IS NULL, ', summary', '')"
     " || iif(EXISTS (SELECT 1 FROM author WHERE author.variant = key), '', ', authors') AS lacking FROM "
     "variant)"
     " WHERE lacking <> '' ORDER BY key"},
    {LINT_WARNING, "versioned-arxiv",
     "SELECT key, 'arXiv ' || arxiv || ' names a version' FROM variant"
     " WHERE arxiv GLOB '*[0-9]v[0-9]*' ORDER BY key"},
    {LINT_NOTE, "planned-kernel",
     "SELECT NULL, printf('kernel ''%s'' is not written; planned by %s', planned, group_concat(variant, ', "
     "'))"
     " FROM (SELECT DISTINCT planned, variant FROM slot WHERE planned IS NOT NULL ORDER BY planned, variant)"
     " GROUP BY planned ORDER BY planned"},
    {LINT_NOTE, "not-runnable",
     "SELECT variant, coalesce('does not run: lacks ' || missing, 'does not run')"
     " FROM variant_state WHERE NOT runnable ORDER BY variant"},
    {LINT_NOTE, "uncited-parent",
     "SELECT child, 'is not known to cite its parent ''' || parent || '''' FROM parent"
     " WHERE EXISTS (SELECT 1 FROM citation WHERE citing = child)"
     " AND NOT EXISTS (SELECT 1 FROM citation WHERE citing = child AND cited = parent) ORDER BY child, "
     "parent"},
};

enum status catalog_lint(struct catalog *catalog, struct arena *arena, struct lint_finding **findings,
                         size_t *count, struct error *error)
{
    enum status status = STATUS_OK;
    *findings = NULL;
    *count = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules && !status; i++) {
        struct statement select = statement_start(catalog_database(catalog), rules[i].sql, error);
        while (statement_step(&select)) {
            *findings = arena_extend(arena, *findings, *count, sizeof **findings);
            (*findings)[(*count)++] =
                (struct lint_finding){rules[i].severity, statement_text(&select, 0, arena), rules[i].rule,
                                      statement_text(&select, 1, arena)};
        }
        status = statement_finish(&select);
    }
    return status;
}
