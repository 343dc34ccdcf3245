/* tests/test_preview.c: which protocol a terminal is sent, and what a terminal makes of it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/preview.h"
#include "tests/test_pictures.h"

static mdlm_error err;

/* --- the choice ------------------------------------------------------------------------------- */

static md_preview choose(md_preview_facts facts) {
    facts.live = facts.utf8 = true;
    return md_preview_choose(&facts);
}

START_TEST(terminals_are_known_by_their_variables) {
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-kitty"}), MD_PREVIEW_KITTY);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-ghostty"}), MD_PREVIEW_KITTY);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-256color", .kitty = "1"}),
                     MD_PREVIEW_KITTY);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-256color", .program = "iTerm.app"}),
                     MD_PREVIEW_ITERM);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-256color", .program = "WezTerm"}),
                     MD_PREVIEW_ITERM);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm", .lc_terminal = "iTerm2"}),
                     MD_PREVIEW_ITERM);
    ck_assert_int_eq(choose((md_preview_facts){.term = "foot"}), MD_PREVIEW_SIXEL);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm", .program = "mintty"}),
                     MD_PREVIEW_SIXEL);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-256color", .colour = "truecolor"}),
                     MD_PREVIEW_BLOCKS);
    ck_assert_int_eq(choose((md_preview_facts){.term = "xterm-256color"}), MD_PREVIEW_BLOCKS_256);
}
END_TEST

START_TEST(inside_of_tmux_and_screen_there_are_blocks) {
    md_preview_facts facts = {.term = "tmux-256color", .kitty = "1", .multiplex = "/tmp/tmux-0"};
    ck_assert_int_eq(choose(facts), MD_PREVIEW_BLOCKS_256);
    facts = (md_preview_facts){.term = "screen", .program = "iTerm.app", .colour = "24bit"};
    ck_assert_int_eq(choose(facts), MD_PREVIEW_BLOCKS);
}
END_TEST

START_TEST(nothing_is_sent_where_no_terminal_listens) {
    const md_preview_facts pipe = {.utf8 = true, .term = "xterm-kitty", .kitty = "1"};
    ck_assert_int_eq(md_preview_choose(&pipe), MD_PREVIEW_NONE);
    const md_preview_facts latin = {.live = true, .term = "xterm-256color"};
    ck_assert_int_eq(md_preview_choose(&latin), MD_PREVIEW_NONE);
    const md_preview_facts plain = {.live = true, .utf8 = true, .plain = true, .term = "xterm"};
    ck_assert_int_eq(md_preview_choose(&plain), MD_PREVIEW_NONE);
    md_picture p = some_picture(2, 2, 3);
    md_buffer out = {0};
    assert_ok(md_preview_encode(MD_PREVIEW_NONE, &p, 80, &out, &err));
    ck_assert_uint_eq(out.size, 0);
    md_picture_release(&p);
}
END_TEST

/* --- what is sent ----------------------------------------------------------------------------- */

static md_buffer encode(md_preview how, const md_picture *p, int columns) {
    md_buffer out = {0};
    assert_ok(md_preview_encode(how, p, columns, &out, &err));
    ck_assert_int_eq(out.data[out.size - 1], '\n');
    return out;
}

static int digit_of(char c) {
    return isupper(c)   ? c - 'A'
           : islower(c) ? c - 'a' + 26
           : isdigit(c) ? c - '0' + 52
           : c == '+'   ? 62
                        : 63;
}

/* Appends what base64 says. */
static void decode64(const char *text, size_t size, md_buffer *out) {
    ck_assert_uint_eq(size % 4, 0);
    for (size_t i = 0; i < size; i += 4) {
        uint32_t word = 0;
        int bytes = 3 - (text[i + 2] == '=') - (text[i + 3] == '=');
        for (int k = 0; k < 4; k++) word = word << 6 | (uint32_t)(digit_of(text[i + k]) & 63);
        char three[] = {(char)(word >> 16), (char)(word >> 8), (char)word};
        assert_ok(md_buffer_append(out, three, (size_t)bytes, &err));
    }
}

