/* A program of the exported functions: arguments from the command line and from npy files, results
 * as text or as npy files. The header comes before this text, the tables at their place in it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <direct.h>
#define make_folder(path) _mkdir(path)
#else
#include <sys/stat.h>
#define make_folder(path) mkdir(path, 0777)
#endif

#define NONE ((size_t)-1)
#define MOST_AXES 32

/* A number or an array of a struct. Arrays: the pointer is at `data`. Either `dims` are all its
 * sizes, or `count` is the first (less `less`) and `dims` are the others. `capacity` is told to the
 * call. Numbers lie at `data`; where `from` is a count, they are it less `less` unless given. */
typedef struct {
    const char *name;
    char type;
    char is_number, is_mut, is_column, is_field;
    int rank, less;
    size_t data, dims, count, capacity, from;
    const char *what;
} slot;

typedef struct {
    const char *name, *signature;
    const slot *in, *out;
    int ins, outs, has_model, writes;
    size_t in_size, out_size;
    void (*start)(void *in, void *out);
    int32_t (*sizes)(const void *model, const void *in, void *out, error_record *error);
    int32_t (*bytes)(const void *model, const void *in, size_t *bytes, error_record *error);
    int32_t (*call)(void *model, const void *in, void *out, void *arena, size_t bytes,
                    const call_options *options, error_record *error);
} entry;

/* TABLES */

typedef struct {
    char *data;
    int rank;
    int64_t shape[MOST_AXES];
    int64_t elements;
} array;

static const char *program = "program";

static void fail(int status, const char *what, const char *which) {
    fprintf(stderr, "%s: %s%s%s\n", program, what, *which ? ": " : "", which);
    exit(status);
}

static void *room(size_t bytes) {
    void *p = malloc(bytes ? bytes : 1);
    if (!p) fail(3, "out of memory", "");
    return p;
}

/* -- types ------------------------------------------------------------------------------------ */

static size_t size_of(char type) {
    switch (type) {
    case 'd': case 'l': return 8;
    case 'f': case 'i': return 4;
    case 'e': case 'b': case 'h': return 2;
    default: return 1;
    }
}

static const char *descr_of(char type) {
    switch (type) {
    case 'd': return "<f8";
    case 'f': return "<f4";
    case 'e': return "<f2";
    case 'b': return "<u2"; /* the bits: npy has no bf16 */
    case 'l': return "<i8";
    case 'i': return "<i4";
    case 'h': return "<i2";
    case 'c': return "|i1";
    case 'u': return "|u1";
    default: return "|b1";
    }
}

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static float half(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, mantissa = h & 0x3FF;
    uint32_t exponent = (h >> 10) & 31;
    if (exponent == 31) return from_bits(sign | 0x7F800000 | mantissa << 13);
    if (exponent) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    return (sign ? -1.0f : 1.0f) * (float)mantissa / 16777216.0f;
}

static void print_one(const char *at, char type) {
    union { double d; float f; int64_t l; int32_t i; int16_t h; uint16_t u; } x;
    memcpy(&x, at, size_of(type));
    switch (type) {
    case 'd': printf("%.17g", x.d); break;
    case 'f': printf("%.9g", (double)x.f); break;
    case 'e': printf("%.5g", (double)half(x.u)); break;
    case 'b': printf("%.4g", (double)from_bits((uint32_t)x.u << 16)); break;
    case 'l': printf("%lld", (long long)x.l); break;
    case 'i': printf("%ld", (long)x.i); break;
    case 'h': printf("%d", (int)x.h); break;
    case 'c': printf("%d", (int)*(const signed char *)at); break;
    case 'u': printf("%d", (int)*(const unsigned char *)at); break;
    default: printf("%s", *at ? "true" : "false");
    }
}

/* -- reading ---------------------------------------------------------------------------------- */

