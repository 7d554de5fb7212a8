/* Structures in which a number or two are wrong, in buffers of exactly their size: every call ends
 * with a status that says what is wrong, and valid ones succeed, trees in the arena that they say. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NET_ALIGNED unsigned char arena[65536];
static int seen[16];
static uint64_t state = 88172645463325252u;

static uint64_t draw(uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static int64_t number(void) {
    static const int64_t v[] = {-1, 0, 1, 2, 3, 5, -2, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    return v[draw(11)];
}

static int32_t small(void) {
    static const int32_t v[] = {-1, 0, 1, 2, 3, 4, 5, 7, 1000, INT32_MAX, INT32_MIN};
    return v[draw(11)];
}

/* A count that is wrong: less than there are, or more than an arena holds. */
static int64_t count(int64_t right) {
    int64_t v = number();
    return v < right || v >= INT32_MAX ? v : -1;
}

static void *copy(const void *from, size_t bytes) {
    void *to = malloc(bytes);
    if (!to) exit(3);
    memcpy(to, from, bytes);
    return to;
}

static void ends(const char *who, net_status status, const net_error *error, int valid) {
    seen[status]++;
    if (status == NET_E_ASSERT || status == NET_E_DIVZERO || status == NET_E_FUEL
        || status == NET_E_WEIGHTS || status == NET_E_ABI || (status && !error->what[0])
        || (valid && status)) {
        printf("%s: %s: %s\n", who, net_status_text(status), error->what);
        exit(1);
    }
}

static void trees(int valid) {
    static const int32_t some_tags[] = {NET_TREE_LEAF, NET_TREE_LEAF, NET_TREE_LEAF,
                                        NET_TREE_NODE, NET_TREE_NODE};
    static const int32_t some_children[] = {1, 2, 0, 3}, some_words[] = {1, 2, 3};
    static const float x[] = {0.5f, 1, 2};
    int32_t *tags = (int32_t *)copy(some_tags, sizeof some_tags);
    int32_t *children = (int32_t *)copy(some_children, sizeof some_children);
    int32_t *words = (int32_t *)copy(some_words, sizeof some_words);
    net_tree_in in = net_tree_input();
    net_tree_out out = net_tree_output();
    net_error error = net_no_error();
    net_need kind = NET_UNBOUNDED;
    size_t bytes = sizeof arena;
    float y[3];

    in.t.nodes = 5, in.t.tags = tags, in.t.child_count = 4, in.t.children = children;
    in.t.root = 4, in.t.Leaf_word.data = words, in.t.Leaf_word.rows = 3;
    in.x.data = x, in.x.dims[0] = 3, out.result.data = y, out.result.capacity = 3;
    switch (valid ? 99 : (int)draw(10)) {
    case 0: tags[draw(5)] = small(); break;
    case 1: children[draw(4)] = small(); break;
    case 2: in.t.root = number(); break;
    case 3: in.t.nodes = count(5); break;
    case 4: in.t.child_count = count(4); break;
    case 5: in.t.Leaf_word.rows = count(3); break;
    case 6: in.t.tags = NULL; break;
    case 7: in.t.children = NULL; break;
    case 8: in.t.Leaf_word.data = NULL; break;
    case 9: out.result.capacity = count(3); break;
    default: break;
    }
    if (net_tree_bytes(&in, &bytes, &kind, &error) || bytes > sizeof arena) bytes = sizeof arena;
    ends("tree", net_tree(&in, &out, arena, bytes, NULL, &error), &error, valid);
    free(tags), free(children), free(words);
}

static void bags(int valid) {
    static const int32_t some_tags[] = {NET_TREE_LEAF, NET_BAG_SACK, NET_BAG_SACK};
    static const int32_t some_children[] = {2, 1, 0, 1, 0, 1, 2}, word = 7;
    static const float some_xs[] = {1, 2, 3};
    int32_t *tags = (int32_t *)copy(some_tags, sizeof some_tags);
    int32_t *children = (int32_t *)copy(some_children, sizeof some_children);
    float *xs = (float *)copy(some_xs, sizeof some_xs);
    net_bags_in in = net_bags_input();
    net_bags_out out = net_bags_output();
    net_error error = net_no_error();

    in.b.length = 2, in.b.nodes = 3, in.b.tags = tags, in.b.child_count = 7;
    in.b.children = children, in.b.Leaf_word.data = &word, in.b.Leaf_word.rows = 1;
    in.b.Sack_xs.data = xs, in.b.Sack_xs.rows = 3;
    switch (valid ? 99 : (int)draw(6)) {
    case 0: tags[draw(3)] = small(); break;
    case 1: children[draw(7)] = small(); break;
    case 2: children[draw(7)] = small(), children[draw(7)] = small(); break;
    case 3: in.b.length = count(2); break;
    case 4: in.b.nodes = count(3); break;
    case 5: in.b.Sack_xs.rows = count(3); break;
    default: break;
    }
    ends("bags", net_bags(&in, &out, arena, sizeof arena, NULL, &error), &error, valid);
    free(tags), free(children), free(xs);
}

static void indices(int valid) {
    static const int32_t from[] = {0, 1, 2}, to[] = {1, 2, 0}, some_starts[] = {0, 1, 1, 3};
    static const float x[] = {1, 2, 3};
    int32_t *src = (int32_t *)copy(from, sizeof from), *dst = (int32_t *)copy(to, sizeof to);
    int32_t *starts = (int32_t *)copy(some_starts, sizeof some_starts);
    net_graph_in g = net_graph_input();
    net_graph_out gy = net_graph_output();
    net_rows_in s = net_rows_input();
    net_rows_out sy = net_rows_output();
    net_product_in p = net_product_input();
    net_product_out py = net_product_output();
    net_error error = net_no_error();
    float y[3];

    g.g.nodes = 3, g.g.arcs = 3, g.g.src = src, g.g.dst = dst, g.x.data = x, g.x.dims[0] = 3;
    gy.result.data = y, gy.result.capacity = 3;
    s.s.rows = 3, s.s.starts = starts, s.x.data = x, s.x.dims[0] = 3;
    sy.result.data = y, sy.result.capacity = 3;
    p.x.size = 3, p.x.count = 3, p.x.indices = dst, p.x.values = x, p.y.data = x, p.y.dims[0] = 3;
    switch (valid ? 99 : (int)draw(9)) {
    case 0: src[draw(3)] = small(); break;
    case 1: dst[draw(3)] = small(); break;
    case 2: g.g.nodes = number(); break;
    case 3: g.g.arcs = count(3); break;
    case 4: g.x.dims[0] = number(); break;
    case 5: starts[draw(4)] = small(); break;
    case 6: s.s.rows = count(3); break;
    case 7: s.x.dims[0] = number(); break;
    case 8: p.x.size = number(), p.x.count = count(3); break;
    default: break;
    }
    ends("graph", net_graph(&g, &gy, arena, sizeof arena, NULL, &error), &error, valid);
    ends("rows", net_rows(&s, &sy, arena, sizeof arena, NULL, &error), &error, valid);
    ends("product", net_product(&p, &py, arena, sizeof arena, NULL, &error), &error, valid);
    free(src), free(dst), free(starts);
}

int main(int arguments, char **given) {
    const int turns = arguments > 1 ? atoi(given[1]) : 1000;
    int i;
    for (i = 0; i < turns; i++) {
        trees(i % 8 == 0);
        bags(i % 8 == 1);
        indices(i % 8 == 2);
    }
    for (i = 0; i < 16; i++)
        if (seen[i]) printf("%s\n", net_status_text(i));
    return 0;
}
