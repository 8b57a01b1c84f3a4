/* Decode a box of a JPEG with libjpeg-turbo: rows above are skipped, columns beside and rows below are not decoded.
 *
 * The pixels are those of a full decode. libjpeg smooths chroma over neighbouring columns, and not at all in a very
 * narrow image, so MARGIN columns more are decoded on each side of the box and thrown away.
 */
#include "views.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

enum { MARGIN = 8 };

typedef struct {
    struct jpeg_error_mgr base; /* first: libjpeg hands this struct back as its own */
    jmp_buf caller;
    ViewStatus status;
} Errors;

static void give_up(j_common_ptr jpeg) {
    Errors *errors = (Errors *)jpeg->err;
    if (errors->base.msg_code == JERR_OUT_OF_MEMORY) errors->status = VIEW_NO_MEMORY;
    longjmp(errors->caller, 1);
}

/* level < 0 is a warning: data is damaged, and libjpeg would go on with made-up pixels. */
static void stop_at_warning(j_common_ptr jpeg, int level) {
    if (level < 0) give_up(jpeg);
}

static void say_nothing(j_common_ptr jpeg) { (void)jpeg; }

static ViewStatus read_box(struct jpeg_decompress_struct *jpeg, const View *view, Part *box, Buffer *memory) {
    jpeg_mem_src(jpeg, view->stored, view->size);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->image_width != (JDIMENSION)view->width || jpeg->image_height != (JDIMENSION)view->height)
        return VIEW_MISFIT;
    jpeg->out_color_space = JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_block_smoothing = FALSE; /* guesses at scans that are missing, which would differ from box to box */
    jpeg_start_decompress(jpeg);

    int first = view->left > MARGIN ? view->left - MARGIN : 0, end = view->left + view->box_width;
    JDIMENSION left = (JDIMENSION)first;
    JDIMENSION width = (JDIMENSION)((view->width - end > MARGIN ? end + MARGIN : view->width) - first);
    jpeg_crop_scanline(jpeg, &left, &width); /* moves left to the border of a block */
    jpeg_skip_scanlines(jpeg, (JDIMENSION)view->top);

    size_t stride = (size_t)width * 3;
    uint8_t *pixels = buffer_reserve(memory, stride * (size_t)view->box_height);
    if (!pixels) return VIEW_NO_MEMORY;
    for (int row = 0; row < view->box_height; row++) {
        JSAMPROW line = pixels + (size_t)row * stride;
        if (jpeg_read_scanlines(jpeg, &line, 1) != 1) return VIEW_DAMAGED;
    }
    if (jpeg->output_scanline == jpeg->output_height) jpeg_finish_decompress(jpeg); /* warns of data that is left */
    *box = (Part){pixels + ((size_t)view->left - left) * 3, stride, view->box_height, view->box_width};
    return VIEW_DONE;
}

ViewStatus decode_box(const View *view, Part *box, Scratch *scratch) {
    struct jpeg_decompress_struct jpeg;
    Errors errors;
    jpeg.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = give_up;
    errors.base.emit_message = stop_at_warning;
    errors.base.output_message = say_nothing;
    errors.status = VIEW_DAMAGED;
    jpeg_create_decompress(&jpeg);
    if (setjmp(errors.caller) == 0) errors.status = read_box(&jpeg, view, box, &scratch->crop);
    jpeg_destroy_decompress(&jpeg);
    return errors.status;
}
