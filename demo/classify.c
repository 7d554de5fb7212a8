/* Classifies trees with the compiled Tree-LSTM: no Python, no allocation in the compiled code.
 *
 *   classify WEIGHTS TREES LOGITS
 *
 * TREES: for every tree a line `label nodes children words` of counts, then the numbers themselves.
 * LOGITS: gets one line of logits a tree. Prints accuracy and microseconds a tree. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "treelstm.h"

/* Memory that begins at a multiple of 64 bytes. */
static void *aligned(size_t bytes) {
    void *out = NULL;
    return posix_memalign(&out, 64, (bytes + 63) / 64 * 64) == 0 ? out : NULL;
}

static void *read_whole(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    void *data = NULL;
    long size;
    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) return NULL;
    rewind(f);
    *bytes = (size_t)size;
    data = aligned(*bytes);
    if (data != NULL && fread(data, 1, *bytes, f) != *bytes) data = NULL;
    fclose(f);
    return data;
}

static int32_t *numbers(FILE *f, long count) {
    int32_t *out = malloc((size_t)(count > 0 ? count : 1) * sizeof *out);
    for (long i = 0; out != NULL && i < count; i++)
        if (fscanf(f, "%d", &out[i]) != 1) return NULL;
    return out;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    size_t weight_bytes = 0, arena_bytes = 1 << 16;
    treelstm_error error = treelstm_no_error();
    treelstm_model model;
    treelstm_dims dims = treelstm_no_dims();
    void *weights, *arena;
    float *logits;
    FILE *trees, *results;
    long label, nodes, children, words, count = 0, right = 0;
    double seconds = 0;

    if (argc != 4) return 2;
    weights = read_whole(argv[1], &weight_bytes);
    trees = fopen(argv[2], "r");
    results = fopen(argv[3], "w");
    if (weights == NULL || trees == NULL || results == NULL) {
        fprintf(stderr, "cannot read or write the files\n");
        return 1;
    }
    if (treelstm_model_init(&model, weights, weight_bytes, &error) != TREELSTM_OK ||
        treelstm_model_dims(&model, &dims, &error) != TREELSTM_OK) {
        fprintf(stderr, "weights: %s: %s\n", treelstm_status_text(error.code), error.what);
        return 1;
    }
    arena = aligned(arena_bytes);
    logits = malloc((size_t)dims.m_C * sizeof *logits);
    while (fscanf(trees, "%ld %ld %ld %ld", &label, &nodes, &children, &words) == 4) {
        treelstm_logits_in in = treelstm_logits_input();
        treelstm_logits_out out = treelstm_logits_output();
        int32_t *tags = numbers(trees, nodes), *kids = numbers(trees, children);
        int32_t *leaves = numbers(trees, words);
        treelstm_status status;
        long best = 0;
        double start;
        if (tags == NULL || kids == NULL || leaves == NULL) return 1;
        in.t.nodes = nodes;
        in.t.tags = tags;
        in.t.child_count = children;
        in.t.children = kids;
        in.t.root = nodes - 1;
        in.t.Leaf_word.data = leaves;
        in.t.Leaf_word.rows = words;
        out.result.data = logits;
        out.result.capacity = dims.m_C;
        start = now();
        status = treelstm_logits(&model, &in, &out, arena, arena_bytes, NULL, &error);
        while (status == TREELSTM_E_ARENA) { /* only ever for the largest tree so far */
            free(arena);
            arena_bytes *= 2;
            arena = aligned(arena_bytes);
            start = now();
            status = treelstm_logits(&model, &in, &out, arena, arena_bytes, NULL, &error);
        }
        seconds += now() - start;
        if (status != TREELSTM_OK) {
            fprintf(stderr, "%s at line %u: %s\n", treelstm_status_text(status), error.line, error.what);
            return 1;
        }
        for (long c = 0; c < dims.m_C; c++) {
            fprintf(results, "%s%.9g", c ? " " : "", (double)logits[c]);
            if (logits[c] > logits[best]) best = c;
        }
        fprintf(results, "\n");
        right += best == label;
        count++;
        free(tags);
        free(kids);
        free(leaves);
    }
    fclose(results);
    fclose(trees);
    printf("%ld %ld %.3f\n", count, right, 1e6 * seconds / (double)(count ? count : 1));
    free(arena);
    free(logits);
    free(weights);
    return 0;
}
