/* tests/test_base_memory.c: errors, allocation, the arena and the buffer. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "tests/suite.h"

START_TEST(an_error_is_one_line_without_control_characters) {
    mdlm_error err = {0};
    mdlm_status status = md_fail(&err, MDLM_INPUT, "cannot open '%s'", "a\nb\x1b[31m\x7f");
    ck_assert_int_eq(status, MDLM_INPUT);
    ck_assert_int_eq(err.status, MDLM_INPUT);
    ck_assert_str_eq(err.message, "cannot open 'a?b?[31m?'");
    ck_assert_int_eq(md_fail(NULL, MDLM_WRITE, "x"), MDLM_WRITE);
}
END_TEST

START_TEST(an_error_may_quote_the_error_that_it_replaces) {
    mdlm_error err = {0};
    md_fail(&err, MDLM_INPUT, "inner");
    md_fail(&err, MDLM_USAGE, "outer: %s", err.message);
    ck_assert_str_eq(err.message, "outer: inner");
}
END_TEST

START_TEST(a_system_error_is_named_in_lower_case) {
    mdlm_error err = {0};
    errno = ENOENT;
    ck_assert_int_eq(md_fail_errno(&err, MDLM_INPUT, "cannot open '%s'", "x"), MDLM_INPUT);
    ck_assert_str_eq(err.message, "cannot open 'x': no such file or directory");
}
END_TEST

START_TEST(a_long_message_keeps_its_reason_and_whole_characters) {
    char path[2000];
    for (size_t i = 0; i + 1 < sizeof path; i += 2) memcpy(path + i, "\xc3\xa9", 2);
    path[sizeof path - 2] = 0;
    mdlm_error err = {0};
    errno = EACCES;
    for (int shift = 0; shift < 2; shift++) {
        md_fail_errno(&err, MDLM_INPUT, "%s%s", shift ? "a" : "", path);
        const char *reason = strstr(err.message, ": permission denied");
        ck_assert_ptr_nonnull(reason);
        ck_assert_int_eq((unsigned char)reason[-1], 0xa9);
        ck_assert_uint_gt(strlen(err.message), 400);
    }
}
END_TEST

static int tries(int *calls, mdlm_status result) {
    ++*calls;
    MD_TRY(result);
    ++*calls;
    return MDLM_OK;
}

START_TEST(try_returns_the_first_failure) {
    int calls = 0;
    ck_assert_int_eq(tries(&calls, MDLM_NUMERIC), MDLM_NUMERIC);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(tries(&calls, MDLM_OK), MDLM_OK);
    ck_assert_int_eq(calls, 3);
}
END_TEST

START_TEST(size_arithmetic_refuses_to_wrap) {
    size_t out = 7;
    ck_assert(!md_size_add(SIZE_MAX, 1, &out));
    ck_assert(!md_size_mul(SIZE_MAX / 2 + 1, 2, &out));
    ck_assert(!md_size_mul((size_t)1 << 32, (size_t)1 << 32, &out));
    ck_assert(!md_size_align(SIZE_MAX - 62, 64, &out));
    ck_assert_uint_eq(out, 7);
    ck_assert(md_size_add(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    ck_assert(md_size_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    ck_assert(md_size_mul(0, SIZE_MAX, &out) && out == 0);
    ck_assert(md_size_align(65, 64, &out) && out == 128);
    ck_assert(md_size_align(64, 64, &out) && out == 64);
    ck_assert(md_size_align(0, 64, &out) && out == 0);
}
END_TEST

START_TEST(an_allocation_is_zeroed_and_aligned) {
    mdlm_error err = {0};
    for (size_t count = 0; count < 300; count += 37) {
        unsigned char *bytes = md_alloc(count, 3, &err);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_eq((uintptr_t)bytes % MD_ALIGNMENT, 0);
        for (size_t i = 0; i < 3 * count; i++) ck_assert_uint_eq(bytes[i], 0);
        if (count > 0) memset(bytes, 0xff, 3 * count); /* what the next one must not find */
        md_free(bytes);
    }
}
END_TEST

/* Peak memory also counts what the allocator and a sanitizer's shadow take: an eighth. */
START_TEST(a_block_of_large_pages_is_zeroed_and_whole) {
    mdlm_error err = {0};
    static const size_t sizes[] = {0, 100, (2 << 20) - 1, 2 << 20, (5 << 20) + 77, 70 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = md_alloc_whole(sizes[i], 1, &err);
        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq((uintptr_t)block % MD_ALIGNMENT, 0);
        for (size_t j = 0; j < sizes[i]; j += 61) ck_assert(block[j] == 0);
        if (sizes[i] > 0) ck_assert(block[sizes[i] - 1] == 0);
        md_free(block);
    }
    ck_assert_ptr_null(md_alloc_whole(SIZE_MAX / 2, 4, &err));
    ck_assert_int_eq(err.status, MDLM_RUNTIME);
}
END_TEST

