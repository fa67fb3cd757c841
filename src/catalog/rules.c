#include "catalog/rules.h"
#include "base/error.h"
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#define WORDS(rule, ...)                                     \
    static const char *const rule##_names[] = {__VA_ARGS__}; \
    const struct words rule = {rule##_names, sizeof rule##_names / sizeof *rule##_names}

WORDS(rule_kinds, "block", "component", "procedure", "objective", "task", "study");
WORDS(rule_slots, "embedding", "position", "mixer", "ffn", "norm", "residual", "memory", "procedure",
      "objective", "task");
WORDS(rule_added, "relative", "ancestor");
WORDS(rule_fidelities, "official", "third-party", "adapted", "paper");
WORDS(rule_link_sources, "s2", "paper-text", "hand");
WORDS(rule_variant_fields, "key", "name", "title", "authors", "year", "date", "venue", "ids", "code", "seeds",
      "added", "kind", "family", "summary", "composition", "suite", "parents", "references");
WORDS(rule_id_fields, "s2", "arxiv", "doi", "acl");
WORDS(rule_seed_fields, "list", "part", "number");
WORDS(rule_parent_fields, "key", "primary", "changed", "exception");
WORDS(rule_reference_fields, "set", "slot", "part", "source", "sections", "fidelity", "options", "fixed",
      "inputs", "outputs", "weights");

bool word_known(const struct words *words, const char *name)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->names[i], name) == 0)
            return true;
    return false;
}

const struct form_rule rule_forms[FORM_COUNT] = {
    [FORM_KEY] = {"^[a-z0-9]+(-[a-z0-9]+)*$", "lower case letters, digits and single hyphens"},
    [FORM_DATE] = {"^(19|20)[0-9]{2}(-[0-9]{2}(-[0-9]{2})?)?$", "a date YYYY, YYYY-MM or YYYY-MM-DD"},
    [FORM_S2] = {"^[0-9a-f]{40}$", "40 hexadecimal digits in lower case"},
    [FORM_ARXIV] = {"^([0-9]{2}(0[1-9]|1[0-2])\\.[0-9]{4,5}|[a-z-]+(\\.[A-Z]{2})?/[0-9]{7})$",
                    "an arXiv id without version, as 2312.06635"},
    [FORM_DOI] = {"^10\\.[0-9]{4,9}/[^ ]+$", "a DOI, as 10.1000/182"},
    [FORM_ACL] = {"^([A-Z][0-9]{2}-[0-9]{4}|[0-9]{4}\\.[a-z0-9]+-[a-z0-9]+\\.[0-9]+)$",
                  "an id of the ACL Anthology, as 2020.acl-main.1"},
    [FORM_URL] = {"^https?://[^ <>\"]+$", "a URL of http or https"},
    [FORM_OPTION] = {"^[a-z][a-z0-9_]*$", "lower case letters, digits and underscores"},
    [FORM_COLOUR] = {"^#[0-9a-fA-F]{6}$", "a colour #rrggbb"},
};

static regex_t compiled[FORM_COUNT];

static void compile_forms(void)
{
    for (size_t i = 0; i < FORM_COUNT; i++)
        if (regcomp(&compiled[i], rule_forms[i].pattern, REG_EXTENDED | REG_NOSUB) != 0)
            BUG("pattern %zu does not compile", i);
}

/* The form is checked already: what is left are months and days that do not exist. */
static bool in_calendar(const char *date)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 0, month = 1, day = 1;
    sscanf(date, "%d-%d-%d", &year, &month, &day);
    if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month != 2 || day < 29 || leap;
}

bool form_matches(enum form form, const char *text)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compile_forms);
    return regexec(&compiled[form], text, 0, NULL, 0) == 0 && (form != FORM_DATE || in_calendar(text));
}
