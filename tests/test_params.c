/* tests/test_params.c: the parameter slab (tensor/params.h). */
#include <stdio.h>
#include <string.h>

#include "tensor/params.h"
#include "tests/suite.h"

static mdlm_error err;

static md_tensor *add(md_params *params, const char *name, int64_t rows, int64_t cols) {
    md_tensor *t = md_params_add(params, name, 2, (int64_t[]){rows, cols}, MD_PARAM_DECAY, &err);
    ck_assert_msg(t != NULL, "%s", err.message);
    return t;
}

/* q [4, 3], k [2, 3], v [2, 3] and a gain [3]. */
static md_params *attention_params(void) {
    md_params *params = md_params_new(&err);
    ck_assert_ptr_nonnull(params);
    add(params, "q", 4, 3);
    add(params, "k", 2, 3);
    add(params, "v", 2, 3);
    ck_assert_ptr_nonnull(md_params_add(params, "gain", 1, (int64_t[]){3}, 0, &err));
    return params;
}

START_TEST(parameters_lie_in_the_order_of_adding_without_gaps) {
    md_params *params = attention_params();
    assert_ok(md_params_seal(params, true, &err));
    ck_assert_int_eq(md_params_count(params), 4);
    ck_assert_int_eq(md_params_size(params), 12 + 6 + 6 + 3);
    const int64_t offsets[] = {0, 12, 18, 24};
    for (int i = 0; i < 4; i++) {
        md_tensor *t = md_params_tensor(params, i);
        ck_assert_ptr_eq(t->data, md_params_values(params) + offsets[i]);
        ck_assert_ptr_eq(t->grad, md_params_grads(params) + offsets[i]);
        ck_assert(t->is_param && t->needs_grad);
    }
    md_params_free(params);
}
END_TEST

START_TEST(a_parameter_keeps_its_name_shape_and_decay) {
    md_params *params = attention_params();
    ck_assert_str_eq(md_params_name(params, 3), "gain");
    const md_tensor *gain = md_params_tensor(params, 3), *q = md_params_tensor(params, 0);
    ck_assert_int_eq(gain->rank, 1);
    ck_assert_int_eq(gain->dim[0], 3);
    for (int i = 1; i < MD_MAX_RANK; i++) ck_assert_int_eq(gain->dim[i], 1);
    ck_assert_int_eq(q->rank, 2);
    ck_assert_int_eq(q->dim[0], 4);
    ck_assert_int_eq(q->dim[1], 3);
    ck_assert_int_eq(q->dim[2], 1);
    ck_assert_uint_eq(md_params_flags(params, 0), MD_PARAM_DECAY);
    ck_assert_uint_eq(md_params_flags(params, 3), 0);
    ck_assert_int_eq(md_params_find(params, "v"), 2);
    ck_assert_int_eq(md_params_find(params, "vv"), -1);
    md_params_free(params);
}
END_TEST

START_TEST(sealed_memory_is_zero) {
    md_params *params = attention_params();
    assert_ok(md_params_seal(params, true, &err));
    for (int64_t i = 0; i < md_params_size(params); i++) {
        ck_assert(md_params_values(params)[i] == 0 && md_params_grads(params)[i] == 0);
    }
    md_params_free(params);
}
END_TEST

START_TEST(tensors_and_names_stay_where_they_are_while_others_are_added) {
    md_params *params = md_params_new(&err);
    char name[] = "first";
    md_tensor *first = add(params, name, 2, 5);
    name[0] = 'F';
    for (int i = 0; i < 3000; i++) {
        char other[32];
        snprintf(other, sizeof other, "blocks.%d.weight", i);
        add(params, other, 1, 2);
    }
    assert_ok(md_params_seal(params, true, &err));
    ck_assert_ptr_eq(md_params_tensor(params, 0), first);
    ck_assert_ptr_eq(first->data, md_params_values(params));
    ck_assert_str_eq(md_params_name(params, 0), "first");
    ck_assert_int_eq(md_params_find(params, "blocks.2999.weight"), 3000);
    ck_assert_int_eq(md_params_size(params), 10 + 3000 * 2);
    md_params_free(params);
}
END_TEST