START_TEST(available_memory_is_bounded_by_the_address_space) {
    static const int64_t room = 1 << 30;
    ck_assert_int_gt(md_memory_available(), 1 << 20);
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return;
    ck_assert_int_eq(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    const rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)room;
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_int_le(md_memory_available(),
                     room + (16 << 20)); /* the file's buffer is free again */
}
END_TEST

START_TEST(a_large_block_takes_memory_only_where_it_is_touched) {
    mdlm_error err = {0};
    const size_t bytes = (size_t)256 << 20;
    const int64_t before = md_peak_rss();
    unsigned char *block = md_alloc(bytes - 5, 1, &err); /* ends inside a page */
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq((uintptr_t)block % MD_ALIGNMENT, 0);
    for (size_t i = 0; i < 9000; i++) {
        ck_assert(block[i] == 0 && block[bytes / 2 + i] == 0 && block[bytes - 6 - i] == 0);
    }
    block[bytes / 2] = 1;
    ck_assert_int_lt(md_peak_rss() - before, (int64_t)bytes / 2);
    md_free(block);
}
END_TEST

START_TEST(an_impossible_allocation_fails_with_an_error) {
    mdlm_error err = {0};
    ck_assert_ptr_null(md_alloc(SIZE_MAX / 2, 4, &err));
    ck_assert_int_eq(err.status, MDLM_RUNTIME);
    ck_assert_ptr_nonnull(strstr(err.message, "out of memory"));
    ck_assert_ptr_null(md_alloc(SIZE_MAX, 1, NULL));
    char *old = md_strdup("kept", &err);
    ck_assert_ptr_null(md_realloc(old, SIZE_MAX, 16, &err));
    ck_assert_str_eq(old, "kept");
    ck_assert_ptr_null(md_strndup("x", SIZE_MAX, &err));
    md_free(old);
}
END_TEST

START_TEST(a_grown_array_keeps_its_items) {
    mdlm_error err = {0};
    int *items = NULL;
    for (size_t n = 1; n <= 4096; n *= 4) {
        items = md_realloc(items, n, sizeof *items, &err);
        ck_assert_ptr_nonnull(items);
        for (size_t i = n / 4; i < n; i++) items[i] = (int)i;
    }
    for (int i = 0; i < 4096; i++) ck_assert_int_eq(items[i], i);
    items = md_realloc(items, 0, sizeof *items, &err);
    ck_assert_ptr_nonnull(items);
    md_free(items);
}
END_TEST

START_TEST(a_copied_text_has_the_bytes_asked_for) {
    mdlm_error err = {0};
    char *copy = md_strndup("a\0bc", 3, &err);
    ck_assert_mem_eq(copy, "a\0b", 4);
    md_free(copy);
    ck_assert_int_gt(md_peak_rss(), 100000);
}
END_TEST

START_TEST(arena_memory_is_aligned_and_does_not_overlap) {
    mdlm_error err = {0};
    md_arena *arena = md_arena_new(&err);
    unsigned char *places[200];
    for (size_t i = 0; i < 200; i++) {
        places[i] = md_arena_alloc(arena, 17 * i);
        ck_assert_ptr_nonnull(places[i]);
        ck_assert_uint_eq((uintptr_t)places[i] % MD_ALIGNMENT, 0);
        if (i > 0) memset(places[i], (int)i, 17 * i);
    }
    for (size_t i = 0; i < 200; i++) {
        size_t intact = 0;
        while (intact < 17 * i && places[i][intact] == i) intact++;
        ck_assert_uint_eq(intact, 17 * i);
    }
    md_arena_free(arena);
    md_arena_free(NULL);
}
END_TEST

START_TEST(arena_rewind_reuses_memory) {
    mdlm_error err = {0};
    md_arena *arena = md_arena_new(&err);
    char *kept = md_arena_printf(arena, "%s-%d", "kept", 1);
    md_arena_mark start = md_arena_save(arena);
    size_t capacity = 0;
    void *places[50];
    for (int turn = 0; turn < 5; turn++) {
        md_arena_mark mark = md_arena_save(arena);
        ck_assert_uint_eq(mark.chunk, start.chunk);
        ck_assert_uint_eq(mark.used, start.used);
        for (size_t i = 0; i < 50; i++) {
            void *place = md_arena_alloc(arena, (i * 7919) % 60000 + (i == 20) * 300000);
            ck_assert(turn == 0 || place == places[i]);
            places[i] = place;
        }
        if (turn == 0) capacity = md_arena_capacity(arena);
        ck_assert_uint_eq(md_arena_capacity(arena), capacity);
        md_arena_rewind(arena, mark);
    }
    ck_assert_uint_gt(capacity, 1000000);
    ck_assert_str_eq(kept, "kept-1");
    md_arena_free(arena);
}
END_TEST

