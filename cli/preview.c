/* cli/preview.c: which protocol, and the two that take a PNG; see preview.h. */
#include "cli/preview.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/preview_internal.h"
#include "cli/terminal.h"

enum {
    KITTY_CHUNK = 4096, /* the protocol's limit for a piece of base64 */
    SMALL_PIXELS = 400, /* narrower pictures are enlarged */
};

md_preview_facts md_preview_look(int descriptor) {
    md_terminal terminal = md_terminal_of(descriptor);
    return (md_preview_facts){
        .live = terminal.live,
        .utf8 = terminal.utf8,
        .plain = terminal.live && !terminal.color,
        .term = getenv("TERM"),
        .program = getenv("TERM_PROGRAM"),
        .colour = getenv("COLORTERM"),
        .kitty = getenv("KITTY_WINDOW_ID"),
        .lc_terminal = getenv("LC_TERMINAL"),
        .multiplex = getenv("TMUX"),
    };
}

static bool has(const char *value, const char *part) {
    return value && strstr(value, part) != NULL;
}

static bool is(const char *value, const char *name) {
    return value && !strcmp(value, name);
}

static bool begins(const char *value, const char *start) {
    return value && !strncmp(value, start, strlen(start));
}

md_preview md_preview_choose(const md_preview_facts *f) {
    if (!f->live) return MD_PREVIEW_NONE;
    bool inside =
        (f->multiplex && *f->multiplex) || begins(f->term, "screen") || begins(f->term, "tmux");
    if (!inside) {
        bool kitty = (f->kitty && *f->kitty) || has(f->term, "kitty") || has(f->term, "ghostty");
        if (kitty) return MD_PREVIEW_KITTY;
        bool iterm = is(f->program, "iTerm.app") || is(f->program, "WezTerm") ||
                     is(f->lc_terminal, "iTerm2");
        if (iterm) return MD_PREVIEW_ITERM;
        bool sixel = is(f->term, "foot") || begins(f->term, "foot-") || begins(f->term, "mlterm") ||
                     is(f->program, "mintty") || has(f->term, "sixel");
        if (sixel) return MD_PREVIEW_SIXEL;
    }
    if (!f->utf8 || f->plain) return MD_PREVIEW_NONE;
    bool deep = is(f->colour, "truecolor") || is(f->colour, "24bit");
    return deep ? MD_PREVIEW_BLOCKS : MD_PREVIEW_BLOCKS_256;
}

static mdlm_status base64(const md_buffer *bytes, md_buffer *out, mdlm_error *err) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes->size; i += 3) {
        size_t left = bytes->size - i;
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++) {
            word = word << 8 | (k < left ? (unsigned char)bytes->data[i + k] : 0);
        }
        char four[4];
        for (int k = 0; k < 4; k++) four[k] = digits[word >> (18 - 6 * k) & 63];
        if (left < 3) four[3] = '=';
        if (left < 2) four[2] = '=';
        MD_TRY(md_buffer_append(out, four, sizeof four, err));
    }
    return MDLM_OK;
}

/* Show at once, PNG, and say nothing (the answer would be typed into the shell). */
static mdlm_status kitty(const md_buffer *text, md_buffer *out, mdlm_error *err) {
    for (size_t i = 0; i < text->size; i += KITTY_CHUNK) {
        size_t left = text->size - i, size = left < KITTY_CHUNK ? left : KITTY_CHUNK;
        MD_TRY(md_buffer_printf(out, err, "\033_G%sm=%d;", i == 0 ? "a=T,f=100,q=2," : "",
                                left > KITTY_CHUNK));
        MD_TRY(md_buffer_append(out, text->data + i, size, err));
        MD_TRY(md_buffer_text(out, "\033\\", err));
    }
    return md_buffer_text(out, "\n", err);
}

static mdlm_status iterm(const md_buffer *text, size_t size, md_buffer *out, mdlm_error *err) {
    MD_TRY(md_buffer_printf(out, err, "\033]1337;File=inline=1;size=%zu:", size));
    MD_TRY(md_buffer_append(out, text->data, text->size, err));
    return md_buffer_text(out, "\a\n", err);
}

static mdlm_status as_png(md_preview how, const md_picture *p, md_buffer *out, mdlm_error *err) {
    md_buffer png = {0}, text = {0};
    mdlm_status status = md_picture_png(p, &png, err);
    if (status == MDLM_OK) status = base64(&png, &text, err);
    if (status == MDLM_OK && how == MD_PREVIEW_KITTY) status = kitty(&text, out, err);
    if (status == MDLM_OK && how == MD_PREVIEW_ITERM) status = iterm(&text, png.size, out, err);
    md_buffer_release(&png);
    md_buffer_release(&text);
    return status;
}

/* A copy in colours without alpha, at the size that it will have. */
static mdlm_status prepare(const md_picture *p, bool blocks, int columns, md_picture *out,
                           mdlm_error *err) {
    MD_TRY(md_picture_init(out, p->Y, p->X, p->C, err));
    memcpy(out->pixels, p->pixels, (size_t)p->Y * (size_t)p->X * (size_t)p->C);
    MD_TRY(md_picture_convert(out, 3, err));
    if (!blocks) {
        int larger = p->Y > p->X ? p->Y : p->X, factor = SMALL_PIXELS / larger;
        return factor < 2 ? MDLM_OK : md_picture_resize(out, factor * p->Y, factor * p->X, err);
    }
    if (p->X <= columns) return MDLM_OK;
    int Y = (int)((int64_t)p->Y * columns / p->X);
    return md_picture_resize(out, Y > 0 ? Y : 1, columns, err);
}

mdlm_status md_preview_encode(md_preview how, const md_picture *picture, int columns,
                              md_buffer *out, mdlm_error *err) {
    if (how == MD_PREVIEW_NONE) return MDLM_OK;
    bool blocks = how == MD_PREVIEW_BLOCKS || how == MD_PREVIEW_BLOCKS_256;
    md_picture p = {0};
    mdlm_status status = prepare(picture, blocks, columns, &p, err);
    if (status == MDLM_OK) {
        status = blocks                    ? md_preview_blocks(&p, how, out, err)
                 : how == MD_PREVIEW_SIXEL ? md_preview_sixel(&p, out, err)
                                           : as_png(how, &p, out, err);
    }
    md_picture_release(&p);
    return status;
}

mdlm_status md_preview_show(const md_picture *picture, bool *shown, mdlm_error *err) {
    md_preview_facts facts = md_preview_look(STDOUT_FILENO);
    md_buffer text = {0};
    md_preview how = md_preview_choose(&facts);
    int columns = md_terminal_of(STDOUT_FILENO).columns;
    mdlm_status status = md_preview_encode(how, picture, columns, &text, err);
    if (shown) *shown = how != MD_PREVIEW_NONE;
    if (status == MDLM_OK) status = md_cli_write(text.data, text.size, err);
    md_buffer_release(&text);
    return status;
}
