/* Every kind of value across the C interface. Each line of output is checked by the test. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA 65536

static unsigned char memory[ARENA + 64];
static unsigned char *arena;

static void say(const char *name, net_status status, const net_error *error) {
    printf("%s: %s", name, net_status_text(status));
    if (status != NET_OK) {
        printf(" [%s] %u:%u %ld/%ld", error->what, (unsigned)error->line, (unsigned)error->column,
               (long)error->got, (long)error->want);
    }
    printf("\n");
}

static void floats(const char *name, const float *x, int64_t n) {
    int64_t i;
    printf("%s =", name);
    for (i = 0; i < n; i++) {
        printf(" %g", (double)x[i]);
    }
    printf("\n");
}

static void linear(void) {
    net_error error = net_no_error();
    net_dims dims = net_no_dims();
    net_dims again = net_no_dims();
    net_model model;
    net_linear_in in = net_linear_input();
    net_linear_out out = net_linear_output();
    net_train_in train = net_train_input();
    net_train_out trained = net_train_output();
    float x[3] = {1, 2, 0}, y[3];
    unsigned char *raw, *block;
    size_t size, need = 0;
    net_need how = -1;

    dims.m_O = 3;
    dims.m_I = 2;
    size = net_model_bytes(&dims);
    raw = (unsigned char *)malloc(size + 64);
    block = raw + (64 - ((size_t)raw & 63)) % 64;
    say("layout", net_model_layout(&dims, block, size, &error), &error);
    say("init", net_model_init_mut(&model, block, size, &error), &error);
    say("dims", net_model_dims(&model, &again, &error), &error);
    printf("dims = %ld %ld\n", (long)again.m_O, (long)again.m_I);
    say("draw", net_init_m(&model, 7, arena, ARENA, &error), &error);
    in.x.data = x;
    in.x.dims[0] = 2;
    out.result.data = y;
    out.result.capacity = 3;
    say("bytes", net_linear_bytes(&model, &in, &need, &how, &error), &error);
    printf("bytes %d, kind %d\n", need <= ARENA, (int)how);
    say("linear", net_linear(&model, &in, &out, arena, need, NULL, &error), &error);
    printf("needed what it said: %d\n", error.got == (int64_t)need);
    floats("y", y, out.result.dims[0]);
    train.rate = 0.5f;
    say("train", net_train(&model, &train, &trained, arena, ARENA, NULL, &error), &error);
    printf("loss = %g\n", (double)trained.result);
    say("linear", net_linear(&model, &in, &out, arena, ARENA, NULL, NULL), &error);
    floats("y", y, 3);

    /* What a caller can get wrong. */
    in.x.dims[0] = 5;
    say("shape", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    in.x.dims[0] = -1;
    say("negative", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    in.x.dims[0] = 2;
    in.x.data = NULL;
    say("null", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    in.x.data = (const float *)(const void *)((const char *)x + 1);
    say("misaligned", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    in.x.data = x;
    out.result.capacity = 2;
    say("space", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    out.result.capacity = 3;
    out.result.data = (float *)(void *)(block + 128);
    say("overlap", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    out.result.data = x;
    say("overlap", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    out.result.data = (float *)(void *)arena;
    say("overlap", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    out.result.data = y;
    say("arena", net_linear(&model, &in, &out, arena + 4, ARENA - 64, NULL, &error), &error);
    say("arena", net_linear(&model, &in, &out, arena, 100, NULL, &error), &error);
    say("arena", net_linear(&model, &in, &out, NULL, 64, NULL, &error), &error);
    say("in", net_linear(&model, NULL, &out, arena, ARENA, NULL, &error), &error);
    say("out", net_linear(&model, &in, NULL, arena, ARENA, NULL, &error), &error);
    say("model", net_linear(NULL, &in, &out, arena, ARENA, NULL, &error), &error);
    in.size -= 4;
    say("size", net_linear(&model, &in, &out, arena, ARENA, NULL, &error), &error);
    in.size += 4;
    out.abi ^= 1u;
    printf("abi: %s\n", net_status_text(net_linear(&model, &in, &out, arena, ARENA, NULL, &error)));
    out.abi ^= 1u;
    error.size = 8;
    printf("error: %s\n", net_status_text(net_linear(&model, &in, &out, arena, ARENA, NULL, &error)));
    error = net_no_error();

    /* Weights that are none. */
    say("weights", net_model_init(&model, NULL, size, &error), &error);
    say("weights", net_model_init(&model, block + 4, size, &error), &error);
    say("weights", net_model_init(&model, block, size - 64, &error), &error);
    block[0] ^= 1u;
    say("weights", net_model_init(&model, block, size, &error), &error);
    block[0] ^= 1u;
    block[9] ^= 1u;
    say("weights", net_model_init(&model, block, size, &error), &error);
    block[9] ^= 1u;
    block[71] ^= 0x80u;
    say("weights", net_model_init(&model, block, size, &error), &error);
    block[71] ^= 0x80u;
    block[80] ^= 0x20u;
    say("weights", net_model_init(&model, block, size, &error), &error);
    block[80] ^= 0x20u;
    say("weights", net_model_init(&model, block, size, &error), &error);
    say("read-only", net_train(&model, &train, &trained, arena, ARENA, NULL, &error), &error);
    dims.m_O = -1;
    printf("no size: %lu\n", (unsigned long)net_model_bytes(&dims));
    free(raw);
}

static void in_place(void) {
    net_error error = net_no_error();
    net_scale_in scale = net_scale_input();
    net_scale_out nothing = net_scale_output();
    net_step_in step = net_step_input();
    net_step_out before = net_step_output();
    float x[3] = {1, 2, 3};
    int32_t n = 4;

    scale.x.data = x;
    scale.x.dims[0] = 3;
    scale.k = 2;
    say("scale", net_scale(&scale, &nothing, arena, ARENA, NULL, &error), &error);
    floats("x", x, 3);
    step.n = &n;
    say("step", net_step(&step, &before, arena, ARENA, NULL, &error), &error);
    printf("n = %d, was %d\n", (int)n, (int)before.result);
    step.n = NULL;
    say("step", net_step(&step, &before, arena, ARENA, NULL, &error), &error);
}

static void structures(void) {
    net_error error = net_no_error();
    net_events_in events = net_events_input();
    net_events_out active = net_events_output();
    net_inflow_in inflow = net_inflow_input();
    net_inflow_out sums = net_inflow_output();
    net_rows_in rows = net_rows_input();
    net_rows_out totals = net_rows_output();
    float x[4] = {0, 1, -1, 4}, values[4], y[6];
    int32_t indices[4], src[2] = {0, 1}, dst[2] = {1, 2}, starts[4] = {0, 1, 1, 3};

    events.x.data = x;
    events.x.dims[0] = 4;
    active.result.indices = indices;
    active.result.values = values;
    active.result.capacity = 4;
    say("events", net_events(&events, &active, arena, ARENA, NULL, &error), &error);
    printf("%ld of %ld: %d %d\n", (long)active.result.count, (long)active.result.size,
           (int)indices[0], (int)indices[1]);
    active.result.capacity = 1;
    say("events", net_events(&events, &active, arena, ARENA, NULL, &error), &error);

    inflow.g.nodes = 3;
    inflow.g.arcs = 2;
    inflow.g.src = src;
    inflow.g.dst = dst;
    inflow.x.data = x;
    inflow.x.dims[0] = 3;
    inflow.x.dims[1] = 1;
    sums.result.data = y;
    sums.result.capacity = 6;
    say("sizes", net_inflow_sizes(&inflow, &sums, &error), &error);
    printf("[%ld, %ld]\n", (long)sums.result.dims[0], (long)sums.result.dims[1]);
    say("inflow", net_inflow(&inflow, &sums, arena, ARENA, NULL, &error), &error);
    floats("y", y, 3);
    dst[1] = 3;
    say("inflow", net_inflow(&inflow, &sums, arena, ARENA, NULL, &error), &error);
    inflow.g.nodes = 4;
    say("inflow", net_inflow(&inflow, &sums, arena, ARENA, NULL, &error), &error);

    rows.s.rows = 3;
    rows.s.starts = starts;
    x[0] = 5;
    rows.x.data = x;
    rows.x.dims[0] = 3;
    totals.result.data = y;
    totals.result.capacity = 3;
    say("rows", net_rows(&rows, &totals, arena, ARENA, NULL, &error), &error);
    floats("y", y, 3);
    starts[1] = 2;
    say("rows", net_rows(&rows, &totals, arena, ARENA, NULL, &error), &error);
    starts[3] = 7;
    say("rows", net_rows(&rows, &totals, arena, ARENA, NULL, &error), &error);
}

static void trees(void) {
    net_error error = net_no_error();
    net_mirror_in in = net_mirror_input();
    net_mirror_out out = net_mirror_output();
    int32_t tags[5] = {NET_TREE_LEAF, NET_TREE_LEAF, NET_TREE_LEAF, NET_TREE_NODE, NET_TREE_NODE};
    int32_t children[4] = {1, 2, 0, 3}, words[4] = {1, 2, 3, 4};
    int32_t new_tags[5], new_children[4], new_words[3];
    int i;

    in.t.nodes = 5;
    in.t.tags = tags;
    in.t.child_count = 4;
    in.t.children = children;
    in.t.root = 4;
    in.t.Leaf_word.data = words;
    in.t.Leaf_word.rows = 3;
    out.result.nodes = 5;
    out.result.tags = new_tags;
    out.result.child_count = 4;
    out.result.children = new_children;
    out.result.Leaf_word.data = new_words;
    out.result.Leaf_word.rows = 3;
    say("mirror", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    printf("%ld nodes, root %ld:", (long)out.result.nodes, (long)out.result.root);
    for (i = 0; i < 3; i++) {
        printf(" %d", (int)new_words[i]);
    }
    printf("\n");
    out.result.nodes = 3;
    say("small", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    out.result.nodes = 5;
    out.result.Leaf_word.rows = 1;
    out.result.child_count = 4;
    say("small", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    printf("wanted %ld words\n", (long)out.result.Leaf_word.rows);
    out.result.nodes = 5;
    out.result.child_count = 4;
    out.result.Leaf_word.rows = 3;
    children[3] = 0;
    say("shared", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    children[3] = 4;
    say("cyclic", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    children[3] = 3;
    tags[2] = 77;
    say("tag", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    tags[2] = NET_TREE_LEAF;
    in.t.root = 5;
    say("root", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    in.t.root = 3;
    say("root inside", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    in.t.root = -1;
    say("no root", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    in.t.root = 4;
    tags[3] = NET_TREE_LEAF;
    in.t.child_count = 2;
    in.t.Leaf_word.rows = 4;
    say("orphan", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    tags[3] = NET_TREE_NODE;
    in.t.child_count = 4;
    in.t.Leaf_word.rows = 3;
    in.t.nodes = 0;
    in.t.root = -1;
    say("nothing", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    in.t.nodes = 5;
    in.t.root = 4;
    in.t.Leaf_word.rows = 2;
    say("rows", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    in.t.Leaf_word.rows = 3;
    in.t.nodes = -1;
    say("count", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
    in.t.nodes = 5;
    out.result.tags = tags;
    say("overlap", net_mirror(&in, &out, arena, ARENA, NULL, &error), &error);
}

static void lists(void) {
    net_error error = net_no_error();
    net_upto_in upto = net_upto_input();
    net_upto_out numbers = net_upto_output();
    net_longer_in longer = net_longer_input();
    net_longer_out longest = net_longer_output();
    net_total_in total = net_total_input();
    net_total_out sum = net_total_output();
    net_maybe_in maybe = net_maybe_input();
    net_maybe_out same = net_maybe_output();
    int32_t items[5], more[6], tag = NET_OPTION_F32_SOME, new_tag;
    float rows[6] = {1, 2, 3, 4, 5, 6}, x0[2] = {0, 0}, y[2], value = 4, new_value;

    upto.n = 5;
    numbers.result.items.data = items;
    numbers.result.items.rows = 5;
    say("upto", net_upto(&upto, &numbers, arena, ARENA, NULL, &error), &error);
    printf("%ld: %d .. %d\n", (long)numbers.result.length, (int)items[0], (int)items[4]);
    longer.xs.length = 5;
    longer.xs.items.data = items;
    longer.xs.items.rows = 5;
    longer.x = 9;
    longest.xs.items.data = more;
    longest.xs.items.rows = 6;
    say("longer", net_longer(&longer, &longest, arena, ARENA, NULL, &error), &error);
    printf("%ld: %d .. %d\n", (long)longest.xs.length, (int)more[0], (int)more[5]);
    total.xs.length = 3;
    total.xs.items.data = rows;
    total.xs.items.rows = 3;
    total.xs.items.dims[0] = 2;
    total.x0.data = x0;
    total.x0.dims[0] = 2;
    sum.result.data = y;
    sum.result.capacity = 2;
    say("total", net_total(&total, &sum, arena, ARENA, NULL, &error), &error);
    floats("y", y, 2);
    total.xs.items.dims[0] = 3;
    say("total", net_total(&total, &sum, arena, ARENA, NULL, &error), &error);
    total.xs.items.dims[0] = 2;
    total.xs.length = 4;
    say("total", net_total(&total, &sum, arena, ARENA, NULL, &error), &error);
    maybe.o.nodes = 1;
    maybe.o.tags = &tag;
    maybe.o.Some_value.data = &value;
    maybe.o.Some_value.rows = 1;
    same.result_0.nodes = 1;
    same.result_0.tags = &new_tag;
    same.result_0.Some_value.data = &new_value;
    same.result_0.Some_value.rows = 1;
    say("maybe", net_maybe(&maybe, &same, arena, ARENA, NULL, &error), &error);
    printf("%g %g\n", (double)new_value, (double)same.result_1);
}

static void failures(void) {
    net_error error = net_no_error();
    net_within_in in = net_within_input();
    net_within_out out = net_within_output();
    net_at_least_in least = net_at_least_input();
    net_at_least_out got = net_at_least_output();
    net_draw_in draw = net_draw_input();
    net_draw_out drawn = net_draw_output();
    net_options options = net_no_options();
    float x[3];

    in.i = 3;
    say("within", net_within(&in, &out, arena, ARENA, NULL, &error), &error);
    least.x = 0.5f;
    say("at_least", net_at_least(&least, &got, arena, ARENA, NULL, &error), &error);
    draw.key = 5;
    draw.n = 3;
    drawn.result.data = x;
    drawn.result.capacity = 3;
    say("draw", net_draw(&draw, &drawn, arena, ARENA, NULL, &error), &error);
    floats("x", x, 3);
    draw.n = -1;
    say("draw", net_draw(&draw, &drawn, arena, ARENA, NULL, &error), &error);
    draw.n = 3;
    options.fuel = 1;
    say("options", net_draw(&draw, &drawn, arena, ARENA, &options, &error), &error);
    options.fuel = -1;
    say("fuel", net_draw(&draw, &drawn, arena, ARENA, &options, &error), &error);
    options.size--;
    say("options", net_draw(&draw, &drawn, arena, ARENA, &options, &error), &error);
    printf("strange: %s\n", net_status_text(99));
}

int main(void) {
    arena = memory + (64 - ((size_t)memory & 63)) % 64;
    memset(arena, 0xA5, ARENA);
    linear();
    in_place();
    structures();
    trees();
    lists();
    failures();
    return 0;
}
