#include "bench/crossing.h"
#include <math.h>

/* Of the budget, what the doubling lengths may take; the rest is for the halving. */
static const double doubling_share = 0.6;
/* A bracket whose ends are within this factor is narrow. */
static const double narrow = 1.01;

const char *const crossing_end_names[] = {
    [CROSSING_LENGTH] = "length",
    [CROSSING_BUDGET] = "budget",
    [CROSSING_MEMORY] = "memory",
    [CROSSING_REFUSED] = "refused",
};

int crossing_sign(const struct crossing_point *point)
{
    return point->high < 1 ? -1 : point->low > 1 ? 1 : 0;
}

/* ---- Measuring ---- */

static void insert(struct crossing *crossing, const struct crossing_point *point)
{
    size_t place = crossing->count++;
    for (; place > 0 && crossing->points[place - 1].length > point->length; place--)
        crossing->points[place] = crossing->points[place - 1];
    crossing->points[place] = *point;
}

static double spent(const struct crossing *crossing)
{
    double seconds = 0;
    for (size_t i = 0; i < crossing->count; i++)
        seconds += crossing->points[i].cost_s;
    return seconds;
}

static enum status measure(const struct crossing_search *search, struct crossing *crossing, int64_t length,
                           struct error *error)
{
    struct crossing_point point = {0};
    enum status status = search->compare(search->argument, length, &point, error);
    if (status)
        return status;
    point.length = length;
    insert(crossing, &point);
    return STATUS_OK;
}

/* What the next doubling will need, as it grew with the last one: no less than now, and no more than four
 * times. */
static double grown(double now, double before)
{
    return now * (before > 0 ? fmin(fmax(now / before, 1), 4) : 2);
}

/* Whether the length after the longest yet would pass a limit. */
static bool too_much(const struct crossing_search *search, struct crossing *crossing)
{
    if (crossing->count == 0)
        return false;
    const struct crossing_point none = {0}, *now = &crossing->points[crossing->count - 1],
                                *before = crossing->count > 1 ? now - 1 : &none;
    if (grown((double)now->bytes, (double)before->bytes) > (double)search->memory)
        crossing->end = CROSSING_MEMORY;
    else if (spent(crossing) + grown(now->cost_s, before->cost_s) > doubling_share * search->budget_s)
        crossing->end = CROSSING_BUDGET;
    return crossing->end != CROSSING_LENGTH;
}

/* Lengths from the first to the last, doubled. A refusal at the shortest ones is passed over: some take no
 * input that short. */
static enum status measure_doubling(const struct crossing_search *search, struct crossing *crossing,
                                    struct error *error)
{
    for (int64_t length = search->first;; length = length > search->last / 2 ? search->last : 2 * length) {
        struct error failure = ERROR_INIT;
        if (too_much(search, crossing))
            break;
        enum status status = measure(search, crossing, length, &failure);
        if (status == STATUS_USAGE && (crossing->count || !crossing->refusal.status))
            crossing->refusal = failure;
        if (status && status != STATUS_USAGE) {
            *error = failure;
            return status;
        }
        if (status && crossing->count) {
            crossing->end = CROSSING_REFUSED;
            break;
        }
        if (length == search->last)
            break;
    }
    if (crossing->count)
        return STATUS_OK;
    *error = crossing->refusal;
    return error->status;
}

/* ---- The change of the faster one ---- */

/* The sure points around the last change: it lies between them. */
static bool find_bracket(const struct crossing *crossing, size_t *low, size_t *high)
{
    bool found = false;
    int sign = 0;
    for (size_t i = 0, sure = 0; i < crossing->count; i++) {
        int here = crossing_sign(&crossing->points[i]);
        if (here && sign && here != sign) {
            *low = sure;
            *high = i;
            found = true;
        }
        if (here) {
            sign = here;
            sure = i;
        }
    }
    return found;
}

static enum status halve(const struct crossing_search *search, struct crossing *crossing, struct error *error)
{
    size_t low, high;
    while (find_bracket(crossing, &low, &high) && high == low + 1 && crossing->count < CROSSING_POINTS) {
        const struct crossing_point *a = &crossing->points[low], *b = &crossing->points[high];
        struct error failure = ERROR_INIT;
        if (b->length - a->length < 2 || (double)b->length <= narrow * (double)a->length ||
            spent(crossing) + b->cost_s > search->budget_s)
            break;
        int64_t middle = llround(sqrt((double)a->length * (double)b->length));
        if (middle == a->length)
            middle++;
        if (middle == b->length)
            middle--;
        enum status status = measure(search, crossing, middle, &failure);
        if (status == STATUS_USAGE) {
            crossing->refusal = failure;
            break;
        }
        if (status) {
            *error = failure;
            return status;
        }
    }
    return STATUS_OK;
}

/* What is looked at: the ratio, or an end of its range. */
enum curve { RATIO, NEAR_END, FAR_END };

/* How far above 1 a point stands on the side of the change's low end, where it is positive; its high end is
 * where it is negative. The near end of the range makes it pass sooner. */
static double height(const struct crossing_point *point, int sign, enum curve curve)
{
    bool lower = (curve == NEAR_END) == (sign > 0);
    return sign * log(curve == RATIO ? point->ratio : lower ? point->low : point->high);
}

/* The length of the last passage through 0 between two points, or of the first. */
static double passage(const struct crossing *crossing, size_t low, size_t high, enum curve curve, bool last)
{
    int sign = crossing_sign(&crossing->points[low]);
    double found = NAN;
    for (size_t i = low; i < high && (last || isnan(found)); i++) {
        const struct crossing_point *a = &crossing->points[i], *b = a + 1;
        double from = height(a, sign, curve), to = height(b, sign, curve);
        if (from > 0 && to <= 0)
            found = (double)a->length * pow((double)b->length / (double)a->length, from / (from - to));
    }
    return found;
}

static void conclude(struct crossing *crossing)
{
    size_t low, high;
    int before = 0;
    for (size_t i = 0; i < crossing->count; i++) {
        int here = crossing_sign(&crossing->points[i]);
        crossing->changes += here && before && here != before;
        before = here ? here : before;
    }
    crossing->winner = before;
    crossing->length = crossing->low = crossing->high = NAN;
    if (find_bracket(crossing, &low, &high)) {
        crossing->length = passage(crossing, low, high, RATIO, true);
        crossing->low = passage(crossing, low, high, NEAR_END, false);
        crossing->high = passage(crossing, low, high, FAR_END, true);
    }
}

enum status crossing_find(const struct crossing_search *search, struct crossing *crossing,
                          struct error *error)
{
    *crossing = (struct crossing){.end = CROSSING_LENGTH, .refusal = ERROR_INIT};
    enum status status = measure_doubling(search, crossing, error);
    if (!status)
        status = halve(search, crossing, error);
    if (!status)
        conclude(crossing);
    return status;
}