static char *whole_file(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    size_t used = 0, size = 1 << 16, n;
    char *data = room(size + 64), *aligned = data + (64 - ((size_t)data & 63)) % 64;
    if (!f) fail(1, strerror(errno), path);
    while ((n = fread(aligned + used, 1, size - used, f)) > 0) {
        used += n;
        if (used == size) {
            char *more = room(2 * size + 64), *start = more + (64 - ((size_t)more & 63)) % 64;
            memcpy(start, aligned, used);
            free(data);
            data = more;
            aligned = start;
            size *= 2;
        }
    }
    if (ferror(f)) fail(1, "cannot be read", path);
    fclose(f);
    *bytes = used;
    return aligned;
}

static void strange(const char *path, const char *why) {
    fprintf(stderr, "%s: %s: %s\n", program, path, why);
    exit(1);
}

/* The array of an npy file, which must have exactly the type. */
static array read_npy(const char *path, char type) {
    array a;
    size_t bytes, head, start;
    char *data = whole_file(path, &bytes), *text, *p;
    const char *descr = descr_of(type);
    memset(&a, 0, sizeof a);
    a.elements = 1;
    if (bytes < 10 || memcmp(data, "\x93NUMPY", 6) != 0) strange(path, "no npy file");
    start = data[6] == 1 ? 10 : 12;
    head = (size_t)(unsigned char)data[8] | (size_t)(unsigned char)data[9] << 8;
    if (data[6] != 1) {
        if (bytes < 12) strange(path, "cut short");
        head |= (size_t)(unsigned char)data[10] << 16 | (size_t)(unsigned char)data[11] << 24;
    }
    if (head > bytes - start) strange(path, "cut short");
    text = room(head + 1);
    memcpy(text, data + start, head);
    text[head] = 0;
    p = strstr(text, "'descr':");
    if (!p || !(p = strchr(p + 8, '\''))) strange(path, "no npy file");
    if (strncmp(p + 1, descr, 3) != 0 || p[4] != '\'') strange(path, "an array of another type");
    if (!strstr(text, "'fortran_order': False")) strange(path, "an array in the order of Fortran");
    p = strstr(text, "'shape':");
    if (!p || !(p = strchr(p, '('))) strange(path, "no npy file");
    for (p++; *p && *p != ')';) {
        char *end;
        const long long n = strtoll(p, &end, 10);
        if (end == p) {
            p++;
            continue;
        }
        if (n < 0 || n > INT_MAX || a.rank == MOST_AXES) strange(path, "a shape out of range");
        a.shape[a.rank++] = n;
        if (n && a.elements > INT64_MAX / 8 / n) strange(path, "a shape out of range");
        a.elements *= n;
        p = end;
    }
    free(text);
    if ((bytes - start - head) / size_of(type) < (size_t)a.elements) strange(path, "cut short");
    a.data = room((size_t)a.elements * size_of(type));
    memcpy(a.data, data + start + head, (size_t)a.elements * size_of(type));
    return a;
}

static int whole(const char *text, char **end, char type, char *to) {
    const long long n = strtoll(text, end, 10);
    union { int64_t l; int32_t i; int16_t h; signed char c; unsigned char u; } x;
    const long long low = type == 'i' ? INT32_MIN : type == 'h' ? INT16_MIN : type == 'c' ? -128
                        : type == 'u' ? 0 : LLONG_MIN;
    const long long high = type == 'i' ? INT32_MAX : type == 'h' ? INT16_MAX : type == 'c' ? 127
                         : type == 'u' ? 255 : LLONG_MAX;
    if (*end == text || errno || n < low || n > high) return 0;
    switch (type) {
    case 'l': x.l = n; break;
    case 'i': x.i = (int32_t)n; break;
    case 'h': x.h = (int16_t)n; break;
    case 'c': x.c = (signed char)n; break;
    default: x.u = (unsigned char)n;
    }
    memcpy(to, &x, size_of(type));
    return 1;
}

