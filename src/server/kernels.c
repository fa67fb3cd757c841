#include "server/kernels.h"
#include "base/fields.h"
#include "block/registry.h"

static cJSON *option_json(const struct option *option)
{
    static const char *const types[] = {[OPTION_INTEGER] = "integer",
                                        [OPTION_REAL] = "real",
                                        [OPTION_FLAG] = "flag",
                                        [OPTION_CHOICE] = "choice",
                                        [OPTION_LIST] = "list"};
    cJSON *object = cJSON_CreateObject();
    bool number = option->type == OPTION_INTEGER || option->type == OPTION_REAL;
    json_set_text(object, "name", option->name);
    json_set_text(object, "type", types[option->type]);
    if (number)
        json_set_number(object, "default", option->initial);
    else if (option->type == OPTION_FLAG)
        json_set_flag(object, "default", option->initial != 0);
    else
        json_set_text(object, "default",
                      NULL); /* of a choice the first word, of a list what `choices` says */
    if (number || option->type == OPTION_LIST) {
        json_set_number(object, "minimum", option->minimum);
        json_set_number(object, "maximum", option->maximum);
    }
    if (option->choices)
        json_set_text(object, "choices", option->choices);
    json_set_text(object, "help", option->help);
    return object;
}

cJSON *kernel_json(size_t index)
{
    const struct kernel *kernel = registry_kernels[index];
    cJSON *document = cJSON_CreateObject();
    json_set_text(document, "name", kernel->name);
    json_set_text(document, "slot", slot_names[kernel->slot]);
    json_set_text(document, "origin", kernel->variant);
    json_set_text(document, "summary", kernel->summary);
    json_set_text(document, "notes", registry_notes[index]);
    cJSON *characters = cJSON_AddArrayToObject(document, "characters");
    for (const struct character *character = kernel->characters; character && character->name; character++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "character", character->name);
        json_set_text(object, "state", character->state);
        cJSON_AddItemToArray(characters, object);
    }
    cJSON *options = cJSON_AddArrayToObject(document, "options");
    for (const struct option *option = kernel->options; option && option->name; option++)
        cJSON_AddItemToArray(options, option_json(option));
    return document;
}