START_TEST(a_span_over_adjacent_matrices_shares_their_memory) {
    md_params *params = attention_params();
    md_tensor *before = md_params_span(params, 0, 3, &err);
    assert_ok(md_params_seal(params, true, &err));
    md_tensor *after = md_params_span(params, 1, 2, &err);
    md_tensor *k = md_params_tensor(params, 1);
    ck_assert_int_eq(before->rank, 2);
    ck_assert_int_eq(before->dim[0], 8);
    ck_assert_int_eq(before->dim[1], 3);
    ck_assert_int_eq(after->dim[0], 4);
    ck_assert(before->is_param && before->needs_grad && after->needs_grad);
    before->data[4 * 3] = 7;
    ck_assert(k->data[0] == 7);
    after->grad[0] += 2;
    before->grad[4 * 3] += 3;
    ck_assert(k->grad[0] == 5);
    md_params_free(params);
}
END_TEST

START_TEST(freezing_reaches_parameters_and_spans) {
    md_params *params = attention_params();
    md_tensor *span = md_params_span(params, 0, 3, &err), *q = md_params_tensor(params, 0);
    assert_ok(md_params_seal(params, true, &err));
    md_params_freeze(params, true);
    ck_assert(!q->needs_grad && !span->needs_grad);
    md_params_freeze(params, false);
    ck_assert(q->needs_grad && span->needs_grad);
    md_params_free(params);
}
END_TEST

START_TEST(frozen_before_sealing_stays_frozen) {
    md_params *params = attention_params();
    md_params_freeze(params, true);
    assert_ok(md_params_seal(params, true, &err));
    ck_assert(!md_params_tensor(params, 0)->needs_grad);
    md_params_free(params);
}
END_TEST

START_TEST(without_gradients_nothing_ever_needs_one) {
    md_params *params = attention_params();
    md_tensor *span = md_params_span(params, 0, 3, &err);
    assert_ok(md_params_seal(params, false, &err));
    md_params_freeze(params, false);
    ck_assert_ptr_null(md_params_grads(params));
    ck_assert(!span->needs_grad && span->grad == NULL);
    for (int i = 0; i < md_params_count(params); i++) {
        md_tensor *t = md_params_tensor(params, i);
        ck_assert(!t->needs_grad && t->grad == NULL && t->data != NULL);
    }
    md_params_free(params);
}
END_TEST

START_TEST(vectors_alone_have_values_where_matrices_are_left_out) {
    md_params *params = md_params_new(&err);
    md_tensor *w = md_params_add(params, "w", 2, (int64_t[]){2, 3}, 0, &err);
    md_tensor *a = md_params_add(params, "a", 1, (int64_t[]){3}, 0, &err);
    md_tensor *v = md_params_add(params, "v", 2, (int64_t[]){4, 3}, 0, &err);
    md_tensor *b = md_params_add(params, "b", 1, (int64_t[]){2}, 0, &err);
    md_tensor *c = md_params_add(params, "c", 1, (int64_t[]){5}, 0, &err);
    md_tensor *both = md_params_span(params, 3, 2, &err);
    assert_ok(md_params_seal_vectors(params, &err));
    md_params_freeze(params, false); /* changes nothing */
    ck_assert(!w->data && !v->data && !a->needs_grad && !md_params_values(params));
    ck_assert(a->data && b->data == a->data + 3 && c->data == b->data + 2);
    ck_assert(both->rank == 1 && both->dim[0] == 7 && both->data == b->data);
    ck_assert_int_eq(md_params_size(params), 6 + 3 + 12 + 7);
    md_params_free(params);
}
END_TEST

START_TEST(a_whole_is_the_first_span_that_begins_with_a_parameter) {
    md_params *params = md_params_new(&err);
    for (int i = 0; i < 4; i++)
        md_params_add(params, (char[]){(char)('a' + i), 0}, 2, (int64_t[]){2, 3}, 0, &err);
    const md_tensor *span = md_params_span(params, 1, 2, &err);
    static const int counts[] = {1, 2, 1, 1};
    for (int i = 0; i < 4; i++) {
        int count = 0;
        const md_tensor *t = md_params_whole(params, i, &count);
        ck_assert_ptr_eq(t, i == 1 ? span : md_params_tensor(params, i));
        ck_assert_int_eq(count, counts[i]);
    }
    md_params_free(params);
}
END_TEST

