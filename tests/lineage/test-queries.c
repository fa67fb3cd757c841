#include "cases.h"
#include "lineage/queries.h"

/* Two roots; d and e have donors, f and g borrow from each other's parents. */
static void family(struct network *network)
{
    build(network, "root 1990, other 1995, a 2000, b 2005, c 2006, d 2010, e 2011, f 2012, g 2013",
          "root>a, a>b, a>c, b>d, c~d, c>e, other~e, b>f, c~f, c>g, b~g");
}

static const char *visits_text(const struct network *network, const char *start, enum direction direction,
                               enum edges edges, int depth)
{
    struct visit *visits;
    size_t count;
    const char *text = "";
    network_reach(network, find(network, start), direction, edges, depth, &arena, &visits, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(visits[i].edge == NETWORK_NONE, i == 0);
        text = arena_format(&arena, "%s%s%s:%d", text, i ? " " : "", network->nodes[visits[i].node].key,
                            visits[i].depth);
    }
    return text;
}

static void reaches_ancestors_breadth_first(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(visits_text(network, "d", TO_ANCESTORS, EDGES_ALL, -1), "d:0 b:1 c:1 a:2 root:3");
    assert_string_equal(visits_text(network, "d", TO_ANCESTORS, EDGES_PRIMARY, -1), "d:0 b:1 a:2 root:3");
    assert_string_equal(visits_text(network, "d", TO_ANCESTORS, EDGES_ALL, 1), "d:0 b:1 c:1");
    assert_string_equal(visits_text(network, "d", TO_ANCESTORS, EDGES_ALL, 0), "d:0");
    assert_string_equal(visits_text(network, "root", TO_ANCESTORS, EDGES_ALL, -1), "root:0");
}

static void reaches_descendants_breadth_first(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(visits_text(network, "c", TO_DESCENDANTS, EDGES_ALL, -1), "c:0 d:1 e:1 f:1 g:1");
    assert_string_equal(visits_text(network, "c", TO_DESCENDANTS, EDGES_PRIMARY, -1), "c:0 e:1 g:1");
    assert_string_equal(visits_text(network, "other", TO_DESCENDANTS, EDGES_PRIMARY, -1), "other:0");
    assert_string_equal(visits_text(network, "root", TO_DESCENDANTS, EDGES_PRIMARY, 2), "root:0 a:1 b:2 c:2");
}

static void a_line_leads_from_the_root(void **state)
{
    struct network *network = *state;
    size_t *line, count;
    family(network);
    network_line(network, find(network, "e"), &arena, &line, &count);
    assert_string_equal(keys_of(network, line, count), "root a c e");
    network_line(network, find(network, "other"), &arena, &line, &count);
    assert_string_equal(keys_of(network, line, count), "other");
}

static const char *common(const struct network *network, const char *of, enum edges edges)
{
    size_t nodes[8], count = 0, *ancestors, found;
    char *rest = arena_copy_string(&arena, of);
    for (char *key; (key = strsep(&rest, " "));)
        nodes[count++] = find(network, key);
    network_common_ancestors(network, nodes, count, edges, &arena, &ancestors, &found);
    return keys_of(network, ancestors, found);
}

static void common_ancestors_are_the_most_recent(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(common(network, "d e", EDGES_PRIMARY), "a");
    assert_string_equal(common(network, "d e", EDGES_ALL), "c");
    assert_string_equal(common(network, "d e b", EDGES_ALL), "a");
    assert_string_equal(common(network, "e g", EDGES_PRIMARY), "c");
}

static void several_common_ancestors_may_be_most_recent(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(common(network, "f g", EDGES_ALL), "c b");
    assert_string_equal(common(network, "f g", EDGES_PRIMARY), "a");
}

static void a_node_is_its_own_ancestor(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(common(network, "c", EDGES_PRIMARY), "c");
    assert_string_equal(common(network, "c c", EDGES_ALL), "c");
    assert_string_equal(common(network, "a e", EDGES_PRIMARY), "a");
}

static void strangers_have_no_common_ancestor(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(common(network, "other root", EDGES_ALL), "");
    assert_string_equal(common(network, "other e", EDGES_PRIMARY), "");
    assert_string_equal(common(network, "other e", EDGES_ALL), "other");
}

static const char *path_text(const struct network *network, const char *from, const char *to)
{
    struct path path;
    if (!network_path(network, find(network, from), find(network, to), &arena, &path))
        return "none";
    const char *text =
        arena_format(&arena, "%s%s:", network->nodes[path.top].key, path.edges == EDGES_ALL ? "*" : "");
    size_t at = find(network, from);
    for (size_t i = 0; i < path.count; i++) {
        const struct network_edge *edge = &network->edges[path.steps[i].edge];
        assert_int_equal(path.steps[i].up ? edge->child : edge->parent, at);
        at = path.steps[i].up ? edge->parent : edge->child;
        text = arena_format(&arena, "%s %c%s", text, path.steps[i].up ? '<' : '>', network->nodes[at].key);
    }
    assert_int_equal(at, find(network, to));
    return text;
}