static int one_number(const char *text, char **end, char type, char *to) {
    errno = 0;
    if (type == '?') {
        const int yes = strncmp(text, "true", 4) == 0, no = strncmp(text, "false", 5) == 0;
        *end = (char *)(size_t)text + (yes ? 4 : no ? 5 : 0);
        *to = (char)yes;
        return yes || no;
    }
    if (type == 'd' || type == 'f') {
        const double d = strtod(text, end);
        const float f = (float)d;
        if (*end == text) return 0;
        memcpy(to, type == 'd' ? (const void *)&d : (const void *)&f, size_of(type));
        return 1;
    }
    if (type == 'e' || type == 'b') fail(2, "give an npy file for numbers of 16 bits", text);
    return whole(text, end, type, to);
}

static const char *after_blanks(const char *p) {
    while (*p == ' ') p++;
    return p;
}

/* `[[1, 2], [3, 4]]` from a `[` on. Sizes are -1 until they are known. */
static const char *read_nested(const char *name, const char *p, char type, array *a, int axis) {
    static const char uneven[] = "brackets of unequal lengths";
    int64_t n = 0;
    if (axis == MOST_AXES) fail(2, "too many brackets", name);
    p = after_blanks(p + 1);
    while (*p && *p != ']') {
        if (n++) {
            if (*p != ',') fail(2, "numbers are separated by commas", name);
            p = after_blanks(p + 1);
        }
        if (*p == '[') {
            if (a->rank && axis + 1 >= a->rank) fail(2, uneven, name);
            p = read_nested(name, p, type, a, axis + 1);
        } else {
            char *end;
            if (!a->rank) a->rank = axis + 1;
            if (a->rank != axis + 1) fail(2, uneven, name);
            if (!one_number(p, &end, type, a->data + (size_t)a->elements * size_of(type)))
                fail(2, "no number of its type, or out of range", name);
            a->elements++;
            p = end;
        }
        p = after_blanks(p);
    }
    if (*p != ']') fail(2, "a `]` is missing", name);
    if (!a->rank) a->rank = axis + 1;
    if (a->shape[axis] >= 0 && a->shape[axis] != n) fail(2, uneven, name);
    a->shape[axis] = n;
    return p + 1;
}

/* `1`, `1,2,3`, `[[1,2],[3,4]]`, `@file.npy`. */
static array read_value(const char *name, const char *text, char type) {
    array a;
    const char *p = text;
    size_t count = 1;
    if (*text == '@') return read_npy(text + 1, type);
    memset(&a, 0, sizeof a);
    for (; *p; p++) count += *p == ',';
    a.data = room(count * size_of(type));
    if (*text == '[') {
        int axis;
        for (axis = 0; axis < MOST_AXES; axis++) a.shape[axis] = -1;
        if (*after_blanks(read_nested(name, text, type, &a, 0)))
            fail(2, "more behind the last `]`", name);
        return a;
    }
    a.rank = count > 1;
    for (p = text; *p;) {
        char *end;
        if (!one_number(p, &end, type, a.data + (size_t)a.elements * size_of(type)))
            fail(2, "no number of its type, or out of range", name);
        a.elements++;
        if (*end && *end != ',') fail(2, "numbers are separated by commas", name);
        p = *end ? end + 1 : end;
    }
    if (!a.elements || text[strlen(text) - 1] == ',') a.rank = 1;
    a.shape[0] = a.elements;
    return a;
}

/* -- arguments -------------------------------------------------------------------------------- */

static int64_t get(const char *base, size_t at) {
    int64_t n;
    memcpy(&n, base + at, 8);
    return n;
}

static void put(char *base, size_t at, int64_t n) { memcpy(base + at, &n, 8); }

static void put_pointer(char *base, size_t at, const void *p) { memcpy(base + at, &p, sizeof p); }

