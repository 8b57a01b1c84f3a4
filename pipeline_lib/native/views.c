#include "views.h"

#include <stdlib.h>

void *buffer_reserve(Buffer *buffer, size_t bytes) {
    if (bytes > buffer->capacity) {
        free(buffer->bytes);
        buffer->capacity = (bytes + 63) / 64 * 64;
        buffer->bytes = aligned_alloc(64, buffer->capacity);
        if (!buffer->bytes) buffer->capacity = 0;
    }
    return buffer->bytes;
}

void scratch_free(Scratch *scratch) {
    free(scratch->crop.bytes);
    free(scratch->rows.bytes);
    free(scratch->taps.bytes);
}

static int fits(const View *view) {
    return view->top >= 0 && view->left >= 0 && view->box_height > 0 && view->box_width > 0 &&
           view->box_height <= view->height - view->top && view->box_width <= view->width - view->left;
}

ViewStatus render_view(const View *view, int side, uint8_t *out, Scratch *scratch) {
    if (!fits(view)) return VIEW_MISFIT;
    Part box;
    if (view->raw) {
        size_t stride = (size_t)view->width * 3;
        if (stride * (size_t)view->height != view->size) return VIEW_MISFIT;
        const uint8_t *first = view->stored + (size_t)view->top * stride + (size_t)view->left * 3;
        box = (Part){first, stride, view->box_height, view->box_width};
    } else {
        ViewStatus status = decode_box(view, &box, scratch);
        if (status != VIEW_DONE) return status;
    }
    return resize_square(&box, view->flip, side, out, scratch);
}

ViewStatus render_views(View *views, int64_t count, int32_t side, uint8_t *out) {
    Scratch scratch = {0};
    ViewStatus worst = VIEW_DONE;
    for (View *view = views; view < views + count; view++, out += (size_t)side * (size_t)side * 3) {
        ViewStatus status = render_view(view, side, out, &scratch);
        view->status = status;
        if (status > worst) worst = status;
    }
    scratch_free(&scratch);
    return worst;
}