static void a_path_goes_up_and_down_the_primary_edges(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(path_text(network, "d", "e"), "a: <b <a >c >e");
    assert_string_equal(path_text(network, "root", "e"), "root: >a >c >e");
    assert_string_equal(path_text(network, "e", "a"), "a: <c <a");
    assert_string_equal(path_text(network, "e", "e"), "e:");
}

static void a_path_takes_donors_where_it_must(void **state)
{
    struct network *network = *state;
    family(network);
    assert_string_equal(path_text(network, "other", "e"), "other*: >e");
    assert_string_equal(path_text(network, "other", "g"), "none");
}

/* ---- against the definitions, on random networks ---- */

enum { RANDOM_NODES = 12, RANDOM_NETWORKS = 300 };

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_network(struct network *network, uint64_t *seed)
{
    const char *nodes = "", *edges = "";
    for (int child = 0; child < RANDOM_NODES; child++) {
        nodes = arena_format(&arena, "%s%sn%d %d", nodes, child ? ", " : "", child,
                             2000 + (int)(next_random(seed) % 20));
        bool primary = next_random(seed) % 4 != 0;
        for (int parent = 0; parent < child; parent++)
            if (next_random(seed) % 4 == 0) {
                edges = arena_format(&arena, "%s%sn%d%cn%d", edges, *edges ? ", " : "", parent,
                                     primary ? '>' : '~', child);
                primary = false;
            }
    }
    *network = (struct network){0};
    build(network, nodes, edges);
}

/* By the definition of reflexive transitive closure. */
static void close_ancestry(const struct network *network, bool ancestor[RANDOM_NODES][RANDOM_NODES],
                           enum edges edges)
{
    memset(ancestor, 0, RANDOM_NODES * sizeof ancestor[0]);
    for (size_t i = 0; i < RANDOM_NODES; i++)
        ancestor[i][i] = true;
    for (size_t i = 0; i < network->edge_count; i++)
        if (edges == EDGES_ALL || network->edges[i].primary)
            ancestor[network->edges[i].parent][network->edges[i].child] = true;
    for (size_t k = 0; k < RANDOM_NODES; k++)
        for (size_t i = 0; i < RANDOM_NODES; i++)
            for (size_t j = 0; j < RANDOM_NODES; j++)
                ancestor[i][j] = ancestor[i][j] || (ancestor[i][k] && ancestor[k][j]);
}

static void check_common(const struct network *network, bool ancestor[RANDOM_NODES][RANDOM_NODES],
                         enum edges edges, const size_t pair[2])
{
    size_t *ancestors, found, expected = 0;
    network_common_ancestors(network, pair, 2, edges, &arena, &ancestors, &found);
    for (size_t i = 0; i < RANDOM_NODES; i++) {
        bool recent = ancestor[i][pair[0]] && ancestor[i][pair[1]], listed = false;
        for (size_t j = 0; j < RANDOM_NODES; j++)
            if (j != i && ancestor[i][j] && ancestor[j][pair[0]] && ancestor[j][pair[1]])
                recent = false;
        for (size_t j = 0; j < found; j++)
            listed = listed || ancestors[j] == i;
        assert_int_equal(listed, recent);
        expected += recent;
    }
    assert_int_equal(found, expected);
    struct path path;
    if (edges == EDGES_ALL)
        assert_int_equal(network_path(network, pair[0], pair[1], &arena, &path), found > 0);
    if (edges == EDGES_PRIMARY)
        assert_true(found <= 1);
}

static void random_networks_agree_with_the_definitions(void **state)
{
    struct network *network = *state;
    uint64_t seed = 20231211;
    for (int round = 0; round < RANDOM_NETWORKS; round++) {
        bool ancestor[RANDOM_NODES][RANDOM_NODES];
        random_network(network, &seed);
        for (enum edges edges = EDGES_PRIMARY; edges <= EDGES_ALL; edges++) {
            close_ancestry(network, ancestor, edges);
            for (size_t i = 0; i < RANDOM_NODES; i++) {
                struct visit *visits;
                size_t count, expected = 0;
                network_reach(network, i, TO_ANCESTORS, edges, -1, &arena, &visits, &count);
                for (size_t j = 0; j < RANDOM_NODES; j++)
                    expected += ancestor[j][i];
                assert_int_equal(count, expected);
                for (size_t j = 0; j < count; j++)
                    assert_true(ancestor[visits[j].node][i]);
            }
            check_common(network, ancestor, edges,
                         (size_t[]){next_random(&seed) % RANDOM_NODES, next_random(&seed) % RANDOM_NODES});
        }
        arena_release(&arena);
    }
}

