/* Many threads, one model, one tree; an arena each. */
#include "net.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 8, TURNS = 2000 };

static net_model model;
static float want[3];
static int failed;

static int call(unsigned char *arena, size_t bytes, float *y) {
    static const float x[2] = {1, 2};
    net_linear_in in = net_linear_input();
    net_linear_out out = net_linear_output();
    in.x.data = x;
    in.x.dims[0] = 2;
    out.result.data = y;
    out.result.capacity = 3;
    return (int)net_linear(&model, &in, &out, arena, bytes, NULL, NULL);
}

static void *work(void *unused) {
    union {
        unsigned char bytes[8192 + 64];
        double aligned;
    } memory;
    unsigned char *arena = memory.bytes + (64 - ((size_t)memory.bytes & 63)) % 64;
    int i;
    (void)unused;
    for (i = 0; i < TURNS; i++) {
        float y[3] = {0, 0, 0};
        if (call(arena, 8192, y) != NET_OK || memcmp(y, want, sizeof y) != 0) {
            __atomic_store_n(&failed, 1, __ATOMIC_SEQ_CST);
        }
    }
    return NULL;
}

int main(void) {
    static unsigned char memory[1024 + 64], room[65536 + 64];
    unsigned char *block = memory + (64 - ((size_t)memory & 63)) % 64;
    unsigned char *arena = room + (64 - ((size_t)room & 63)) % 64;
    pthread_t threads[THREADS];
    net_dims dims = net_no_dims();
    int i;
    dims.m_O = 3;
    dims.m_I = 2;
    if (net_model_layout(&dims, block, 1024, NULL) || net_model_init_mut(&model, block, 1024, NULL)
        || net_init_m(&model, 3, arena, 65536, NULL) || call(arena, 65536, want)) {
        return 2;
    }
    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%s\n", failed ? "differ" : "same");
    return failed;
}
