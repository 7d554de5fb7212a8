/* Every arena from nothing to enough: a status, and no byte outside it is touched. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAVES = 30, NODES = 2 * LEAVES - 1, MOST = 65536, EDGE = 256 };

int main(void) {
    static int32_t tags[NODES], children[NODES - 1], words[LEAVES];
    static int32_t new_tags[NODES], new_children[NODES - 1], new_words[LEAVES];
    net_error error = net_no_error();
    net_mirror_in in = net_mirror_input();
    net_mirror_out out = net_mirror_output();
    int64_t enough = 0;
    size_t bytes, i, tried = 0;
    int n = 0, c = 0;

    tags[n++] = NET_TREE_LEAF;
    for (i = 1; i < LEAVES; i++) {
        tags[n] = NET_TREE_LEAF;
        children[c++] = n - 1;
        children[c++] = n;
        tags[n + 1] = NET_TREE_NODE;
        n += 2;
    }
    in.t.nodes = NODES;
    in.t.tags = tags;
    in.t.child_count = NODES - 1;
    in.t.children = children;
    in.t.root = NODES - 1;
    in.t.Leaf_word.data = words;
    in.t.Leaf_word.rows = LEAVES;
    for (bytes = 0; bytes <= MOST; bytes += 64) {
        /* A block of its own size, so that valgrind sees its end. */
        unsigned char *raw = (unsigned char *)malloc(bytes + 2 * EDGE + 64);
        unsigned char *arena = raw + EDGE;
        net_status status;
        arena += (64 - ((size_t)arena & 63)) % 64;
        memset(raw, 0x5A, bytes + 2 * EDGE + 64);
        out.result.nodes = NODES;
        out.result.tags = new_tags;
        out.result.child_count = NODES - 1;
        out.result.children = new_children;
        out.result.Leaf_word.data = new_words;
        out.result.Leaf_word.rows = LEAVES;
        status = net_mirror(&in, &out, arena, bytes, NULL, &error);
        for (i = 0; i < EDGE; i++) {
            if (arena[bytes + i] != 0x5A || arena[-1 - (int)i] != 0x5A) {
                printf("touched outside of %lu bytes\n", (unsigned long)bytes);
                return 1;
            }
        }
        free(raw);
        tried++;
        if (status == NET_OK) {
            enough = error.got;
            break;
        }
        if (status == NET_E_ARENA && error.want <= (int64_t)bytes) {
            printf("%lu bytes: less is wanted\n", (unsigned long)bytes);
            return 1;
        }
        if (status != NET_E_ARENA) {
            printf("%lu bytes: %s [%s]\n", (unsigned long)bytes, net_status_text(status), error.what);
            return 1;
        }
    }
    printf("%d %d\n", enough == (int64_t)bytes, tried > 20);
    return 0;
}
