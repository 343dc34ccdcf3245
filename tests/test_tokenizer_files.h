/* tests/test_tokenizer_files.h: folders of tokenizers, made and changed by tests. */
#ifndef TESTS_TEST_TOKENIZER_FILES_H
#define TESTS_TEST_TOKENIZER_FILES_H

#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tests/test_tokenizer.h"

enum { MEGABYTE = 1 << 20 };

/* A folder with a small bpe tokenizer: "lo" 256, "low" 257, " low" 258, ..., mask 265. */
static inline char *bpe_folder(void) {
    mdlm_error err = {0};
    char *dir = suite_tmp_dir();
    md_tokenizer *tok = NULL;
    md_bpe_options opt = {.vocab_size = 400};
    assert_ok(md_tokenizer_train_bpe(TEXTS("low low low lower newest newest"), &opt, &tok, &err));
    ck_assert_int_eq(md_tokenizer_mask(tok), 265);
    assert_ok(md_tokenizer_save(tok, dir, 128, &err));
    md_tokenizer_free(tok);
    return dir;
}

static inline char *chars_folder(void) {
    mdlm_error err = {0};
    char *dir = suite_tmp_dir();
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_train_chars(TEXTS("low \u00e9"), &tok, &err));
    assert_ok(md_tokenizer_save(tok, dir, 128, &err));
    md_tokenizer_free(tok);
    return dir;
}

static inline cJSON *read_json(const char *dir, const char *name) {
    mdlm_error err = {0};
    cJSON *root = NULL;
    char *path = md_path_join(dir, name, &err);
    assert_ok(md_json_load(path, MEGABYTE, &root, &err));
    md_free(path);
    return root;
}

static inline void write_json(const char *dir, const char *name, cJSON *root) {
    mdlm_error err = {0};
    char *path = md_path_join(dir, name, &err);
    assert_ok(md_json_save(path, root, &err));
    md_free(path);
    cJSON_Delete(root);
}

static inline void write_text(const char *dir, const char *name, const char *text, size_t size) {
    mdlm_error err = {0};
    char *path = md_path_join(dir, name, &err);
    assert_ok(md_file_write(path, text, size, &err));
    md_free(path);
}

/* Puts JSON text in the place of a member; `path` is "model.vocab" or so. "" removes it. */
static inline void put(cJSON *root, const char *path, const char *json) {
    char key[64];
    const char *dot;
    cJSON *at = root;
    for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        at = cJSON_GetObjectItemCaseSensitive(at, key);
        ck_assert_ptr_nonnull(at);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(at, path);
    if (json[0] == 0) return;
    cJSON *value = cJSON_Parse(json);
    ck_assert_msg(value != NULL, "bad JSON in the test: %s", json);
    ck_assert(cJSON_AddItemToObject(at, path, value));
}

static inline void check_refused(const char *dir, const char *message) {
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    assert_fails(md_tokenizer_load(dir, &tok, &err), MDLM_INPUT, message);
    ck_assert_ptr_null(tok);
}

typedef struct change {
    const char *path, *json, *message;
} change;

/* Each change alone makes the file of `folder` refused. */
static inline void check_changes(char *(*folder)(void), const change *changes, size_t count) {
    char *dir = folder();
    for (size_t i = 0; i < count; i++) {
        cJSON *root = read_json(dir, "tokenizer.json");
        cJSON *kept = cJSON_Duplicate(root, true);
        put(root, changes[i].path, changes[i].json);
        write_json(dir, "tokenizer.json", root);
        check_refused(dir, changes[i].message);
        write_json(dir, "tokenizer.json", kept);
    }
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_load(dir, &tok, &err)); /* unchanged it is fine */
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
}

#define CHECK_CHANGES(folder, changes) \
    check_changes(folder, changes, sizeof(changes) / sizeof *(changes))

/* Gives the three special tokens other names, and nothing that says which is which. */
static inline char *renamed_folder(void) {
    char *dir = bpe_folder();
    cJSON *root = read_json(dir, "tokenizer.json");
    put(root, "model.vocab.<|mask|>", "");
    put(root, "model.vocab.<|endoftext|>", "");
    put(root, "model.vocab.<|padding|>", "");
    put(root, "added_tokens",
        "[{\"id\":265,\"content\":\"[A]\",\"special\":true},"
        "{\"id\":266,\"content\":\"[B]\",\"special\":true},"
        "{\"id\":267,\"content\":\"[C]\",\"special\":true}]");
    write_json(dir, "tokenizer.json", root);
    return dir;
}

#endif