/* ---- kernels ---- */

static const char *uses_text(const struct network *network, const char *kernel, const char *origin)
{
    static const struct composition_row rows[] = {
        {.variant = "root", .slot = "mixer", .kernel = "recurrence"},
        {.variant = "other", .slot = "mixer", .kernel = "attention"}, /* a component, older than attention */
        {.variant = "a", .slot = "mixer", .kernel = "attention"},
        {.variant = "b", .slot = "mixer", .kernel = "attention"},
        {.variant = "b", .layer = 1, .slot = "mixer", .kernel = "attention"},
        {.variant = "c", .slot = "mixer", .planned = "window"},
        {.variant = "d", .slot = "mixer", .planned = "window"},
        {.variant = "e", .slot = "mixer", .kernel = "attention"},
        {.variant = "f", .slot = "ffn", .kernel = "recurrence"},
        {.variant = "g", .slot = "mixer", .kernel = "loner"},
        {.variant = "stranger", .slot = "mixer", .kernel = "loner"},
    };
    struct kernel_use *uses;
    size_t count;
    const char *text = "";
    network_kernel_uses(network, rows, sizeof rows / sizeof *rows, kernel, origin, &arena, &uses, &count);
    for (size_t i = 0; i < count; i++)
        text = arena_format(&arena, "%s%s%s:%s:%s%s", text, i ? " " : "", network->nodes[uses[i].node].key,
                            adoption_names[uses[i].adoption],
                            uses[i].from == NETWORK_NONE ? "-" : network->nodes[uses[i].from].key,
                            uses[i].planned ? ":planned" : "");
    return text;
}

static void kernels(struct network *network)
{
    build(network,
          "root 1990 block, other 1995 component, a 2000 block, b 2005 block, c 2006 block, d 2010 block, e "
          "2011 block, "
          "f 2012 block, g 2013 block, stranger 2014 component",
          "root>a, a>b, a>c, b>d, c~d, c>e, other~e, b>f, c~f, c>g, b~g");
}

static void a_kernel_is_inherited_borrowed_or_taken_up_again(void **state)
{
    struct network *network = *state;
    kernels(network);
    /* e has it from its grandparent a: its donor `other` only stands in a block of today */
    assert_string_equal(uses_text(network, "attention", "a"),
                        "other:frame:- a:origin:- b:inherited:a e:distant:a");
    assert_string_equal(uses_text(network, "recurrence", "root"), "root:origin:- f:distant:root");
}

static void planned_kernels_have_an_origin_too(void **state)
{
    struct network *network = *state;
    kernels(network);
    assert_string_equal(uses_text(network, "window", NULL), "c:origin:-:planned d:borrowed:c:planned");
}

static void what_no_ancestor_has_is_untraced(void **state)
{
    struct network *network = *state;
    kernels(network);
    assert_string_equal(uses_text(network, "loner", NULL), "g:origin:- stranger:untraced:-");
    /* a component is the origin only where it is said to be */
    assert_string_equal(uses_text(network, "loner", "stranger"), "g:untraced:- stranger:origin:-");
}

static void an_origin_that_does_not_use_the_kernel_is_none(void **state)
{
    struct network *network = *state;
    kernels(network);
    assert_string_equal(uses_text(network, "attention", "g"),
                        "other:frame:- a:origin:- b:inherited:a e:distant:a");
    assert_string_equal(uses_text(network, "attention", "nobody"),
                        "other:frame:- a:origin:- b:inherited:a e:distant:a");
    assert_string_equal(uses_text(network, "unused", NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NETWORK(reaches_ancestors_breadth_first),
        WITH_NETWORK(reaches_descendants_breadth_first),
        WITH_NETWORK(a_line_leads_from_the_root),
        WITH_NETWORK(common_ancestors_are_the_most_recent),
        WITH_NETWORK(several_common_ancestors_may_be_most_recent),
        WITH_NETWORK(a_node_is_its_own_ancestor),
        WITH_NETWORK(strangers_have_no_common_ancestor),
        WITH_NETWORK(a_path_goes_up_and_down_the_primary_edges),
        WITH_NETWORK(a_path_takes_donors_where_it_must),
        WITH_NETWORK(random_networks_agree_with_the_definitions),
        WITH_NETWORK(a_kernel_is_inherited_borrowed_or_taken_up_again),
        WITH_NETWORK(planned_kernels_have_an_origin_too),
        WITH_NETWORK(what_no_ancestor_has_is_untraced),
        WITH_NETWORK(an_origin_that_does_not_use_the_kernel_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
