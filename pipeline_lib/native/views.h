/* From a stored image to the pixels that a network sees: cut a box, bring it to a square, mirror it.
 *
 * A view of a JPEG decodes only the rows and columns of its box (libjpeg-turbo does the decoding); a raw image is
 * read in place. Everything is integer arithmetic: the same bytes on every machine and for any number of threads.
 */
#ifndef VIEWS_H
#define VIEWS_H

#include <stddef.h>
#include <stdint.h>

/* One image and what to show of it. Python fills an array of these: VIEW in views.py. */
typedef struct {
    const uint8_t *stored; /* a JPEG stream, or raw RGB in row-major order */
    uint64_t size;         /* bytes stored */
    int32_t raw;           /* 1: raw RGB, 0: JPEG */
    int32_t height, width; /* of the whole image, as the beton records them */
    int32_t top, left, box_height, box_width;
    int32_t flip;   /* 1: mirror left and right */
    int32_t status; /* ViewStatus: what became of it */
    int32_t unused; /* the struct ends at 8 bytes */
} View;

typedef enum {
    VIEW_DONE = 0,
    VIEW_DAMAGED = 1,  /* libjpeg reports an error or a warning: some pixel would be wrong */
    VIEW_MISFIT = 2,   /* the image has not the recorded size, or the box does not lie in it */
    VIEW_NO_MEMORY = 3
} ViewStatus;

/* Memory that views of one thread use one after another. Start with all zeros; free with scratch_free. */
typedef struct {
    uint8_t *bytes;
    size_t capacity;
} Buffer;

typedef struct {
    Buffer crop, rows, taps;
} Scratch;

void *buffer_reserve(Buffer *buffer, size_t bytes); /* NULL when memory ran out */
void scratch_free(Scratch *scratch);

/* Pixels in memory: row r begins at pixels + r * stride, three bytes each, red first. */
typedef struct {
    const uint8_t *pixels;
    size_t stride;
    int height, width;
} Part;

/* Fill out (count x side x side x 3 bytes) with views, and their statuses. Returns the worst status. */
ViewStatus render_views(View *views, int64_t count, int32_t side, uint8_t *out);

/* Fill out (side x side x 3 bytes) with one view. out is only whole when VIEW_DONE comes back. */
ViewStatus render_view(const View *view, int side, uint8_t *out, Scratch *scratch);

/* Decode the box of a JPEG into scratch. jpeg_box.c */
ViewStatus decode_box(const View *view, Part *box, Scratch *scratch);

/* Antialiased bilinear resize to side x side, byte for byte Pillow's BILINEAR. resize.c */
ViewStatus resize_square(const Part *part, int flip, int side, uint8_t *out, Scratch *scratch);

#endif
