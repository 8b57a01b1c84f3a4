/* Antialiased bilinear resize of a part to a square, in fixed point.
 *
 * The filter is a triangle whose support grows with the reduction (Pillow's BILINEAR, torchvision's default): see
 * Pillow's Resample.c, precompute_coeffs. Rows first, then columns; sixteen output rows lie side by side for the second
 * pass, so that both are the same multiply and add over neighbouring numbers. Plain loops and the compiler's vectors:
 * one source for x86 with and without AVX2, and for ARM.
 *
 * Numbers have 16 bits: 8 before the point and 8 behind it. Weights sum to ONE; of each product the high half is kept.
 */
#include "views.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(VIEWS_PLAIN)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

enum { SIXTEEN = 16, COLOURS = 3, ONE = (1 << 16) - 1, MOST_REDUCTION = 64 };

/* What is not inlined into make_strips would be compiled once only, without AVX2. */
#define INLINE static inline __attribute__((always_inline))

typedef uint16_t Words __attribute__((vector_size(16)));
typedef uint8_t Bytes __attribute__((vector_size(16)));

/* Which input lines make an output line: first, first + step, ... */
typedef struct {
    int first, count, step;
    uint16_t weight[2 * MOST_REDUCTION + 3];
} Taps;

static double triangle(double x) {
    if (x < 0) x = -x;
    return x < 1 ? 1 - x : 0;
}

/* Weights that sum to exactly ONE: what rounding left goes to the largest. */
static void quantise(const double *real, double sum, Taps *taps) {
    int rest = ONE, largest = 0;
    for (int t = 0; t < taps->count; t++) {
        taps->weight[t] = (uint16_t)(real[t] / sum * ONE + 0.5);
        rest -= taps->weight[t];
        if (taps->weight[t] > taps->weight[largest]) largest = t;
    }
    taps->weight[largest] = (uint16_t)(taps->weight[largest] + rest);
    taps->weight[taps->count] = 0; /* add_two_lines may look one further */
}

/* The taps of `out` lines made of `in`. Reductions beyond MOST_REDUCTION look at every second, third, ... line only. */
static void find_taps(int in, int out, Taps *taps) {
    double real[2 * MOST_REDUCTION + 2];
    double scale = (double)in / out, support = scale > 1 ? scale : 1;
    int step = (int)(support / MOST_REDUCTION) + 1;
    for (int o = 0; o < out; o++, taps++) {
        double centre = (o + 0.5) * scale, sum = 0;
        double first = centre - support + 0.5, end = centre + support + 0.5;
        taps->first = first > 0 ? (int)first : 0;
        taps->count = 0;
        taps->step = step;
        for (int i = taps->first; i < (end < in ? (int)end : in); i += step)
            sum += real[taps->count++] = triangle((i - centre + 0.5) / support);
        quantise(real, sum, taps);
    }
}

INLINE uint16_t times(uint16_t number, uint16_t weight) { return (uint16_t)(((uint32_t)number * weight) >> 16); }

/* Two lines at once: half as many visits to the sums. The second weight is 0 where there is no second line. */
INLINE void add_two_lines(const uint8_t *a, const uint8_t *b, const uint16_t *weight, int n,
                                 uint16_t *restrict sums) {
    uint16_t weight_a = weight[0], weight_b = weight[1];
    for (int i = 0; i < n; i++)
        sums[i] += (uint16_t)(times((uint16_t)(a[i] << 8), weight_a) + times((uint16_t)(b[i] << 8), weight_b));
}

INLINE void add_words(const uint16_t *restrict words, uint16_t weight, int n, uint16_t *restrict sums) {
    for (int i = 0; i < n; i++) sums[i] += times(words[i], weight);
}

/* Products lose half a unit each on average: begin with what all of them will lose, and with what rounding takes. */
INLINE void begin(int taps, int rounding, int n, uint16_t *restrict sums) {
    for (int i = 0; i < n; i++) sums[i] = (uint16_t)(taps / 2 + rounding);
}

