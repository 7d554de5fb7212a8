/* A program of fixed sizes with its weights inside: three macros and a call. */
#include "net.h"

#include <stdio.h>

static union {
    unsigned char bytes[NET_LINEAR_ARENA_BYTES + 64];
    double aligned;
} memory;

int main(void) {
    unsigned char *arena = memory.bytes + (64 - ((size_t)memory.bytes & 63)) % 64;
    float x[NET_LINEAR_X_ELEMENTS] = {1, 1}, y[NET_LINEAR_RESULT_ELEMENTS];
    net_model model;
    int i;
    if (net_model_init(&model, NULL, 0, NULL) || net_linear_fixed(&model, x, y, arena)) {
        return 1;
    }
    for (i = 0; i < NET_LINEAR_RESULT_ELEMENTS; i++) {
        printf("%g\n", (double)y[i]);
    }
    return net_weights[0] == 'd' ? 0 : 2;
}