START_TEST(sizes_that_wrap_are_refused) {
    md_params *params = md_params_new(&err);
    const int64_t huge = INT64_C(1) << 40;
    const int64_t cases[][2] = {{huge, huge}, {INT64_MAX, 1}, {INT64_MAX, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err = (mdlm_error){0};
        ck_assert_ptr_null(md_params_add(params, "w", 2, cases[i], MD_PARAM_DECAY, &err));
        ck_assert_int_eq(err.status, MDLM_RUNTIME);
        ck_assert_ptr_nonnull(strstr(err.message, "'w' makes the model too large"));
    }
    ck_assert_int_eq(md_params_count(params), 0);
    md_params_free(params);
}
END_TEST

START_TEST(a_sum_of_sizes_that_wraps_is_refused) {
    md_params *params = md_params_new(&err);
    const int64_t rows = PTRDIFF_MAX / (int64_t)sizeof(md_real) - 8;
    add(params, "a", rows, 1);
    ck_assert_ptr_null(md_params_add(params, "b", 1, (int64_t[]){16}, 0, &err));
    ck_assert_int_eq(err.status, MDLM_RUNTIME);
    ck_assert_int_eq(md_params_size(params), rows);
    md_params_free(params);
}
END_TEST

START_TEST(a_slab_without_memory_is_an_error_and_not_an_abort) {
    md_params *params = md_params_new(&err);
    /* Fits the address space, but not with the allocator's alignment: refused before the system
     * (or a sanitizer, which would abort) is asked. */
    add(params, "a", PTRDIFF_MAX / (int64_t)sizeof(md_real) - 1, 1);
    assert_fails(md_params_seal(params, true, &err), MDLM_RUNTIME, "memory");
    ck_assert_ptr_null(md_params_values(params));
    md_params_free(params);
}
END_TEST

START_TEST(dimensions_below_one_are_refused) {
    md_params *params = md_params_new(&err);
    const int64_t cases[][2] = {{0, 4}, {4, 0}, {4, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err = (mdlm_error){0};
        ck_assert_ptr_null(md_params_add(params, "w", 2, cases[i], MD_PARAM_DECAY, &err));
        ck_assert_int_eq(err.status, MDLM_USAGE);
        ck_assert_ptr_nonnull(strstr(err.message, "'w' must be at least 1"));
    }
    md_params_free(params);
}
END_TEST

START_TEST(freeing_nothing_or_something_unsealed_is_fine) {
    md_params_free(NULL);
    md_params_free(attention_params());
}
END_TEST

int main(void) {
    Suite *s = suite_create("params");
    suite_case(s, parameters_lie_in_the_order_of_adding_without_gaps);
    suite_case(s, a_parameter_keeps_its_name_shape_and_decay);
    suite_case(s, sealed_memory_is_zero);
    suite_case(s, tensors_and_names_stay_where_they_are_while_others_are_added);
    suite_case(s, a_span_over_adjacent_matrices_shares_their_memory);
    suite_case(s, freezing_reaches_parameters_and_spans);
    suite_case(s, frozen_before_sealing_stays_frozen);
    suite_case(s, without_gradients_nothing_ever_needs_one);
    suite_case(s, vectors_alone_have_values_where_matrices_are_left_out);
    suite_case(s, a_whole_is_the_first_span_that_begins_with_a_parameter);
    suite_case(s, sizes_that_wrap_are_refused);
    suite_case(s, a_sum_of_sizes_that_wraps_is_refused);
    suite_case(s, a_slab_without_memory_is_an_error_and_not_an_abort);
    suite_case(s, dimensions_below_one_are_refused);
    suite_case(s, freeing_nothing_or_something_unsealed_is_fine);
    return suite_run(s);
}
