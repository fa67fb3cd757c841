/* cell-groups.h: the tokens of a grid in groups of few, so that attention within a group costs no more than
 * these see. Groups are the same along rows and columns, so one axis is described at a time: `groups` groups
 * of `queries` cells, which see some of `keys` cells.
 *
 *   blocks        `window` successive cells, from cell 0 on or from the middle of the first window on;
 *                 then the last group holds what is left on both ends of the axis, which do not see each
 *                 other (Swin's shifted windows)
 *   interval      `window` cells that are `interval` apart
 *   neighborhood  `window` successive queries, each of which sees the `window` cells around it,
 *                 all of them within the axis
 *
 * An axis of at most `window` cells is one group. Places of a group past the end of the axis are empty. */
#ifndef CLADE_KERNELS_CELL_GROUPS_H
#define CLADE_KERNELS_CELL_GROUPS_H

#include "block/kernel.h"

struct axis {
    enum { AXIS_BLOCKS, AXIS_INTERVAL, AXIS_NEIGHBORHOOD } form;
    int64_t length, window, groups, queries, keys, shift, interval;
};

static inline int64_t between(int64_t low, int64_t x, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* interval 0: such that a group spans the axis. */
static inline struct axis axis_of(int form, int64_t length, int64_t window, bool shifted, int64_t interval)
{
    struct axis a = {.form = form, .length = length, .window = window < length ? window : length};
    a.groups = (length + a.window - 1) / a.window;
    a.queries = a.keys = a.window;
    a.interval = interval && a.groups > 1 ? interval : a.groups;
    if (form == AXIS_INTERVAL)
        a.groups = (length + a.window * a.interval - 1) / (a.window * a.interval) * a.interval;
    else if (form == AXIS_NEIGHBORHOOD)
        a.keys = between(1, 2 * a.window - 1, length);
    else if (shifted && a.groups > 1)
        a.shift = a.window / 2;
    return a;
}

/* The cell at a query's place in a group, or -1. */
static inline int64_t query_cell(const struct axis *a, int64_t group, int64_t place)
{
    int64_t cell = group * a->window + place;
    if (a->form == AXIS_INTERVAL)
        cell = (group / a->interval * a->window + place) * a->interval + group % a->interval;
    else
        cell = (cell + a->shift) % (a->groups * a->window);
    return cell < a->length ? cell : -1;
}

static inline int64_t key_cell(const struct axis *a, int64_t group, int64_t place)
{
    if (a->form != AXIS_NEIGHBORHOOD)
        return query_cell(a, group, place);
    return between(0, group * a->window - a->window / 2, a->length - a->keys) + place;
}

/* Whether a query sees a key; then *offset is by how many places it stands after it. */
static inline bool sees(const struct axis *a, int64_t query, int64_t key, int64_t *offset)
{
    if (query < 0 || key < 0)
        return false;
    *offset = (query - key) / (a->form == AXIS_INTERVAL ? a->interval : 1);
    if (a->form == AXIS_NEIGHBORHOOD) {
        int64_t first = between(0, query - a->window / 2, a->length - a->window);
        return key >= first && key < first + a->window;
    }
    return (query < a->shift) == (key < a->shift);
}

/* Whether the groups are alike in who sees whom. */
static inline bool groups_alike(const struct axis *a)
{
    if (a->groups == 1)
        return true;
    return a->form != AXIS_NEIGHBORHOOD && a->shift == 0 && a->length % (a->groups * a->queries) == 0;
}

#endif
