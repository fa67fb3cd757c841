#include "pictures.h"
#include "render/dot.h"
#include "render/layout.h"
#include <math.h>
#include <string.h>

static void columns_are_years_and_chains_within_them(void **state)
{
    struct picture picture = odd_picture();
    assert_int_equal(picture.column_count, 5);
    static const int years[] = {2000, 2001, 2001, 2001, 2003};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(picture.column_years[i], years[i]);
        assert_int_equal(picture.nodes[i].column, i); /* c after b, d without a year after c */
    }
}

static void primary_edges_come_first_parents_before_children(void **state)
{
    struct picture picture = random_picture(3, 60, 40);
    bool reached[60] = {false};
    assert_int_equal(picture.primary_count, 59);
    for (size_t i = 0; i < picture.edge_count; i++) {
        const struct picture_edge *edge = &picture.edges[i];
        assert_int_equal(edge->primary, i < picture.primary_count);
        if (!edge->primary)
            continue;
        assert_true(reached[edge->parent] || picture.nodes[edge->parent].parent == PICTURE_NONE);
        assert_int_equal(picture.nodes[edge->child].parent, i);
        reached[edge->child] = true;
    }
}

static void descendants_and_categories_are_counted(void **state)
{
    struct picture picture = odd_picture();
    assert_int_equal(picture.nodes[0].descendants, 4);
    assert_int_equal(picture.nodes[4].descendants, 0);
    assert_int_equal(picture.categories[0].count, 2);
    assert_int_equal(picture.categories[1].count, 2);
}

static void a_circle_ends(void **state)
{
    struct picture_node nodes[] = {{.key = "a", .label = "a", .year = 2000},
                                   {.key = "b", .label = "b", .year = 2000}};
    struct picture_edge edges[] = {{.parent = 0, .child = 1}, {.parent = 1, .child = 0}};
    struct picture picture = {
        .timeline = true, .nodes = nodes, .node_count = 2, .edges = edges, .edge_count = 2};
    picture_arrange(&picture, &arena);
    assert_true(picture.column_count >= 2);
}

static void print_to_read(const void *picture, FILE *stream)
{
    dot_print(picture, DOT_TO_READ, stream);
}

static void dot_quotes_everything(void **state)
{
    struct picture picture = odd_picture();
    size_t length;
    const char *dot = captured(print_to_read, &picture, &length);
    assert_non_null(strstr(dot, "label=\"A \\\"quoted\\\"\\n\\\\name\"")
                        ? strstr(dot, "label=\"A")
                        : strstr(dot, "A \\\"quoted\\\" \\\\name"));
    assert_non_null(strstr(dot, "tooltip=\"first\\nsecond & <third>\""));
    assert_non_null(strstr(dot, "\"a\" -> \"b\" [weight=8, style=dotted]"));
    assert_non_null(strstr(dot, "\"a\" -> \"e\" [weight=1, constraint=false, style=dashed"));
    assert_non_null(strstr(dot, "[label=\"2003\"]"));
}

/* ---- layout ---- */

static struct layout laid_out(const struct picture *picture)
{
    struct layout layout;
    struct error error = ERROR_INIT;
    if (layout_picture(picture, 30, &arena, &layout, &error))
        fail_msg("%s", error.message);
    return layout;
}

static void expect_sound_layout(const struct picture *picture, const struct layout *layout)
{
    for (size_t i = 0; i < picture->node_count; i++) {
        const struct picture_node *a = &picture->nodes[i];
        const struct point *p = &layout->nodes[i];
        assert_true(p->x - a->width / 2 > -3 && p->x + a->width / 2 < layout->width + 1);
        assert_true(p->y - a->height / 2 > -3 && p->y + a->height / 2 < layout->height + 1);
        for (size_t j = 0; j < i; j++) {
            const struct picture_node *b = &picture->nodes[j];
            const struct point *q = &layout->nodes[j];
            bool apart = fabs(p->x - q->x) >= (a->width + b->width) / 2 - 0.5 ||
                         fabs(p->y - q->y) >= (a->height + b->height) / 2 - 0.5;
            if (!apart)
                fail_msg("'%s' and '%s' overlap", a->key, b->key);
        }
    }
}

static void nodes_do_not_overlap_and_years_run_from_left_to_right(void **state)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct picture picture = random_picture(seed, 40 * seed, 30);
        struct layout layout = laid_out(&picture);
        expect_sound_layout(&picture, &layout);
        for (size_t i = 0; i < picture.node_count; i++)
            for (size_t j = 0; j < i; j++)
                if (picture.nodes[i].column < picture.nodes[j].column)
                    assert_true(layout.nodes[i].x < layout.nodes[j].x);
                else if (picture.nodes[i].column == picture.nodes[j].column)
                    assert_true(fabs(layout.nodes[i].x - layout.nodes[j].x) < 0.5);
    }
}

