/* rules.h: the words and forms that the catalogue's files may use. schema/variant.schema.json says the same;
 * a test holds the two together. Private to catalog. */
#ifndef CLADE_CATALOG_RULES_H
#define CLADE_CATALOG_RULES_H

#include <stdbool.h>
#include <stddef.h>

struct words {
    const char *const *names;
    size_t count;
};

extern const struct words rule_kinds;
extern const struct words rule_slots;
extern const struct words rule_added;
extern const struct words rule_fidelities;
extern const struct words rule_link_sources;
/* Fields of the objects in a variant's file. */
extern const struct words rule_variant_fields;
extern const struct words rule_id_fields;
extern const struct words rule_seed_fields;
extern const struct words rule_parent_fields;
extern const struct words rule_reference_fields;

bool word_known(const struct words *words, const char *name);

/* Forms are extended regular expressions that mean the same to POSIX and to ECMAScript. */
enum form {
    FORM_KEY,
    FORM_DATE,
    FORM_S2,
    FORM_ARXIV,
    FORM_DOI,
    FORM_ACL,
    FORM_URL,
    FORM_OPTION,
    FORM_COLOUR,
    FORM_COUNT
};
struct form_rule {
    const char *pattern;
    const char *wanted; /* for messages: "a key (lower case, digits, single hyphens)" */
};
extern const struct form_rule rule_forms[FORM_COUNT];

/* Whether `text` has the form; a date must also be one of the calendar. */
bool form_matches(enum form form, const char *text);

#endif