static void set(const slot *s, char *base, array *a) {
    int axis, others = s->is_column ? 1 : 0;
    const int rank = s->rank + others;
    if (s->is_number || (!rank && s->count == NONE)) {
        if (a->elements != 1 || a->rank > 1) fail(2, "one number is wanted", s->name);
        if (s->is_number) memcpy(base + s->data, a->data, size_of(s->type));
        else put_pointer(base, s->data, a->data);
        return;
    }
    if (a->rank == 0) a->rank = 1;
    if (a->rank == 1 && a->elements == 0 && rank > 1) {
        a->rank = rank;
        for (axis = 1; axis < rank; axis++) a->shape[axis] = 0;
    }
    if (a->rank != rank)
        fail(2, "an array with another number of axes is wanted (as [[1,2],[3,4]], or @FILE.npy)",
             s->name);
    put_pointer(base, s->data, a->elements ? a->data : NULL);
    if (s->count != NONE) put(base, s->count, a->shape[0] - s->less);
    if (s->dims != NONE)
        for (axis = others; axis < rank; axis++)
            put(base, s->dims + 8 * (size_t)(axis - others), a->shape[axis]);
}

static const slot *find(const entry *e, const char *text, size_t length) {
    char items[256];
    int i;
    for (i = 0; i < e->ins; i++)
        if (strlen(e->in[i].name) == length && !strncmp(e->in[i].name, text, length)) return e->in + i;
    /* A list of numbers may be named alone. */
    if (length + 7 < sizeof items) {
        memcpy(items, text, length);
        memcpy(items + length, ".items", 7);
        for (i = 0; i < e->ins; i++)
            if (!strcmp(e->in[i].name, items)) return e->in + i;
    }
    return NULL;
}

/* Whether it is a column of a constructor's field (`t.Leaf_x`), and another part of its structure is
 * given: then no node has this constructor, and the column may be left out. */
static int is_absent_constructor(const entry *e, const slot *s, const char *seen) {
    size_t owner;
    int i;
    if (!s->is_field) return 0;
    owner = (size_t)(strrchr(s->name, '.') - s->name) + 1;
    for (i = 0; i < e->ins; i++)
        if (seen[i] && !strncmp(e->in[i].name, s->name, owner)) return 1;
    return 0;
}

static void arguments(const entry *e, char **given, int count, char *in, array *arrays) {
    char *seen = room((size_t)e->ins);
    int i;
    memset(seen, 0, (size_t)e->ins);
    for (i = 0; i < count; i++) {
        const char *equals = strchr(given[i], '=');
        const slot *s = equals ? find(e, given[i], (size_t)(equals - given[i])) : NULL;
        if (!equals) fail(2, "arguments are NAME=VALUE", given[i]);
        if (!s) fail(2, "nothing is called so", given[i]);
        if (seen[s - e->in]) fail(2, "given twice", s->name);
        seen[s - e->in] = 1;
        arrays[s - e->in] = read_value(s->name, equals + 1, s->type);
        set(s, in, arrays + (s - e->in));
    }
    for (i = 0; i < e->ins; i++) {
        const slot *s = e->in + i;
        if (seen[i] || s->from != NONE) continue;
        if (!is_absent_constructor(e, s, seen)) fail(2, "is missing", s->name);
        seen[i] = 1;
        set(s, in, arrays + i);
    }
    for (i = 0; i < e->ins; i++) {
        const slot *s = e->in + i;
        int j;
        if (!seen[i]) put(in, s->data, get(in, s->from) - s->less);
        for (j = 0; j < e->ins && s->count != NONE; j++)
            if (e->in[j].count == s->count && arrays[j].shape[0] != arrays[i].shape[0])
                fail(2, "not as long as what belongs to it", s->name);
    }
    free(seen);
}

/* -- results ---------------------------------------------------------------------------------- */

static int64_t others_of(const slot *s, const char *base) {
    int64_t n = 1;
    int axis;
    if (s->dims != NONE)
        for (axis = 0; axis < s->rank; axis++) n *= get(base, s->dims + 8 * (size_t)axis);
    return n;
}

