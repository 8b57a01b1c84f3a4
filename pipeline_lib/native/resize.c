/* Antialiased bilinear resize of a part to a square: byte for byte what Pillow's BILINEAR gives.
 *
 * A triangle whose support grows with the reduction; weights with 22 bits after the point; columns first, rounded to
 * bytes, then rows. Source: Pillow's Resample.c (precompute_coeffs, normalize_coeffs_8bpc and the two 8bpc passes).
 *
 * Both passes are the same `mix` of lines, over BLOCK neighbouring numbers at a time. For the columns, sixteen rows are
 * turned on their side, so that neighbours are the rows. There is a mix for x86 with AVX2, and one in plain C.
 */
#include "views.h"

#include <string.h>

#if defined(__x86_64__) && !defined(VIEWS_PLAIN)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#endif
/* Inlined into both resizes, so that the compiler makes AVX2 code of it in one of them. */
#define INLINE static inline __attribute__((always_inline))

enum { SIXTEEN = 16, COLOURS = 3, BLOCK = COLOURS * SIXTEEN, POINT = 22, HALF = POINT / 2 };

typedef uint8_t Bytes __attribute__((vector_size(SIXTEEN)));

/* How lines of the input make an output line. */
typedef struct {
    int first, count;
    int32_t *weights;
} Taps;

static size_t up_to(size_t n, size_t step) { return (n + step - 1) / step * step; }

static double triangle(double x) {
    if (x < 0) x = -x;
    return x < 1 ? 1 - x : 0;
}

static int taps_at_most(int in, int out) { return 2 * (in > out ? (in + out - 1) / out : 1) + 1; }

/* The taps of `out` lines made of `in`; weights: room for out * taps_at_most(in, out), real: for one line. */
static void find_taps(int in, int out, Taps *taps, int32_t *weights, double *real) {
    double scale = (double)in / out, support = scale > 1 ? scale : 1;
    for (int o = 0; o < out; o++, taps++, weights += taps_at_most(in, out)) {
        double centre = (o + 0.5) * scale, sum = 0;
        double first = centre - support + 0.5, end = centre + support + 0.5;
        taps->first = first > 0 ? (int)first : 0;
        taps->count = (end < in ? (int)end : in) - taps->first;
        taps->weights = weights;
        for (int t = 0; t < taps->count; t++)
            sum += real[t] = triangle((t + taps->first - centre + 0.5) * (1 / support));
        for (int t = 0; t < taps->count; t++) weights[t] = (int32_t)(0.5 + real[t] / sum * (1 << POINT));
    }
}

/* BLOCK bytes: the weighted sum of the lines under the taps. */
typedef void Mix(const uint8_t *lines, size_t stride, const Taps *taps, uint8_t *out);

static inline void mix_plain(const uint8_t *lines, size_t stride, const Taps *taps, uint8_t *out) {
    int32_t sums[BLOCK];
    for (int i = 0; i < BLOCK; i++) sums[i] = 1 << (POINT - 1);
    lines += (size_t)taps->first * stride;
    for (int t = 0; t < taps->count; t++, lines += stride) {
        int32_t weight = taps->weights[t];
        for (int i = 0; i < BLOCK; i++) sums[i] += lines[i] * weight;
    }
    for (int i = 0; i < BLOCK; i++) out[i] = (uint8_t)(sums[i] >> POINT);
}

#ifdef AVX2
/* Two taps at once: madd multiplies 16-bit numbers, so the upper and the lower half of the weights are summed apart. */
AVX2 static inline void mix_avx2(const uint8_t *lines, size_t stride, const Taps *taps, uint8_t *out) {
    enum { PARTS = BLOCK / 8 };
    __m256i upper[PARTS], lower[PARTS];
    for (int p = 0; p < PARTS; p++) upper[p] = _mm256_setzero_si256();
    for (int p = 0; p < PARTS; p++) lower[p] = _mm256_set1_epi32(1 << (POINT - 1));
    lines += (size_t)taps->first * stride;
    for (int t = 0; t < taps->count; t += 2, lines += 2 * stride) {
        int two = t + 1 < taps->count;
        const uint8_t *a = lines, *b = two ? lines + stride : lines;
        int32_t weight_a = taps->weights[t], weight_b = two ? taps->weights[t + 1] : 0, mask = (1 << HALF) - 1;
        __m256i upper_weights = _mm256_set1_epi32(weight_a >> HALF | weight_b >> HALF << 16);
        __m256i lower_weights = _mm256_set1_epi32((weight_a & mask) | (weight_b & mask) << 16);
        for (int p = 0; p < PARTS; p++) {
            __m128i eight_a = _mm_loadl_epi64((const __m128i *)(a + 8 * p));
            __m128i eight_b = _mm_loadl_epi64((const __m128i *)(b + 8 * p));
            __m256i pairs = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(eight_a, eight_b));
            upper[p] = _mm256_add_epi32(upper[p], _mm256_madd_epi16(pairs, upper_weights));
            lower[p] = _mm256_add_epi32(lower[p], _mm256_madd_epi16(pairs, lower_weights));
        }
    }
    for (int p = 0; p < PARTS; p++) {
        __m256i sums = _mm256_add_epi32(_mm256_slli_epi32(upper[p], HALF), lower[p]);
        __m256i whole = _mm256_srli_epi32(sums, POINT);
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
        _mm_storel_epi64((__m128i *)(out + 8 * p), _mm_packus_epi16(words, words));
    }
}
#endif