/* Transpose by interleaving the upper half of the lines with the lower half, as often as 8 or 16 can be halved. */
INLINE void transpose_8_words(const uint16_t *in, size_t in_stride, uint16_t *out, size_t out_stride) {
    Words now[8], next[8];
    for (int i = 0; i < 8; i++) memcpy(&now[i], in + (size_t)i * in_stride, sizeof now[i]);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            next[2 * i] = __builtin_shufflevector(now[i], now[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
            next[2 * i + 1] = __builtin_shufflevector(now[i], now[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
        }
        memcpy(now, next, sizeof now);
    }
    for (int i = 0; i < 8; i++) memcpy(out + (size_t)i * out_stride, &now[i], sizeof now[i]);
}

INLINE void transpose_16_bytes(const uint8_t *in, uint8_t *out) {
    Bytes now[16], next[16];
    memcpy(now, in, sizeof now);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            next[2 * i] =
                __builtin_shufflevector(now[i], now[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] = __builtin_shufflevector(now[i], now[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                                      14, 30, 15, 31);
        }
        memcpy(now, next, sizeof now);
    }
    memcpy(out, now, sizeof now);
}

/* One output row: the rows of the part under its taps, weighted. n numbers. */
INLINE void mix_rows(const Part *part, const Taps *taps, int n, uint16_t *restrict sums) {
    const uint8_t *line = part->pixels + (size_t)taps->first * part->stride;
    size_t step = (size_t)taps->step * part->stride;
    begin(taps->count, 0, n, sums);
    for (int t = 0; t < taps->count; t += 2, line += 2 * step)
        add_two_lines(line, t + 1 < taps->count ? line + step : line, taps->weight + t, n, sums);
}

/* One output column of sixteen rows. columns: [x][colour][row]; out: [colour][row]. */
INLINE void mix_columns(const uint16_t *columns, const Taps *taps, uint8_t *restrict out) {
    enum { N = COLOURS * SIXTEEN };
    uint16_t sums[N];
    begin(taps->count, 128, N, sums);
    for (int t = 0; t < taps->count; t++)
        add_words(columns + (size_t)(taps->first + t * taps->step) * N, taps->weight[t], N, sums);
    for (int i = 0; i < N; i++) out[i] = (uint8_t)(sums[i] >> 8);
}

/* What one thread needs for a part of some width. Numbers per row are rounded up to whole vectors. */
typedef struct {
    Taps *down, *across;
    uint16_t *rows;    /* [16][n_in] */
    uint16_t *columns; /* [n_in][16] */
    uint8_t *strip;    /* [n_out][16] */
    int n_in, n_out;
} Work;

static int make_room(const Part *part, int side, Scratch *scratch, Work *work) {
    work->n_in = (part->width * COLOURS + 7) / 8 * 8;
    work->n_out = (side * COLOURS + 15) / 16 * 16;
    size_t words = (size_t)work->n_in * SIXTEEN;
    work->down = buffer_reserve(&scratch->taps, 2 * (size_t)side * sizeof(Taps));
    work->rows = buffer_reserve(&scratch->rows, 2 * words * sizeof(uint16_t) + (size_t)work->n_out * SIXTEEN);
    if (!work->down || !work->rows) return 0;
    work->across = work->down + side;
    work->columns = work->rows + words;
    work->strip = (uint8_t *)(work->columns + words);
    return 1;
}

INLINE void put_block(const uint8_t *block, int rows, size_t width, uint8_t *out, size_t row_bytes) {
    for (int row = 0; row < rows; row++, block += SIXTEEN, out += row_bytes) {
        if (width >= SIXTEEN)
            memcpy(out, block, SIXTEEN); /* one vector */
        else
            memcpy(out, block, width);
    }
}

/* Output rows top to top + rows, at most sixteen. */
INLINE void make_strip(const Part *part, const Work *work, int flip, int side, int top, int rows, uint8_t *out) {
    size_t n_in = (size_t)work->n_in, row_bytes = (size_t)side * COLOURS;
    for (int row = 0; row < rows; row++)
        mix_rows(part, work->down + top + row, part->width * COLOURS, work->rows + (size_t)row * n_in);
    for (size_t i = 0; i < n_in; i += 8)
        for (size_t half = 0; half < SIXTEEN; half += 8)
            transpose_8_words(work->rows + half * n_in + i, n_in, work->columns + i * SIXTEEN + half, SIXTEEN);
    for (int x = 0; x < side; x++) {
        int to = flip ? side - 1 - x : x;
        mix_columns(work->columns, work->across + x, work->strip + (size_t)to * COLOURS * SIXTEEN);
    }
    for (size_t i = 0; i < row_bytes; i += SIXTEEN) {
        uint8_t block[SIXTEEN * SIXTEEN];
        transpose_16_bytes(work->strip + i * SIXTEEN, block);
        put_block(block, rows, row_bytes - i, out + (size_t)top * row_bytes + i, row_bytes);
    }
}

FOR_EACH_PROCESSOR
static void make_strips(const Part *part, const Work *work, int flip, int side, uint8_t *out) {
    for (int top = 0; top < side; top += SIXTEEN)
        make_strip(part, work, flip, side, top, side - top < SIXTEEN ? side - top : SIXTEEN, out);
}

ViewStatus resize_square(const Part *part, int flip, int side, uint8_t *out, Scratch *scratch) {
    Work work;
    if (!make_room(part, side, scratch, &work)) return VIEW_NO_MEMORY;
    find_taps(part->height, side, work.down);
    find_taps(part->width, side, work.across);
    make_strips(part, &work, flip, side, out);
    return VIEW_DONE;
}