/* Elements of the buffer: as many as the sizes say, `guess` where the call finds them. */
static void make_room(const slot *s, char *out, int64_t guess, int64_t rows) {
    int64_t n = guess;
    if (s->is_number) return;
    if (s->capacity != NONE) {
        const int64_t known = others_of(s, out);
        int axis, is_known = s->dims != NONE;
        for (axis = 0; axis < s->rank && s->dims != NONE; axis++)
            is_known = is_known && get(out, s->dims + 8 * (size_t)axis) >= 0;
        if (is_known) n = known;
        put(out, s->capacity, n);
    } else {
        put(out, s->count, rows);
        n = rows ? rows * others_of(s, out) : 0;
    }
    put_pointer(out, s->data, n ? room((size_t)n * size_of(s->type)) : NULL);
}

static void shape_of(const slot *s, const char *base, array *a) {
    int axis;
    memset(a, 0, sizeof *a);
    if (s->is_number) {
        a->elements = 1;
        return;
    }
    a->elements = 1;
    if (s->count != NONE) a->shape[a->rank++] = get(base, s->count) + s->less;
    if (s->dims != NONE)
        for (axis = 0; axis < s->rank; axis++)
            a->shape[a->rank++] = get(base, s->dims + 8 * (size_t)axis);
    for (axis = 0; axis < a->rank; axis++) a->elements *= a->shape[axis];
}

static void write_npy(const char *folder, const slot *s, const array *a, const char *data) {
    char path[4096], shape[MOST_AXES * 12 + 4], head[1024];
    size_t used = 0, n;
    FILE *f;
    int axis;
    for (axis = 0; axis < a->rank; axis++)
        used += (size_t)sprintf(shape + used, "%lld, ", (long long)a->shape[axis]);
    if (a->rank > 1) used -= 2;
    else if (a->rank) used -= 1;
    shape[used] = 0;
    n = (size_t)sprintf(head, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                        descr_of(s->type), shape);
    while ((n + 11) % 64) head[n++] = ' ';
    head[n++] = '\n';
    if (strlen(folder) + strlen(s->name) + 8 > sizeof path) fail(2, "too long a name", folder);
    sprintf(path, "%s/%s.npy", folder, s->name);
    f = fopen(path, "wb");
    if (!f) fail(1, strerror(errno), path);
    fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    fputc((int)(n & 255), f);
    fputc((int)(n >> 8), f);
    fwrite(head, 1, n, f);
    fwrite(data, size_of(s->type), (size_t)a->elements, f);
    if (fclose(f)) fail(1, "cannot be written", path);
}

static void deliver(const slot *s, const char *base, const char *folder) {
    array a;
    const char *data = base + s->data;
    int64_t i;
    shape_of(s, base, &a);
    if (!s->is_number) memcpy(&data, base + s->data, sizeof data);
    if (folder) {
        write_npy(folder, s, &a, data);
        return;
    }
    printf("%s", s->name);
    for (i = 0; i < a.rank; i++) printf("%s%lld", i ? ", " : "[", (long long)a.shape[i]);
    printf("%s =", a.rank ? "]" : "");
    for (i = 0; i < a.elements; i++) {
        putchar(' ');
        print_one(data + (size_t)i * size_of(s->type), s->type);
    }
    putchar('\n');
}

/* -- the call --------------------------------------------------------------------------------- */

typedef struct {
    char *weights, *kept; /* the block, and a copy of it where calls change it */
    size_t bytes;
    char *model;
} weights_of;

static void stop(const entry *e, const error_record *error) {
    const int limit = error->code == STATUS_ARENA || error->code == STATUS_FUEL
                   || error->code == STATUS_SPACE;
    fprintf(stderr, "%s: %s: %s", program, e->name, status_text(error->code));
    if (error->what[0]) fprintf(stderr, ": %s", error->what);
    if (error->got || error->want)
        fprintf(stderr, " (got %lld, want %lld)", (long long)error->got, (long long)error->want);
    if (error->line) fprintf(stderr, " at line %lu, column %lu", (unsigned long)error->line,
                             (unsigned long)error->column);
    fputc('\n', stderr);
    exit(limit ? 3 : 1);
}