/* Transpose 16 x 16 bytes by interleaving the upper half of the lines with the lower half, four times. */
INLINE void transpose(Bytes now[SIXTEEN]) {
    Bytes next[SIXTEEN];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            next[2 * i] =
                __builtin_shufflevector(now[i], now[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] = __builtin_shufflevector(now[i], now[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                                      14, 30, 15, 31);
        }
        memcpy(now, next, sizeof next);
    }
}

/* Sixteen rows of a part, turned: [3 * width, to a multiple of 16][16 rows]. Rows after the last repeat it. */
INLINE void turn_rows(const Part *part, int top, uint8_t *columns) {
    size_t n = (size_t)part->width * COLOURS;
    for (size_t i = 0; i < n; i += SIXTEEN) {
        Bytes block[SIXTEEN];
        for (int r = 0; r < SIXTEEN; r++) {
            int row = top + r < part->height ? top + r : part->height - 1;
            const uint8_t *from = part->pixels + (size_t)row * part->stride + i;
            if (n - i >= SIXTEEN) {
                memcpy(&block[r], from, SIXTEEN);
            } else {
                memset(&block[r], 0, SIXTEEN);
                memcpy(&block[r], from, n - i);
            }
        }
        transpose(block);
        memcpy(columns + i * SIXTEEN, block, sizeof block);
    }
}

/* The way back: strip [3 * side, to a multiple of 16][16 rows] to sixteen rows, `stride` bytes apart. */
INLINE void turn_back(const uint8_t *strip, int side, uint8_t *rows, size_t stride) {
    for (size_t i = 0; i < (size_t)side * COLOURS; i += SIXTEEN) {
        Bytes block[SIXTEEN];
        memcpy(block, strip + i * SIXTEEN, sizeof block);
        transpose(block);
        for (size_t r = 0; r < SIXTEEN; r++) memcpy(rows + r * stride + i, &block[r], SIXTEEN);
    }
}

/* Memory of a resize, carved out of the scratch. */
typedef struct {
    Taps *across, *down;
    int32_t *weights_across, *weights_down;
    double *real;
    uint8_t *columns, *strip, *rows, *line;
    size_t stride; /* of rows: 3 * side, to a multiple of BLOCK */
} Work;

static int make_room(const Part *part, int side, Scratch *scratch, Work *work) {
    size_t n_out = (size_t)side, n_across = n_out * (size_t)taps_at_most(part->width, side);
    size_t n_down = n_out * (size_t)taps_at_most(part->height, side), n_real = n_across > n_down ? n_across : n_down;
    size_t n_columns = up_to((size_t)part->width * COLOURS, SIXTEEN) * SIXTEEN;
    size_t n_strip = up_to(n_out * COLOURS, SIXTEEN) * SIXTEEN;
    work->stride = up_to(n_out * COLOURS, BLOCK);
    size_t n_rows = up_to((size_t)part->height, SIXTEEN) * work->stride;
    work->real = buffer_reserve(
        &scratch->taps, n_real * sizeof(double) + 2 * n_out * sizeof(Taps) + (n_across + n_down) * sizeof(int32_t));
    work->columns = buffer_reserve(&scratch->rows, n_columns + n_strip + n_rows + work->stride);
    if (!work->real || !work->columns) return 0;
    work->across = (Taps *)(work->real + n_real);
    work->down = work->across + side;
    work->weights_across = (int32_t *)(work->down + side);
    work->weights_down = work->weights_across + n_across;
    work->strip = work->columns + n_columns;
    work->rows = work->strip + n_strip;
    work->line = work->rows + n_rows;
    return 1;
}

INLINE void resize_with(Mix *mix, const Part *part, const Work *work, int flip, int side, uint8_t *out) {
    for (int top = 0; top < part->height; top += SIXTEEN) {
        turn_rows(part, top, work->columns);
        for (int x = 0; x < side; x++)
            mix(work->columns, BLOCK, work->across + x, work->strip + (size_t)(flip ? side - 1 - x : x) * BLOCK);
        turn_back(work->strip, side, work->rows + (size_t)top * work->stride, work->stride);
    }
    for (int y = 0; y < side; y++) {
        for (size_t i = 0; i < work->stride; i += BLOCK)
            mix(work->rows + i, work->stride, work->down + y, work->line + i);
        memcpy(out + (size_t)y * (size_t)side * COLOURS, work->line, (size_t)side * COLOURS);
    }
}

static void resize_plain(const Part *part, const Work *work, int flip, int side, uint8_t *out) {
    resize_with(mix_plain, part, work, flip, side, out);
}

#ifdef AVX2
AVX2 static void resize_avx2(const Part *part, const Work *work, int flip, int side, uint8_t *out) {
    resize_with(mix_avx2, part, work, flip, side, out);
}
#endif

ViewStatus resize_square(const Part *part, int flip, int side, uint8_t *out, Scratch *scratch) {
    Work work;
    if (!make_room(part, side, scratch, &work)) return VIEW_NO_MEMORY;
    find_taps(part->width, side, work.across, work.weights_across, work.real);
    find_taps(part->height, side, work.down, work.weights_down, work.real);
#ifdef AVX2
    if (__builtin_cpu_supports("avx2")) {
        resize_avx2(part, &work, flip, side, out);
        return VIEW_DONE;
    }
#endif
    resize_plain(part, &work, flip, side, out);
    return VIEW_DONE;
}
