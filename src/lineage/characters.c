#include "lineage/characters.h"
#include <stdbool.h>
#include <string.h>

static enum status read_vocabulary(struct catalog *catalog, struct arena *arena,
                                   struct character_matrix *matrix, struct error *error)
{
    struct character_state *rows;
    size_t count;
    enum status status = catalog_characters(catalog, arena, &rows, &count, error);
    for (size_t i = 0; !status && i < count; i++) {
        bool first = i == 0 || strcmp(rows[i].character, rows[i - 1].character) != 0;
        if (first) {
            matrix->characters =
                arena_extend(arena, matrix->characters, matrix->character_count, sizeof *matrix->characters);
            matrix->characters[matrix->character_count++] =
                (struct matrix_character){.name = rows[i].character};
        }
        struct matrix_character *character = &matrix->characters[matrix->character_count - 1];
        if (character->state_count == MOST_STATES)
            return error_set(error, STATUS_OUTSIDE, "character '%s' has more than %d states", character->name,
                             MOST_STATES);
        character->states =
            arena_extend(arena, character->states, character->state_count, sizeof *character->states);
        character->states[character->state_count++] = rows[i].state;
    }
    return status;
}

static size_t find_character(const struct character_matrix *matrix, const char *name)
{
    size_t i = 0;
    while (i < matrix->character_count && strcmp(matrix->characters[i].name, name) != 0)
        i++;
    return i;
}

static uint32_t state_bit(const struct matrix_character *character, const char *name)
{
    for (size_t i = 0; i < character->state_count; i++)
        if (strcmp(character->states[i], name) == 0)
            return UINT32_C(1) << i;
    return 0;
}

/* Rows come sorted by variant. */
static void fill_cells(struct character_matrix *matrix, const struct trait_row *rows, size_t count,
                       struct arena *arena)
{
    matrix->taxa = arena_allocate(arena, size_multiply(count + 1, sizeof *matrix->taxa));
    matrix->cells = arena_allocate(
        arena, size_multiply(size_multiply(count + 1, matrix->character_count), sizeof *matrix->cells));
    for (size_t i = 0; i < count; i++) {
        size_t character = find_character(matrix, rows[i].character);
        if (character == matrix->character_count)
            continue;
        if (matrix->taxon_count == 0 || strcmp(matrix->taxa[matrix->taxon_count - 1], rows[i].variant) != 0)
            matrix->taxa[matrix->taxon_count++] = rows[i].variant;
        matrix->cells[(matrix->taxon_count - 1) * matrix->character_count + character] |=
            state_bit(&matrix->characters[character], rows[i].state);
    }
}

static void drop_poor_taxa(struct character_matrix *matrix, size_t known)
{
    size_t kept = 0, characters = matrix->character_count;
    for (size_t i = 0; i < matrix->taxon_count; i++) {
        size_t count = 0;
        for (size_t j = 0; j < characters; j++)
            count += matrix_cell(matrix, i, j) != 0;
        if (count < known)
            continue;
        matrix->taxa[kept] = matrix->taxa[i];
        memmove(matrix->cells + kept * characters, matrix->cells + i * characters,
                characters * sizeof *matrix->cells);
        kept++;
    }
    matrix->taxon_count = kept;
}

static bool varies(const struct character_matrix *matrix, size_t character)
{
    uint32_t common = 0;
    for (size_t i = 0; i < matrix->taxon_count; i++) {
        uint32_t cell = matrix_cell(matrix, i, character);
        if (cell && common && cell != common)
            return true;
        common = cell ? cell : common;
    }
    return false;
}

static void drop_constant_characters(struct character_matrix *matrix, struct arena *arena)
{
    size_t kept = 0, before = matrix->character_count;
    size_t *places = arena_allocate(arena, size_multiply(before + 1, sizeof *places));
    for (size_t j = 0; j < before; j++)
        if (varies(matrix, j))
            places[kept++] = j;
    for (size_t i = 0; i < matrix->taxon_count; i++)
        for (size_t j = 0; j < kept; j++)
            matrix->cells[i * kept + j] = matrix->cells[i * before + places[j]];
    for (size_t j = 0; j < kept; j++)
        matrix->characters[j] = matrix->characters[places[j]];
    matrix->character_count = kept;
}

enum status characters_from_catalog(struct catalog *catalog, size_t known, struct arena *arena,
                                    struct character_matrix *matrix, struct error *error)
{
    struct trait_row *rows;
    size_t count;
    *matrix = (struct character_matrix){NULL};
    enum status status = read_vocabulary(catalog, arena, matrix, error);
    if (!status)
        status = catalog_traits(catalog, arena, &rows, &count, error);
    if (status)
        return status;
    fill_cells(matrix, rows, count, arena);
    drop_poor_taxa(matrix, known);
    drop_constant_characters(matrix, arena);
    return STATUS_OK;
}
