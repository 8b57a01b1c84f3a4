/* A fuzzer of the C decoder: any bytes as a JPEG or as raw pixels, any box, any side.
 *
 * With clang it is a libFuzzer target; with -DREPLAY it is a program that mutates the files it is given, for machines
 * without clang:  fuzz_views MUTATIONS SEED FILE...  Each file is an input: HEAD bytes of choices, then the image.
 *
 * Beside crashes, sanitizers and time it looks for images that are wrong without a word. A plain decode of all rows
 * down to the end of the box is the oracle: what is shown has to be its pixels, where it is clean, and nothing may be
 * shown where libjpeg found an error or a warning. libjpeg itself is not instrumented, so all memory that it is given
 * ends at a page that nobody may touch.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jpeglib.h>

#include "views.h"

static void *fenced_alloc(size_t alignment, size_t bytes);
static void fenced_free(void *memory);

#define aligned_alloc fenced_alloc
#define free fenced_free
#include "views.c"
#undef aligned_alloc
#undef free

enum { HEAD = 12, PAGE = 4096, MOST_SIDE = 64, MOST_WIDTH = 256, MOST_PIXELS = 1 << 16, MOST_BYTES = 1 << 20 };

static long counts[4]; /* of inputs, by ViewStatus */

static void fail(const char *what) {
    fprintf(stderr, "fuzz_views: %s\n", what);
    abort();
}

/* Memory that ends at a page nobody may touch. The page before it holds the length of the map. */
static void *fenced_alloc(size_t alignment, size_t bytes) {
    size_t body = (bytes + PAGE - 1) / PAGE * PAGE, total = body + 2 * PAGE;
    uint8_t *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + PAGE + body, PAGE, PROT_NONE) != 0) fail("no memory for a fence");
    memcpy(map, &total, sizeof total);
    uint8_t *memory = map + PAGE + body - bytes;
    if ((uintptr_t)memory % alignment != 0) fail("a size that is no multiple of its alignment");
    return memory;
}

static void fenced_free(void *memory) {
    if (!memory) return;
    uint8_t *map = (uint8_t *)((uintptr_t)memory / PAGE * PAGE) - PAGE;
    size_t total;
    memcpy(&total, map, sizeof total);
    munmap(map, total);
}

typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf caller;
} Plain;

static void leave(j_common_ptr jpeg) { longjmp(((Plain *)jpeg->err)->caller, 1); }

static void leave_at_warning(j_common_ptr jpeg, int level) {
    if (level < 0) leave(jpeg);
}

static void begin(struct jpeg_decompress_struct *jpeg, Plain *plain) {
    jpeg->err = jpeg_std_error(&plain->base);
    plain->base.error_exit = leave;
    plain->base.emit_message = leave_at_warning;
    jpeg_create_decompress(jpeg);
}

/* Size of a JPEG, or 0 where libjpeg cannot tell or it is too large to fuzz with. */
static int read_size(const uint8_t *stored, size_t size, int *height, int *width) {
    struct jpeg_decompress_struct jpeg;
    Plain plain;
    volatile int known = 0;
    begin(&jpeg, &plain);
    if (setjmp(plain.caller) == 0) {
        jpeg_mem_src(&jpeg, stored, size);
        jpeg_read_header(&jpeg, TRUE);
        *height = (int)jpeg.image_height;
        *width = (int)jpeg.image_width;
        known = 1;
    }
    jpeg_destroy_decompress(&jpeg);
    return known && (long)*height * *width <= MOST_PIXELS;
}

/* The oracle: the first rows of a JPEG as RGB, whole rows, nothing skipped. 0 after an error or a warning. */
static int decode_rows(const uint8_t *stored, size_t size, int rows, uint8_t *pixels, size_t stride) {
    struct jpeg_decompress_struct jpeg;
    Plain plain;
    volatile int clean = 0;
    begin(&jpeg, &plain);
    if (setjmp(plain.caller) == 0) {
        jpeg_mem_src(&jpeg, stored, size);
        jpeg_read_header(&jpeg, TRUE);
        jpeg.out_color_space = JCS_RGB;
        jpeg.dct_method = JDCT_ISLOW;
        jpeg.do_block_smoothing = FALSE;
        jpeg_start_decompress(&jpeg);
        for (int row = 0; row < rows; row++) {
            JSAMPROW line = pixels + (size_t)row * stride;
            jpeg_read_scanlines(&jpeg, &line, 1);
        }
        if (jpeg.output_scanline == jpeg.output_height) jpeg_finish_decompress(&jpeg);
        clean = 1;
    }
    jpeg_destroy_decompress(&jpeg);
    return clean;
}

static void compare_with_oracle(const View *view, ViewStatus status) {
    size_t stride = (size_t)view->width * 3;
    int bottom = view->top + view->box_height;
    uint8_t *rows = malloc(stride * (size_t)bottom);
    int clean = decode_rows(view->stored, view->size, bottom, rows, stride);
    if (clean && status != VIEW_DONE) fail("a sound image is refused");
    if (!clean && status == VIEW_DONE) fail("a damaged image is shown");
    if (status == VIEW_DONE) {
        Scratch scratch = {0};
        Part box;
        if (decode_box(view, &box, &scratch) != VIEW_DONE) fail("the box of an image that was shown is not");
        for (int row = 0; row < view->box_height; row++) {
            const uint8_t *meant = rows + (size_t)(view->top + row) * stride + (size_t)view->left * 3;
            if (memcmp(box.pixels + (size_t)row * box.stride, meant, (size_t)view->box_width * 3) != 0)
                fail("a box holds other pixels than a plain decode");
        }
        scratch_free(&scratch);
    }
    free(rows);
}