static void assert_png_of(const md_buffer *png, const md_picture *p) {
    md_buffer expected = {0};
    assert_ok(md_picture_png(p, &expected, &err));
    ck_assert_uint_eq(png->size, expected.size);
    ck_assert_mem_eq(png->data, expected.data, expected.size);
    md_buffer_release(&expected);
}

/* Three pieces, and padding of every length as the size goes. */
START_TEST(kitty_gets_a_png_in_pieces) {
    md_picture p = some_picture(401, 20, 3);
    md_buffer out = encode(MD_PREVIEW_KITTY, &p, 80), png = {0};
    const char *at = out.data;
    for (int piece = 0, more = 1; more; piece++) {
        const char *start = piece ? "\033_Gm=" : "\033_Ga=T,f=100,q=2,m=";
        ck_assert_mem_eq(at, start, strlen(start));
        at += strlen(start);
        more = *at == '1';
        ck_assert_int_eq(at[1], ';');
        const char *end = strstr(at, "\033\\");
        ck_assert_int_le(end - at - 2, 4096);
        decode64(at + 2, (size_t)(end - at) - 2, &png);
        at = end + 2;
    }
    ck_assert_str_eq(at, "\n");
    assert_png_of(&png, &p);
    md_buffer_release(&out), md_buffer_release(&png);
    md_picture_release(&p);
}
END_TEST

START_TEST(iterm_gets_a_png_with_its_size) {
    for (int X = 401; X < 407; X++) { /* sizes of every remainder by three */
        md_picture p = some_picture(2, X, 3);
        md_buffer out = encode(MD_PREVIEW_ITERM, &p, 80), png = {0};
        unsigned size = 0;
        int at = 0;
        ck_assert_int_eq(sscanf(out.data, "\033]1337;File=inline=1;size=%u:%n", &size, &at), 1);
        decode64(out.data + at, out.size - (size_t)at - 2, &png);
        ck_assert_uint_eq(png.size, size);
        ck_assert_str_eq(out.data + out.size - 2, "\a\n");
        assert_png_of(&png, &p);
        md_buffer_release(&out), md_buffer_release(&png);
        md_picture_release(&p);
    }
}
END_TEST

/* What a sixel terminal draws of text whose colours are those of the palette it defines. */
static md_picture draw_sixels(const char *text) {
    int palette[256][3], X = 0, Y = 0, n = 0, colour = 0, x = 0, top = 0;
    md_picture p = {0};
    ck_assert_int_eq(sscanf(text, "\033P0;1;0q\"1;1;%d;%d%n", &X, &Y, &n), 2);
    assert_ok(md_picture_init(&p, Y, X, 3, &err));
    for (const char *c = text + n; strcmp(c, "\033\\\n") != 0; c += n) {
        int count = 1, rgb[3];
        n = 1;
        if (sscanf(c, "#%d;2;%d;%d;%d%n", &colour, &rgb[0], &rgb[1], &rgb[2], &n) == 4) {
            memcpy(palette[colour], rgb, sizeof rgb);
            continue;
        }
        if (sscanf(c, "#%d%n", &colour, &n) == 1) continue;
        if (*c == '$') x = 0;
        if (*c == '-') x = 0, top += 6;
        if (*c == '$' || *c == '-') continue;
        if (sscanf(c, "!%d%n", &count, &n) == 1) c += n, n = 1;
        ck_assert(*c >= '?' && *c <= '~');
        for (; count > 0; count--, x++) {
            for (int k = 0; k < 6; k++) {
                if (!((*c - '?') >> k & 1)) continue;
                uint8_t *pixel = p.pixels + ((top + k) * X + x) * 3;
                for (int i = 0; i < 3; i++) {
                    pixel[i] = (uint8_t)(palette[colour][i] * 255 / 100);
                }
            }
        }
    }
    return p;
}

START_TEST(sixels_draw_the_picture) {
    md_picture p = some_picture(404, 31, 3); /* the last band has two rows */
    static const uint8_t levels[] = {0, 51, 102, 153, 204, 255};
    for (int i = 0; i < 404 * 31 * 3; i++) p.pixels[i] = levels[p.pixels[i] % 6];
    md_buffer out = encode(MD_PREVIEW_SIXEL, &p, 80);
    md_picture drawn = draw_sixels(out.data);
    assert_same_picture(&p, &drawn);
    md_buffer_release(&out);
    md_picture_release(&p), md_picture_release(&drawn);
}
END_TEST