START_TEST(an_empty_arena_can_be_rewound) {
    mdlm_error err = {0};
    md_arena *arena = md_arena_new(&err);
    md_arena_mark mark = md_arena_save(arena);
    md_arena_rewind(arena, mark);
    void *first = md_arena_alloc(arena, 10);
    md_arena_rewind(arena, mark);
    ck_assert_ptr_eq(md_arena_alloc(arena, 10), first);
    md_arena_free(arena);
}
END_TEST

START_TEST(an_arena_refuses_sizes_that_wrap) {
    mdlm_error err = {0};
    md_arena *arena = md_arena_new(&err);
    ck_assert_ptr_null(md_arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(md_arena_alloc(arena, SIZE_MAX - 100));
    ck_assert_ptr_null(md_arena_alloc(arena, SIZE_MAX / 2));
    ck_assert_ptr_nonnull(md_arena_alloc(arena, 1));
    md_arena_free(arena);
}
END_TEST

START_TEST(rewinding_forward_is_a_bug) {
    mdlm_error err = {0};
    md_arena *arena = md_arena_new(&err);
    md_arena_mark empty = md_arena_save(arena);
    md_arena_alloc(arena, 1000);
    md_arena_mark later = md_arena_save(arena);
    md_arena_rewind(arena, empty);
    md_arena_rewind(arena, later);
}
END_TEST

START_TEST(a_buffer_grows_and_stays_terminated) {
    mdlm_error err = {0};
    md_buffer b = {0};
    for (int i = 0; i < 1000; i++) {
        assert_ok(md_buffer_printf(&b, &err, "%d,", i));
        ck_assert_uint_eq(strlen(b.data), b.size);
    }
    ck_assert_uint_eq(b.size, 10 * 2 + 90 * 3 + 900 * 4);
    ck_assert_str_eq(b.data + b.size - 8, "998,999,");
    md_buffer_clear(&b);
    ck_assert_str_eq(b.data, "");
    assert_ok(md_buffer_append(&b, "a\0b", 3, &err));
    assert_ok(md_buffer_append(&b, NULL, 0, &err));
    ck_assert_uint_eq(b.size, 3);
    ck_assert_mem_eq(b.data, "a\0b", 4);
    md_buffer_release(&b);
    ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(a_taken_buffer_belongs_to_the_caller) {
    mdlm_error err = {0};
    md_buffer b = {0};
    assert_ok(md_buffer_text(&b, "", &err));
    ck_assert_str_eq(b.data, "");
    assert_ok(md_buffer_text(&b, "mine", &err));
    char *taken = md_buffer_take(&b);
    ck_assert_ptr_null(b.data);
    ck_assert_uint_eq(b.size, 0);
    ck_assert_str_eq(taken, "mine");
    md_free(taken);
}
END_TEST

START_TEST(a_buffer_survives_an_impossible_append) {
    mdlm_error err = {0};
    md_buffer b = {0};
    assert_ok(md_buffer_text(&b, "kept", &err));
    assert_fails(md_buffer_append(&b, "x", SIZE_MAX - 2, &err), MDLM_RUNTIME, "out of memory");
    assert_fails(md_buffer_append(&b, "x", SIZE_MAX / 2 + 9, &err), MDLM_RUNTIME, "out of memory");
    ck_assert_str_eq(b.data, "kept");
    md_buffer_release(&b);
}
END_TEST

int main(void) {
    Suite *s = suite_create("memory");
    suite_case(s, an_error_is_one_line_without_control_characters);
    suite_case(s, an_error_may_quote_the_error_that_it_replaces);
    suite_case(s, a_system_error_is_named_in_lower_case);
    suite_case(s, a_long_message_keeps_its_reason_and_whole_characters);
    suite_case(s, try_returns_the_first_failure);
    suite_case(s, size_arithmetic_refuses_to_wrap);
    suite_case(s, an_allocation_is_zeroed_and_aligned);
    suite_case(s, a_block_of_large_pages_is_zeroed_and_whole);
    suite_case(s, available_memory_is_bounded_by_the_address_space);
    suite_case(s, a_large_block_takes_memory_only_where_it_is_touched);
    suite_case(s, an_impossible_allocation_fails_with_an_error);
    suite_case(s, a_grown_array_keeps_its_items);
    suite_case(s, a_copied_text_has_the_bytes_asked_for);
    suite_case(s, arena_memory_is_aligned_and_does_not_overlap);
    suite_case(s, arena_rewind_reuses_memory);
    suite_case(s, an_empty_arena_can_be_rewound);
    suite_case(s, an_arena_refuses_sizes_that_wrap);
    suite_case(s, a_buffer_grows_and_stays_terminated);
    suite_case(s, a_taken_buffer_belongs_to_the_caller);
    suite_case(s, a_buffer_survives_an_impossible_append);
    TCase *bugs = tcase_create("bugs");
    tcase_add_test_raise_signal(bugs, rewinding_forward_is_a_bug, SIGABRT);
    suite_add_tcase(s, bugs);
    return suite_run(s);
}