static int below(int limit, const uint8_t *two) { return (two[0] << 8 | two[1]) % limit; }

static void choose_box(const uint8_t *head, View *view) {
    view->top = below(view->height, head + 2);
    view->left = below(view->width, head + 4);
    view->box_height = 1 + below(view->height - view->top, head + 6);
    view->box_width = 1 + below(view->width - view->left, head + 8);
}

/* Render twice, over zeros and over ones, with memory used before: all of `out` has to be written. */
static ViewStatus render_twice(View *view, int side) {
    size_t bytes = (size_t)side * (size_t)side * 3;
    uint8_t *first = fenced_alloc(1, bytes), *second = fenced_alloc(1, 2 * bytes);
    View both[2] = {*view, *view};
    memset(first, 0, bytes);
    memset(second, 255, 2 * bytes);
    ViewStatus status = render_views(view, 1, side, first);
    if (render_views(both, 2, side, second) != status || both[1].status != (int)status) fail("another status");
    if (status == VIEW_DONE && (memcmp(first, second, bytes) != 0 || memcmp(first, second + bytes, bytes) != 0))
        fail("not all of a view is written");
    fenced_free(first);
    fenced_free(second);
    return status;
}

static void check_raw(const uint8_t *head, View *view, int side) {
    view->raw = 1;
    view->width = 1 + below(MOST_WIDTH, head + 10);
    view->height = (int)(view->size / 3 / (size_t)view->width);
    if (view->height == 0 || view->height > MOST_PIXELS) return;
    size_t rest = view->size - (size_t)view->width * (size_t)view->height * 3;
    if (head[1] % 16 != 0) { /* make it fit, and end at the fence */
        view->stored += rest;
        view->size -= rest;
        rest = 0;
    }
    choose_box(head, view);
    ViewStatus status = render_twice(view, side);
    int whole = rest == 0;
    if (status != (whole ? VIEW_DONE : VIEW_MISFIT)) fail("raw pixels of the wrong size are shown, or sound ones not");
    counts[status]++;
}

static void check_jpeg(const uint8_t *head, View *view, int side) {
    int known = read_size(view->stored, view->size, &view->height, &view->width);
    if (!known) view->height = view->width = MOST_WIDTH;
    if (known && head[1] % 16 == 0) view->width++; /* recorded wrongly */
    choose_box(head, view);
    ViewStatus status = render_twice(view, side);
    if (known && head[1] % 16 != 0)
        compare_with_oracle(view, status);
    else if (status == VIEW_DONE)
        fail("an image of another size than recorded is shown");
    counts[status]++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size <= HEAD || size > MOST_BYTES) return 0;
    uint8_t *stored = fenced_alloc(1, size - HEAD);
    memcpy(stored, data + HEAD, size - HEAD);
    View view = {.stored = stored, .size = size - HEAD, .flip = data[0] >> 1 & 1};
    int side = 1 + data[10] % MOST_SIDE;
    if (data[0] & 1)
        check_raw(data, &view, side);
    else
        check_jpeg(data, &view, side);
    fenced_free(stored);
    return 0;
}

#ifdef REPLAY

static uint8_t mutant[MOST_BYTES];
static size_t mutant_size;
static uint64_t state;

const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1"; }

/* Leave the input in the current folder, for the debugger and for libFuzzer's corpus. */
static void keep_input(int number) {
    FILE *to = fopen("failed-input", "wb");
    if (to) {
        fwrite(mutant, 1, mutant_size, to);
        fclose(to);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static size_t draw(size_t limit) { /* xorshift64* (Vigna 2014) */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 2685821657736338717u) >> 33) % limit;
}

/* One to three of: flip a bit, cut the end, insert a byte, zero a run. Returns the new size. */
static size_t mutate(uint8_t *data, size_t size) {
    for (size_t left = 1 + draw(3); left > 0; left--) {
        size_t at = draw(size);
        switch (draw(4)) {
        case 0: data[at] ^= (uint8_t)(1 << draw(8)); break;
        case 1: size = at + 1; break;
        case 2:
            memmove(data + at + 1, data + at, size - at);
            data[at] = (uint8_t)draw(256);
            size++;
            break;
        default: memset(data + at, 0, size - at < 40 ? size - at : 40);
        }
    }
    return size;
}

int main(int count, char **words) {
    static uint8_t file[MOST_BYTES];
    signal(SIGABRT, keep_input);
    signal(SIGALRM, keep_input);
    long mutations = atol(words[1]);
    state = 88172645463325252u + strtoull(words[2], NULL, 10);
    for (int n = 3; n < count; n++) {
        FILE *from = fopen(words[n], "rb");
        if (!from) fail("no such file");
        size_t size = fread(file, 1, MOST_BYTES - 8, from);
        fclose(from);
        if (size <= HEAD) continue;
        memcpy(mutant, file, mutant_size = size);
        LLVMFuzzerTestOneInput(mutant, mutant_size);
        for (long m = 0; m < mutations; m++) {
            alarm(20); /* ends an image that takes for ever */
            memcpy(mutant, file, size);
            for (size_t i = 0; i < HEAD; i++) mutant[i] = (uint8_t)draw(256);
            mutant[0] = (uint8_t)((mutant[0] & ~1) | (file[0] & 1));
            mutant_size = HEAD + mutate(mutant + HEAD, size - HEAD);
            LLVMFuzzerTestOneInput(mutant, mutant_size);
        }
    }
    printf("%ld %ld %ld\n", counts[VIEW_DONE], counts[VIEW_DAMAGED], counts[VIEW_MISFIT]);
    return 0;
}

#endif
