#include "lineage/evidence.h"
#include "base/fields.h"
#include "lineage/documents.h"
#include <math.h>

enum status citations_read(struct catalog *catalog, const struct network *network, struct arena *arena,
                           struct citations *citations, struct error *error)
{
    struct network inferred;
    citations->descent = network;
    return network_from_citations(catalog, network, arena, &inferred, &citations->weighed, &citations->links,
                                  error);
}

enum status evidence_read(struct catalog *catalog, const struct citations *citations, const char *key,
                          struct arena *arena, struct evidence *evidence, struct error *error)
{
    struct variant_card own, parent;
    const struct network *network = citations->descent;
    const struct citation_evidence *weighed = &citations->weighed;
    *evidence = (struct evidence){.citations = citations, .arena = arena};
    enum status status = network_require(network, key, &evidence->node, error);
    if (status)
        return status;
    evidence->candidates = weighed->candidates + weighed->first[evidence->node];
    evidence->candidate_count = weighed->first[evidence->node + 1] - weighed->first[evidence->node];
    evidence->parent = network_primary_parent(network, evidence->node);
    if (evidence->parent == NETWORK_NONE)
        return STATUS_OK;
    status = catalog_card(catalog, key, arena, &own, error);
    if (!status)
        status = catalog_card(catalog, network->nodes[evidence->parent].key, arena, &parent, error);
    if (!status)
        status = difference_of(catalog, &parent.variant, &own.variant, arena, &evidence->difference, error);
    return status;
}

double evidence_weight_sum(const struct evidence *evidence)
{
    double sum = 0;
    for (size_t i = 0; i < evidence->candidate_count; i++)
        sum += evidence->candidates[i].weight;
    return sum;
}

const char *evidence_standing(const struct evidence *evidence, size_t node)
{
    const struct network *network = evidence->citations->descent;
    const struct network_node *own = &network->nodes[evidence->node];
    for (size_t i = 0; i < own->parent_count; i++)
        if (network->edges[own->parents[i]].parent == node)
            return network->edges[own->parents[i]].primary ? "parent" : "donor";
    size_t *line, count;
    network_line(network, evidence->node, evidence->arena, &line, &count);
    for (size_t i = 0; i < count; i++)
        if (line[i] == node)
            return "ancestor";
    return NULL;
}

bool evidence_is_chosen(const struct evidence *evidence, size_t candidate)
{
    const struct citation_evidence *cited = &evidence->citations->weighed;
    return cited->chosen[evidence->node] == cited->first[evidence->node] + candidate;
}

/* ---- JSON ---- */

static cJSON *candidate_json(const struct evidence *evidence, size_t index, double sum)
{
    const struct parent_candidate *candidate = &evidence->candidates[index];
    const struct node_link *link = &evidence->citations->links[candidate->link];
    cJSON *object = cJSON_CreateObject(), *intents = cJSON_CreateArray();
    static const char *const names[] = {"methodology", "background", "result"};
    json_set_text(object, "key", evidence->citations->descent->nodes[candidate->parent].key);
    json_set_flag(object, "chosen", evidence_is_chosen(evidence, index));
    json_set_number(object, "weight", candidate->weight / sum);
    json_set_number(object, "share", candidate->share);
    for (int i = 0; i < 3; i++)
        if (link->intents >> i & 1)
            cJSON_AddItemToArray(intents, cJSON_CreateString(names[i]));
    cJSON_AddItemToObject(object, "intents", intents);
    if (link->influential < 0)
        cJSON_AddNullToObject(object, "influential");
    else
        json_set_flag(object, "influential", link->influential);
    json_set_number(object, "contexts", link->contexts < 0 ? NAN : (double)link->contexts);
    json_set_number(object, "cited_with", candidate->later);
    json_set_text(object, "standing", evidence_standing(evidence, candidate->parent));
    return object;
}

static void set_changes(cJSON *document, const struct evidence *evidence)
{
    cJSON *slots = cJSON_AddArrayToObject(document, "slots");
    cJSON *characters = cJSON_AddArrayToObject(document, "characters");
    for (size_t i = 0; i < evidence->difference.slot_count; i++) {
        const struct slot_difference *slot = &evidence->difference.slots[i];
        if (slot->same)
            continue;
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "slot", slot->slot);
        json_set_text(object, "from", slot->a ? slot->a->kernel ? slot->a->kernel : slot->a->planned : NULL);
        json_set_text(object, "to", slot->b ? slot->b->kernel ? slot->b->kernel : slot->b->planned : NULL);
        cJSON_AddItemToArray(slots, object);
    }
    for (size_t i = 0; i < evidence->difference.character_count; i++) {
        const struct character_difference *character = &evidence->difference.characters[i];
        if (character->same)
            continue;
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "character", character->character);
        json_set_text(object, "from", character->a);
        json_set_text(object, "to", character->b);
        cJSON_AddItemToArray(characters, object);
    }
}

cJSON *evidence_json(const struct evidence *evidence)
{
    const struct network *network = evidence->citations->descent;
    const struct network_node *node = &network->nodes[evidence->node];
    const struct citation_evidence *cited = &evidence->citations->weighed;
    double sum = evidence_weight_sum(evidence);
    cJSON *document = cJSON_CreateObject(), *parents = cJSON_CreateArray();
    json_set_text(document, "key", node->key);
    for (size_t i = 0; i < node->parent_count; i++)
        cJSON_AddItemToArray(parents, edge_json(network, node->parents[i]));
    cJSON_AddItemToObject(document, "parents", parents);
    set_changes(document, evidence);
    json_set_number(document, "cited_by", cited->citing[evidence->node]);
    json_set_number(document, "margin", cited->margin[evidence->node]);
    cJSON *candidates = cJSON_AddArrayToObject(document, "candidates");
    for (size_t i = 0; i < evidence->candidate_count; i++)
        cJSON_AddItemToArray(candidates, candidate_json(evidence, i, sum));
    return document;
}
