/* tokenizer/regex_set.c: sets of characters while they are read; see regex_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tokenizer/regex_internal.h"
#include "tokenizer/table.h"

enum { LAST = 0x10ffff, FIRST_SURROGATE = 0xd800, LAST_SURROGATE = 0xdfff };

mdlm_status md_re_set_add(md_re_set *set, uint32_t low, uint32_t high, mdlm_error *err) {
    void *grown = md_grow(set->ranges, &set->capacity, set->count + 1, sizeof *set->ranges, err);
    if (!grown) return MDLM_RUNTIME;
    set->ranges = grown;
    set->ranges[set->count++] = (md_re_range){low, high};
    return MDLM_OK;
}

void md_re_set_release(md_re_set *set) {
    md_free(set->ranges);
    *set = (md_re_set){0};
}

/* Ranges in pairs of characters. */
static const char *named_ranges(char letter) {
    switch (letter) {
    case 'd': return "09";
    case 'w': return "09AZ__az";
    default: return "\t\r  "; /* \t \n \v \f \r */
    }
}

mdlm_status md_re_set_add_named(md_re_set *set, char letter, mdlm_error *err) {
    bool negate = strchr("DWS", letter) != NULL;
    md_re_set named = {0};
    mdlm_status status = MDLM_OK;
    for (const char *c = named_ranges((char)(letter | 0x20)); *c && status == MDLM_OK; c += 2)
        status = md_re_set_add(&named, (uint8_t)c[0], (uint8_t)c[1], err);
    if (status == MDLM_OK) status = md_re_set_finish(&named, negate, err);
    for (size_t i = 0; i < named.count && status == MDLM_OK; i++)
        status = md_re_set_add(set, named.ranges[i].low, named.ranges[i].high, err);
    md_re_set_release(&named);
    return status;
}

static int by_low(const void *a, const void *b) {
    uint32_t x = ((const md_re_range *)a)->low, y = ((const md_re_range *)b)->low;
    return (x > y) - (x < y);
}

static void join(md_re_set *set) {
    size_t kept = 0;
    if (set->count > 1) qsort(set->ranges, set->count, sizeof *set->ranges, by_low);
    for (size_t i = 0; i < set->count; i++) {
        md_re_range r = set->ranges[i], *last = kept > 0 ? &set->ranges[kept - 1] : NULL;
        if (!last || r.low > last->high + 1) {
            set->ranges[kept++] = r;
        } else if (r.high > last->high) {
            last->high = r.high;
        }
    }
    set->count = kept;
}

/* Between and around ranges that are joined. */
static mdlm_status complement(md_re_set *set, mdlm_error *err) {
    md_re_set rest = {0};
    uint32_t from = 0;
    mdlm_status status = MDLM_OK;
    for (size_t i = 0; i < set->count && status == MDLM_OK; i++) {
        md_re_range r = set->ranges[i];
        if (r.low > from) status = md_re_set_add(&rest, from, r.low - 1, err);
        from = r.high + 1;
    }
    if (from <= LAST && status == MDLM_OK) status = md_re_set_add(&rest, from, LAST, err);
    md_free(set->ranges);
    set->ranges = rest.ranges;
    set->count = rest.count;
    set->capacity = rest.capacity;
    return status;
}

mdlm_status md_re_set_finish(md_re_set *set, bool negate, mdlm_error *err) {
    join(set);
    if (negate) MD_TRY(complement(set, err));
    /* Not in the set: neither in its complement nor among surrogates. */
    MD_TRY(complement(set, err));
    MD_TRY(md_re_set_add(set, FIRST_SURROGATE, LAST_SURROGATE, err));
    join(set);
    return complement(set, err);
}