/* Each primary edge begins at its parent's right side and ends at its child's left one. */
static void edges_lead_from_parent_to_child(void **state)
{
    struct picture picture = random_picture(7, 80, 0);
    struct layout layout = laid_out(&picture);
    for (size_t i = 0; i < picture.primary_count; i++) {
        const struct picture_edge *edge = &picture.edges[i];
        const struct layout_edge *laid = &layout.edges[i];
        assert_true(laid->point_count >= 4 && laid->point_count % 3 == 1);
        struct point start = laid->points[0], end = laid->points[laid->point_count - 1];
        double left = layout.nodes[edge->parent].x + picture.nodes[edge->parent].width / 2;
        double right = layout.nodes[edge->child].x - picture.nodes[edge->child].width / 2;
        assert_true(fabs(start.x - left) < 2 && fabs(start.y - layout.nodes[edge->parent].y) < 2);
        assert_true(fabs(end.x - right) < 2 && fabs(end.y - layout.nodes[edge->child].y) < 2);
    }
}

static void the_layout_is_the_same_in_every_run(void **state)
{
    struct picture picture = random_picture(11, 120, 60);
    struct layout first = laid_out(&picture), second = laid_out(&picture);
    assert_memory_equal(first.nodes, second.nodes, picture.node_count * sizeof *first.nodes);
    for (size_t i = 0; i < picture.primary_count; i++)
        assert_memory_equal(first.edges[i].points, second.edges[i].points,
                            first.edges[i].point_count * sizeof(struct point));
}

static void labels_of_edges_have_room(void **state)
{
    struct picture picture = random_picture(13, 12, 6);
    picture.routed_donors = true;
    for (size_t i = 0; i < picture.edge_count; i++)
        picture.edges[i].label = "what it changed, in a few words";
    picture_arrange(&picture, &arena);
    struct layout layout = laid_out(&picture);
    expect_sound_layout(&picture, &layout);
    for (size_t i = 0; i < picture.edge_count; i++)
        for (size_t j = 0; j < picture.node_count; j++) {
            const struct picture_edge *edge = &picture.edges[i];
            struct point at = layout.edges[i].label, node = layout.nodes[j];
            assert_true(fabs(at.x - node.x) >= (edge->lines.width + picture.nodes[j].width) / 2 - 0.5 ||
                        fabs(at.y - node.y) >=
                            ((double)edge->lines.count * 8 + picture.nodes[j].height) / 2 - 0.5);
        }
}

static void a_layout_that_takes_too_long_is_given_up(void **state)
{
    struct picture picture = random_picture(17, 700, 9000);
    struct layout layout;
    struct error error = ERROR_INIT;
    picture.routed_donors = true;
    assert_int_equal(layout_picture(&picture, 1, &arena, &layout, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message,
                        "the layout of 700 nodes took Graphviz more than 1 s: draw a part of the tree");
}

static void branches_are_as_long_as_they_are(void **state)
{
    struct picture picture = random_picture(19, 50, 0);
    struct layout layout;
    picture.timeline = false;
    for (size_t i = 0; i < picture.edge_count; i++) {
        picture.edges[i].length = 1;
        picture.nodes[picture.edges[i].parent].label = NULL;
    }
    picture_arrange(&picture, &arena);
    layout_branches(&picture, &arena, &layout);
    expect_sound_layout(&picture, &layout);
    double step = 0;
    for (size_t i = 0; i < picture.primary_count; i++) {
        const struct picture_edge *edge = &picture.edges[i];
        double from = layout.nodes[edge->parent].x, to = layout.nodes[edge->child].x;
        if (picture.nodes[edge->child].label)
            to -= picture.nodes[edge->child].width / 2;
        step = step > 0 ? step : to - from;
        assert_true(fabs(to - from - step) < 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(columns_are_years_and_chains_within_them),
        WITH_ARENA(primary_edges_come_first_parents_before_children),
        WITH_ARENA(descendants_and_categories_are_counted),
        WITH_ARENA(a_circle_ends),
        WITH_ARENA(dot_quotes_everything),
        WITH_ARENA(nodes_do_not_overlap_and_years_run_from_left_to_right),
        WITH_ARENA(edges_lead_from_parent_to_child),
        WITH_ARENA(the_layout_is_the_same_in_every_run),
        WITH_ARENA(labels_of_edges_have_room),
        WITH_ARENA(a_layout_that_takes_too_long_is_given_up),
        WITH_ARENA(branches_are_as_long_as_they_are),
    };
    return cmocka_run_group_tests_name("picture", tests, NULL, NULL);
}
