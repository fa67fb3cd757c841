#include "catalog/variant.h"

/* A filling's options follow the name of its kernel. */
static cJSON *filling_json(const struct slot_filling *filling)
{
    cJSON *object = cJSON_CreateObject(), *options = cJSON_Parse(filling->options);
    cJSON_AddItemToObject(object, "kernel",
                          filling->kernel ? cJSON_CreateString(filling->kernel) : cJSON_CreateNull());
    if (filling->planned)
        cJSON_AddStringToObject(object, "planned", filling->planned);
    for (cJSON *option; options && (option = cJSON_DetachItemFromArray(options, 0));)
        cJSON_AddItemToObject(object, option->string, option);
    cJSON_Delete(options);
    return object;
}

static cJSON *layer_json(const struct layer *layer)
{
    cJSON *object = cJSON_CreateObject();
    if (layer->name)
        cJSON_AddStringToObject(object, "name", layer->name);
    for (size_t i = 0; i < layer->slot_count; i++)
        cJSON_AddItemToObject(object, layer->slots[i].slot, filling_json(&layer->slots[i]));
    return object;
}

cJSON *variant_composition(const struct variant *variant)
{
    if (!variant->layer_count)
        return NULL;
    if (!variant->layers[0].name)
        return layer_json(&variant->layers[0]);
    cJSON *object = cJSON_CreateObject(), *pattern = cJSON_AddArrayToObject(object, "pattern");
    for (size_t i = 0; i < variant->layer_count; i++)
        cJSON_AddItemToArray(pattern, layer_json(&variant->layers[i]));
    return object;
}
