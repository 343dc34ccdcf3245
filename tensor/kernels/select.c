/* tensor/kernels/select.c: which kernels run here. */
#include <string.h>

#include "tensor/kernels.h"

#ifdef MD_REAL_DOUBLE
static bool runs_here(const char *name) {
    return !strcmp(name, "ref");
}

static void override_bf16(md_kernels *table) {
    md_kernels_ref_bf16(table);
}

static void override_q8(md_kernels *table) {
    md_kernels_ref_q8(table);
}

static void override(md_kernels *table, const char *name) {
    (void)table, (void)name;
}
#else
static bool runs_here(const char *name) {
#ifdef __x86_64__
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx2")) return avx2;
    if (!strcmp(name, "avx512"))
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return !strcmp(name, "ref") || !strcmp(name, "openblas");
}

/* The bf16 products that go with a set. */
static void override_bf16(md_kernels *table) {
    md_kernels_ref_bf16(table);
#ifdef __x86_64__
    if (!strcmp(table->name, "avx2")) md_kernels_avx2_bf16(table);
    if (!strcmp(table->name, "avx512")) {
        md_kernels_avx512_bf16(table);
        if (__builtin_cpu_supports("avx512bf16")) md_kernels_avx512_bf16_dot(table);
    }
#endif
}

/* Likewise of 8-bit numbers, over the table of f32. Products that are not packed are attention's:
 * the bf16 dot product rounds less than these do. */
static void override_q8(md_kernels *table) {
    md_kernels_ref_q8(table);
#ifdef __x86_64__
    if (!strcmp(table->name, "avx2")) md_kernels_avx2_q8(table);
    if (!strcmp(table->name, "avx512")) {
        if (__builtin_cpu_supports("avx512bf16")) md_kernels_avx512_bf16_dot(table);
        md_kernels_avx512_q8(table);
        if (__builtin_cpu_supports("avx512vnni")) md_kernels_avx512_vnni_q8(table);
    }
#endif
}

static void override(md_kernels *table, const char *name) {
    if (!strcmp(name, "openblas")) md_kernels_openblas(table);
#ifdef __x86_64__
    if (!strcmp(name, "avx2")) md_kernels_avx2(table);
    if (!strcmp(name, "avx512")) md_kernels_avx512(table);
#endif
}
#endif

const char *const md_kernels_names[] = {"ref", "openblas", "avx2", "avx512", NULL};

mdlm_status md_kernels_init(md_kernels *table, const char *name, mdlm_error *err) {
    md_kernels t = md_kernels_ref;
    for (const char *const *n = md_kernels_names; *n; n++) {
        if (runs_here(*n)) override(&t, *n);
        if (name && !strcmp(name, *n)) break;
    }
    if (name && strcmp(name, t.name)) {
        return md_fail(err, MDLM_USAGE,
                       "there are no kernels '%s' for this processor: expected ref, openblas or, "
                       "where they run, avx2, avx512",
                       name);
    }
    t.products = t.name;
    *table = t;
    return MDLM_OK;
}

const char *md_kernels_fast_dtype(const md_kernels *table) {
    md_kernels trial = *table;
    override_bf16(&trial);
    return strcmp(trial.products, "avx512_bf16") ? "f32" : "bf16";
}

mdlm_status md_kernels_set_dtype(md_kernels *table, const char *dtype, mdlm_error *err) {
    static const struct {
        const char *name;
        md_dtype dtype;
        void (*override)(md_kernels *table);
    } all[] = {
        {"f32", MD_F32, NULL}, {"bf16", MD_BF16, override_bf16}, {"q8_0", MD_Q8_0, override_q8}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(dtype, all[i].name) != 0) continue;
        MD_TRY(md_kernels_init(table, table->name, err));
        if (all[i].override) all[i].override(table);
        table->dtype = all[i].dtype;
        return MDLM_OK;
    }
    return md_fail(err, MDLM_USAGE, "unknown dtype '%s': expected f32, bf16 or q8_0", dtype);
}