/* What the call changes is as it was given, also if it has to be called again. */
static void restore(const entry *e, char *in, const array *arrays, weights_of *w) {
    int i;
    if (e->writes && w->kept) memcpy(w->weights, w->kept, w->bytes);
    for (i = 0; i < e->ins; i++) {
        const slot *s = e->in + i;
        const size_t bytes = (size_t)arrays[i].elements * size_of(s->type);
        char *to;
        if (!s->is_mut || !bytes) continue;
        memcpy(&to, in + s->data, sizeof to);
        if (to == arrays[i].data) {
            to = room(bytes);
            put_pointer(in, s->data, to);
        }
        memcpy(to, arrays[i].data, bytes);
    }
}

static void run(const entry *e, char *in, char *out, const array *arrays, weights_of *w,
                const call_options *options) {
    error_record error = no_error();
    size_t bytes = 0, size;
    int64_t guess = 256, *rows = room((size_t)e->outs * sizeof *rows);
    int i;
    memset(rows, 0, (size_t)e->outs * sizeof *rows);
    if (e->bytes(w->model, in, &bytes, &error)) stop(e, &error);
    for (size = bytes;;) {
        char *arena = room(size + 64);
        char *aligned = arena + (64 - ((size_t)arena & 63)) % 64;
        int32_t status;
        for (i = 0; i < e->outs; i++)
            if (e->out[i].dims != NONE && e->out[i].capacity != NONE)
                memset(out + e->out[i].dims, 255, 8 * (size_t)e->out[i].rank);
        if (e->sizes(w->model, in, out, &error)) stop(e, &error);
        for (i = 0; i < e->outs; i++) make_room(e->out + i, out, guess, rows[i]);
        restore(e, in, arrays, w);
        status = e->call(w->model, in, out, aligned, size, options, &error);
        free(arena);
        if (!status) break;
        if (status == STATUS_ARENA && size < NONE / 8) {
            size = error.want > (int64_t)(4 * size) ? (size_t)error.want : 4 * size;
            size = (size + 63) / 64 * 64;
        } else if (status == STATUS_SPACE && guess <= INT_MAX) {
            guess *= 8;
            for (i = 0; i < e->outs; i++)
                if (!e->out[i].is_number && e->out[i].capacity == NONE)
                    rows[i] = get(out, e->out[i].count);
        } else {
            stop(e, &error);
        }
    }
    free(rows);
}

static void function_usage(const entry *e) {
    int j, width = 0;
    for (j = 0; j < e->ins; j++)
        if ((int)strlen(e->in[j].name) > width) width = (int)strlen(e->in[j].name);
    printf("\n%s\n", e->signature);
    for (j = 0; j < e->ins; j++) {
        const slot *s = e->in + j;
        printf("  %-*s  %s", width, s->name, s->what);
        printf(s->from == NONE ? "\n" : "; may be left out\n");
    }
}

/* About one function, or all. */
static void usage(const entry *only) {
    int i, weights = 0, writes = 0;
    for (i = 0; i < ENTRIES; i++) {
        if (only && only != entries + i) continue;
        weights |= entries[i].has_model;
        writes |= entries[i].writes;
    }
    printf("usage: %s %s NAME=VALUE... [OPTION]...\n", program, only ? only->name : "FUNCTION");
    if (!only) printf("       %s FUNCTION --help\n", program);
    printf("\nVALUE is 2, or 1,2,3, or [[1,2],[3,4]], or @FILE.npy of exactly the type.\n");
    printf("Results, and arguments that the call changes, are printed.\n\nOptions:\n");
    if (weights)
        printf("  -w FILE      the weights%s\n", embedded(NULL) ? ", in place of those inside" : "");
    printf("  -o FOLDER    write results there as NAME.npy instead%s\n",
           writes ? ", and changed weights as weights.bin" : "");
    printf("  --fuel N     end loops without a bound after N turns in all\n");
    printf("  -h, --help   this text\n\n");
    printf("Exit status: 0 fine, 1 the call failed, 2 wrong usage, 3 out of memory or fuel.\n");
    for (i = 0; i < ENTRIES; i++)
        if (!only || only == entries + i) function_usage(entries + i);
}