START_TEST(sixels_mix_colours_that_they_do_not_have) {
    md_picture p = some_picture(400, 400, 3);
    memset(p.pixels, 111, 400 * 400 * 3);
    md_buffer out = encode(MD_PREVIEW_SIXEL, &p, 80);
    md_picture drawn = draw_sixels(out.data);
    double sum = 0;
    for (int i = 0; i < 400 * 400 * 3; i++) sum += drawn.pixels[i];
    /* Sixteen mixtures of two levels that are 51 apart. */
    ck_assert_double_eq_tol(sum / (400 * 400 * 3), 111, 51 / 16.);
    md_buffer_release(&out);
    md_picture_release(&p), md_picture_release(&drawn);
}
END_TEST

START_TEST(small_pictures_are_enlarged_by_a_whole_factor) {
    md_picture p = some_picture(30, 10, 1), large = some_picture(30, 10, 1);
    md_buffer out = encode(MD_PREVIEW_ITERM, &p, 80), png = {0};
    assert_ok(md_picture_convert(&large, 3, &err));
    assert_ok(md_picture_resize(&large, 390, 130, &err));
    const char *start = strchr(out.data, ':') + 1;
    decode64(start, out.size - (size_t)(start - out.data) - 2, &png);
    assert_png_of(&png, &large);
    md_buffer_release(&out), md_buffer_release(&png);
    md_picture_release(&p), md_picture_release(&large);
}
END_TEST

START_TEST(blocks_hold_two_pixels_each_and_say_a_colour_once) {
    md_picture p = {0};
    const uint8_t pixels[] = {1, 2, 3, 1, 2, 3, 250, 128, 0, 9, 9, 9, 255, 255, 255, 9, 9, 9};
    assert_ok(md_picture_init(&p, 3, 2, 3, &err));
    memcpy(p.pixels, pixels, sizeof pixels);
    md_buffer out = encode(MD_PREVIEW_BLOCKS, &p, 80);
    ck_assert_str_eq(out.data, "\033[38;2;1;2;3m\033[48;2;250;128;0m▀\033[48;2;9;9;9m▀\033[0m\n"
                               "\033[38;2;255;255;255m▀\033[38;2;9;9;9m▀\033[0m\n");
    md_buffer_release(&out);
    out = encode(MD_PREVIEW_BLOCKS_256, &p, 80);
    ck_assert_str_eq(out.data, "\033[38;5;16m\033[48;5;208m▀\033[48;5;16m▀\033[0m\n"
                               "\033[38;5;231m▀\033[38;5;16m▀\033[0m\n");
    md_buffer_release(&out);
    md_picture_release(&p);
}
END_TEST

START_TEST(blocks_fit_the_width_of_the_terminal) {
    md_picture p = some_picture(100, 200, 4);
    md_buffer out = encode(MD_PREVIEW_BLOCKS, &p, 40);
    int lines = 0, blocks = 0;
    for (size_t i = 0; i < out.size; i++) {
        lines += out.data[i] == '\n';
        blocks += !memcmp(out.data + i, "▀", i + 3 <= out.size ? 3 : 1);
    }
    ck_assert_int_eq(lines, 10);
    ck_assert_int_eq(blocks, 400);
    md_buffer_release(&out);
    md_picture_release(&p);
}
END_TEST

int main(void) {
    Suite *s = suite_create("preview");
    suite_case(s, terminals_are_known_by_their_variables);
    suite_case(s, inside_of_tmux_and_screen_there_are_blocks);
    suite_case(s, nothing_is_sent_where_no_terminal_listens);
    suite_case(s, kitty_gets_a_png_in_pieces);
    suite_case(s, iterm_gets_a_png_with_its_size);
    suite_case(s, sixels_draw_the_picture);
    suite_case(s, sixels_mix_colours_that_they_do_not_have);
    suite_case(s, small_pictures_are_enlarged_by_a_whole_factor);
    suite_case(s, blocks_hold_two_pixels_each_and_say_a_colour_once);
    suite_case(s, blocks_fit_the_width_of_the_terminal);
    return suite_run(s);
}