static int asks_for_help(const char *text) {
    return !strcmp(text, "--help") || !strcmp(text, "-h");
}

static void open_weights(const entry *e, const char *path, weights_of *w) {
    error_record error = no_error();
    if (!e->has_model) return;
    if (path) w->weights = whole_file(path, &w->bytes);
    else if (embedded(NULL)) {
        char *block = room(embedded(NULL) + 64);
        w->bytes = embedded(NULL);
        w->weights = block + (64 - ((size_t)block & 63)) % 64;
        embedded(w->weights);
    } else fail(2, "there are no weights", "give them: -w FILE.weights.bin");
    w->model = room(MODEL_SIZE);
    if (open_model(w->model, w->weights, w->bytes, &error)) stop(e, &error);
    if (e->writes) {
        w->kept = room(w->bytes);
        memcpy(w->kept, w->weights, w->bytes);
    }
}

static void keep_weights(const entry *e, const weights_of *w, const char *folder) {
    char path[4096];
    FILE *f;
    if (!e->writes || !folder) return;
    if (strlen(folder) + 16 > sizeof path) fail(2, "too long a name", folder);
    sprintf(path, "%s/weights.bin", folder);
    f = fopen(path, "wb");
    if (!f) fail(1, strerror(errno), path);
    if (fwrite(w->weights, 1, w->bytes, f) != w->bytes || fclose(f))
        fail(1, "cannot be written", path);
}

int main(int count, char **given) {
    const entry *e = NULL;
    const char *weights = NULL, *folder = NULL;
    call_options options = no_options();
    weights_of w = {NULL, NULL, 0, NULL};
    char *in, *out, **named;
    array *arrays;
    int i, names = 0;
    if (count && *given[0]) program = given[0];
    if (count < 2 || asks_for_help(given[1])) {
        usage(NULL);
        return count < 2 ? 2 : 0;
    }
    for (i = 0; i < ENTRIES; i++)
        if (!strcmp(entries[i].name, given[1])) e = entries + i;
    if (!e) fail(2, "no function is called so (--help lists them)", given[1]);
    for (i = 2; i < count; i++)
        if (asks_for_help(given[i])) {
            usage(e);
            return 0;
        }
    named = room((size_t)count * sizeof *named);
    for (i = 2; i < count; i++) {
        const int is_last = i + 1 == count;
        char *end;
        if (!strcmp(given[i], "-w") && !is_last) weights = given[++i];
        else if (!strcmp(given[i], "-o") && !is_last) folder = given[++i];
        else if (!strcmp(given[i], "--fuel") && !is_last) {
            options.fuel = strtoll(given[++i], &end, 10);
            if (*end || options.fuel < 1) fail(2, "no number of turns", given[i]);
        } else named[names++] = given[i];
    }
    if (folder && make_folder(folder) && errno != EEXIST) fail(1, strerror(errno), folder);
    in = room(e->in_size);
    out = room(e->out_size);
    arrays = room((size_t)(e->ins + 1) * sizeof *arrays);
    memset(arrays, 0, (size_t)(e->ins + 1) * sizeof *arrays);
    e->start(in, out);
    arguments(e, named, names, in, arrays);
    open_weights(e, weights, &w);
    run(e, in, out, arrays, &w, &options);
    for (i = 0; i < e->outs; i++) deliver(e->out + i, out, folder);
    for (i = 0; i < e->ins; i++)
        if (e->in[i].is_mut) deliver(e->in + i, in, folder);
    keep_weights(e, &w, folder);
    return 0;
}
