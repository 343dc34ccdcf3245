/* tests/test_tokenizer_spaces.c: vocabularies of SentencePiece, and spaces put before a text.
 *
 * data/golden-spaces has a small tokenizer.json like LLaMA 2's, and for changes of it ("+tokens"
 * and "+merges" add, the first of the merges before all others) what Hugging Face's library
 * (tokenizers 0.23) makes of texts and of the ids again.
 */
#include "tests/test_tokenizer_files.h"
#include "tokenizer/arrays.h"
#include "tokenizer/chat.h"
#include "tokenizer/spaces.h"

static mdlm_error err;

static cJSON *golden(const char *name) {
    char path[256];
    cJSON *root = NULL;
    snprintf(path, sizeof path, TEST_DATA "/golden-spaces/%s.json", name);
    assert_ok(md_json_load(path, MEGABYTE, &root, &err));
    return root;
}

static char *folder_of(cJSON *root) {
    static const char config[] = "{\"eos_token\": \"</s>\"}";
    char *dir = suite_tmp_dir();
    write_json(dir, "tokenizer.json", root);
    write_text(dir, "tokenizer_config.json", config, sizeof config - 1);
    return dir;
}

static char *spaces_folder(void) {
    cJSON *root = golden("tokenizer");
    cJSON *mask = cJSON_Parse("{\"id\": 356, \"content\": \"<|mask|>\", \"special\": true}");
    cJSON_AddItemToArray(cJSON_GetObjectItem(root, "added_tokens"), mask);
    return folder_of(root);
}

static void add_tokens(cJSON *root, const cJSON *tokens) {
    cJSON *vocab = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "model"), "vocab");
    const cJSON *token;
    cJSON_ArrayForEach(token, tokens)
        cJSON_AddNumberToObject(vocab, token->valuestring, cJSON_GetArraySize(vocab));
}

static void add_merges(cJSON *root, const cJSON *merges) {
    cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "model"), "merges");
    const cJSON *merge;
    cJSON_ArrayForEach(merge, merges) {
        cJSON *item = cJSON_CreateString(merge->valuestring);
        if (merge->prev->next) /* not the first */
            cJSON_AddItemToArray(list, item);
        else
            cJSON_InsertItemInArray(list, 0, item);
    }
}

static cJSON *changed(const cJSON *changes) {
    cJSON *root = golden("tokenizer");
    const cJSON *item;
    cJSON_ArrayForEach(item, changes) {
        if (strcmp(item->string, "+tokens") == 0) {
            add_tokens(root, item);
        } else if (strcmp(item->string, "+merges") == 0) {
            add_merges(root, item);
        } else {
            char *json = cJSON_PrintUnformatted(item);
            put(root, item->string, json);
            cJSON_free(json);
        }
    }
    return root;
}

/* With the first id beyond the vocabulary as the mask, as SMDM's models have it. */
static md_tokenizer *load(const char *dir) {
    md_tokenizer *tok = NULL;
    md_token_roles roles = {.end_of_text = -1, .padding = -1};
    cJSON *root = read_json(dir, "tokenizer.json");
    const cJSON *added = cJSON_GetObjectItem(root, "added_tokens"), *token;
    roles.mask =
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "model"), "vocab"));
    cJSON_ArrayForEach(token, added) {
        if (cJSON_GetObjectItem(token, "id")->valueint >= roles.mask) roles.mask++;
    }
    cJSON_Delete(root);
    assert_ok(md_tokenizer_load_with(dir, &roles, &tok, &err));
    return tok;
}

static void check_case(const md_tokenizer *tok, const char *name, const cJSON *item) {
    const char *text = cJSON_GetObjectItem(item, "text")->valuestring;
    const char *decoded = cJSON_GetObjectItem(item, "decoded")->valuestring;
    const cJSON *expected = cJSON_GetObjectItem(item, "ids"), *id;
    md_ids ids = {0};
    md_buffer back = {0};
    size_t i = 0;
    assert_ok(md_tokenizer_encode(tok, text, strlen(text), &ids, &err));
    ck_assert_msg((int)ids.count == cJSON_GetArraySize(expected), "%s: '%s' has %zu ids", name,
                  text, ids.count);
    cJSON_ArrayForEach(id, expected) {
        ck_assert_msg(ids.data[i] == id->valueint, "%s: '%s', id %zu is %d, expected %d", name,
                      text, i, ids.data[i], id->valueint);
        i++;
    }
    assert_ok(md_buffer_text(&back, "", &err));
    assert_ok(md_tokenizer_decode(tok, ids.data, ids.count, &back, &err));
    ck_assert_msg(strcmp(back.data, decoded) == 0, "%s: '%s' came back as '%s', expected '%s'",
                  name, text, back.data, decoded);
    md_buffer_release(&back);
    md_ids_release(&ids);
}

static void check_variant(const char *dir, const cJSON *variant) {
    const char *name = cJSON_GetObjectItem(variant, "name")->valuestring;
    const cJSON *item;
    md_tokenizer *tok = load(dir);
    ck_assert_str_eq(md_tokenizer_kind_name(tok), "bpe");
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(variant, "cases")) check_case(tok, name, item);
    md_tokenizer_free(tok);
}

START_TEST(encoding_and_decoding_are_the_reference_librarys) {
    cJSON *variants = golden("cases");
    const cJSON *variant;
    ck_assert_int_eq(cJSON_GetArraySize(variants), 9);
    cJSON_ArrayForEach(variant, variants) {
        char *dir = folder_of(changed(cJSON_GetObjectItem(variant, "changes")));
        char *again = suite_tmp_dir();
        check_variant(dir, variant);
        md_tokenizer *tok = load(dir);
        assert_ok(md_tokenizer_save(tok, again, 8, &err));
        md_tokenizer_free(tok);
        check_variant(again, variant);
        suite_tmp_remove(again);
        suite_tmp_remove(dir);
    }
    cJSON_Delete(variants);
}
END_TEST

/* But for U+2581, which is a space to them; these bytes have no 0xe2. */
START_TEST(random_bytes_come_back) {
    char *dir = spaces_folder();
    md_tokenizer *tok = load(dir);
    for (size_t round = 0; round < 300; round++) {
        char text[40];
        md_ids ids = {0};
        md_buffer back = {0};
        size_t size = (size_t)draw(5, round, sizeof text);
        for (size_t i = 0; i < size; i++) {
            int byte = draw(6 + round, i, 3) ? draw(7 + round, i, 0xe2) : ' ';
            text[i] = (char)byte;
        }
        assert_ok(md_buffer_text(&back, "", &err));
        assert_ok(md_tokenizer_encode(tok, text, size, &ids, &err));
        assert_ok(md_tokenizer_decode(tok, ids.data, ids.count, &back, &err));
        ck_assert_uint_eq(back.size, size);
        ck_assert_mem_eq(back.data, text, size);
        md_buffer_release(&back);
        md_ids_release(&ids);
    }
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(text_that_goes_on_gets_no_space_and_loses_none) {
    char *dir = spaces_folder();
    md_tokenizer *tok = load(dir);
    md_ids ids = {0};
    md_buffer back = {0};
    assert_ok(md_tokenizer_encode(tok, "the", 3, &ids, &err));
    assert_ok(md_tokenizer_encode_more(tok, " cat", 4, &ids, &err));
    ck_assert_uint_eq(ids.count, 2); /* the same as of "the cat" */
    assert_ok(md_tokenizer_decode(tok, ids.data, 1, &back, &err));
    assert_ok(md_tokenizer_decode_more(tok, ids.data + 1, 1, &back, &err));
    ck_assert_str_eq(back.data, "the cat");
    assert_ok(md_tokenizer_decode(tok, ids.data + 1, 1, &back, &err));
    ck_assert_str_eq(back.data, "the catcat"); /* as of a new text */
    md_buffer_release(&back);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
}
END_TEST

/* The ids of "the" behind a special token of a template. */
static size_t ids_in_chat(const char *pre_tokenizer) {
    char *dir = spaces_folder();
    cJSON *root = read_json(dir, "tokenizer.json");
    if (pre_tokenizer) {
        put(root, "normalizer", "null");
        put(root, "pre_tokenizer", pre_tokenizer);
    }
    write_json(dir, "tokenizer.json", root);
    md_tokenizer *tok = load(dir);
    md_chat *chat = NULL;
    md_ids ids = {0};
    const mdlm_message turn = {.role = "user", .text = "the", .text_bytes = 3};
    assert_ok(md_tokenizer_set_template(tok, "{{ '</s>' + messages[0]['content'] }}", &err));
    assert_ok(md_chat_new(tok, &chat, &err));
    assert_ok(md_chat_encode(chat, &turn, 1, false, &ids, &err));
    ck_assert_int_eq(ids.data[0], 2);
    size_t count = ids.count - 1;
    md_ids_release(&ids);
    md_chat_free(chat);
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
    return count;
}

#define FIRST(split) \
    "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"first\"," \
    "\"split\":" split "}"

/* " the" is a token and "the" is not. */
START_TEST(behind_a_special_token_a_space_is_put_where_the_file_says_so) {
    ck_assert_uint_eq(ids_in_chat(NULL), 1);
    ck_assert_uint_eq(ids_in_chat(FIRST("true")), 2);
}
END_TEST

START_TEST(byte_level_may_put_a_space_before_each_part) {
    static const struct {
        const char *text;
        size_t count;
        int32_t ids[4];
    } cases[] = {{"low", 1, {258}}, {" low", 1, {258}}, {"low<t>low", 3, {258, 268, 258}}};
    char *dir = bpe_folder(), *again = suite_tmp_dir();
    cJSON *root = read_json(dir, "tokenizer.json");
    put(root, "pre_tokenizer.add_prefix_space", "true");
    cJSON *added = cJSON_Parse("{\"id\": 268, \"content\": \"<t>\", \"special\": false}");
    cJSON_AddItemToArray(cJSON_GetObjectItem(root, "added_tokens"), added);
    write_json(dir, "tokenizer.json", root);
    for (int round = 0; round < 2; round++) {
        md_tokenizer *tok = NULL;
        assert_ok(md_tokenizer_load(round ? again : dir, &tok, &err));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            md_ids ids = {0};
            const char *text = cases[i].text;
            assert_ok(md_tokenizer_encode(tok, text, strlen(text), &ids, &err));
            ck_assert_uint_eq(ids.count, cases[i].count);
            ck_assert_mem_eq(ids.data, cases[i].ids, ids.count * sizeof *ids.data);
            md_ids_release(&ids);
        }
        if (round == 0) assert_ok(md_tokenizer_save(tok, again, 8, &err));
        md_tokenizer_free(tok);
    }
    suite_tmp_remove(again);
    suite_tmp_remove(dir);
}
END_TEST

#define METASPACE(settings) "{\"type\":\"Metaspace\"," settings "}"
#define MARKS "\"replacement\":\"\u2581\""
#define REPLACE \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"}," \
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}"

START_TEST(other_ways_with_spaces_are_refused) {
    static const change changes[] = {
        {"normalizer", "{\"type\":\"Prepend\",\"prepend\":\"\u2581\"}",
         "'Prepend' is supported only with one that replaces spaces by U+2581"},
        {"normalizer", "{\"type\":\"Prepend\",\"prepend\":\"_\"}",
         "normalizer 'Prepend' is not supported"},
        {"normalizer",
         "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" \"},\"content\":\"\u2581\"}",
         "normalizer 'Replace' is not supported"},
        {"normalizer",
         "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},"
         "{\"type\":\"Prepend\",\"prepend\":\"\u2581\"}]}",
         "normalizer 'Prepend' is not supported"},
        {"pre_tokenizer", METASPACE(MARKS), "pre_tokenizer 'Metaspace' is not supported"},
        {"pre_tokenizer", "{\"type\":\"ByteLevel\"}", "pre_tokenizer 'ByteLevel' is not supported"},
        {"model.byte_fallback", "false", "supported only with byte_fallback"},
        {"decoder", "{\"type\":\"ByteLevel\"}", "decoder 'ByteLevel' is not supported: where"},
        {"decoder",
         "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}",
         "must be the sequence Replace, ByteFallback, Fuse"},
        {"decoder",
         "{\"type\":\"Sequence\",\"decoders\":[" REPLACE
         ",{\"type\":\"Strip\",\"content\":\" \",\"start\":2,\"stop\":0}]}",
         "Strip of one space or nothing"},
    };
    static const change metaspace[] = {
        {"pre_tokenizer", METASPACE("\"replacement\":\"_\""),
         "pre_tokenizer 'Metaspace' is not supported"},
        {"pre_tokenizer", METASPACE(MARKS ",\"prepend_scheme\":\"last\""),
         "prepend_scheme 'last' is not supported"},
        {"pre_tokenizer", METASPACE(MARKS ",\"prepend_scheme\":1"),
         "prepend_scheme '(no text)' is not supported"},
    };
    CHECK_CHANGES(spaces_folder, changes);
    char *dir = spaces_folder();
    for (size_t i = 0; i < sizeof metaspace / sizeof *metaspace; i++) {
        cJSON *root = read_json(dir, "tokenizer.json");
        put(root, "normalizer", "null");
        put(root, metaspace[i].path, metaspace[i].json);
        write_json(dir, "tokenizer.json", root);
        check_refused(dir, metaspace[i].message);
    }
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(a_token_spelled_with_a_space_comes_out_of_no_text_and_survives_saving) {
    char *dir = spaces_folder(), *again = suite_tmp_dir();
    cJSON *root = read_json(dir, "tokenizer.json");
    put(root, "added_tokens",
        "[{\"id\":1,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":2,\"content\":\"</s>\",\"special\":true}]");
    put(root, "model.vocab.a b\u2581", "356");
    write_json(dir, "tokenizer.json", root);
    md_tokenizer *tok = load(dir);
    md_ids ids = {0};
    assert_ok(md_tokenizer_encode(tok, "a b ", 4, &ids, &err));
    for (size_t i = 0; i < ids.count; i++) ck_assert_int_ne(ids.data[i], 356);
    assert_ok(md_tokenizer_save(tok, again, 8, &err));
    root = read_json(again, "tokenizer.json");
    const cJSON *vocab = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "model"), "vocab");
    ck_assert_int_eq(cJSON_GetObjectItemCaseSensitive(vocab, "a b\u2581")->valueint, 356);
    cJSON_Delete(root);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
    suite_tmp_remove(again);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(vocabularies_with_marked_spaces_have_no_form_as_arrays) {
    char *dir = spaces_folder();
    md_tokenizer *tok = load(dir);
    md_tokenizer_arrays arrays = {0};
    md_arena *arena = md_arena_new(&err);
    assert_fails(md_tokenizer_to_arrays(tok, md_tokenizer_vocab_size(tok), arena, &arrays, &err),
                 MDLM_INPUT, "cannot be written as GGUF");
    md_arena_free(arena);
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
}
END_TEST

/* Half a megabyte that is one word: merging it in quadratic time would take an hour. */
START_TEST(long_words_take_linear_time) {
    static const char *const pieces[] = {"a", " ", "the ", "\xe2\x96\x81", "\xff"};
    enum { SIZE = 1 << 19 };
    char *dir = spaces_folder(), *text = md_alloc(SIZE, 1, &err);
    md_tokenizer *tok = load(dir);
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        size_t length = strlen(pieces[p]);
        md_ids ids = {0};
        for (size_t i = 0; i < SIZE; i++) text[i] = pieces[p][i % length];
        assert_ok(md_tokenizer_encode(tok, text, SIZE, &ids, &err));
        ck_assert_uint_gt(ids.count, 1000);
        md_ids_release(&ids);
    }
    md_tokenizer_free(tok);
    md_free(text);
    suite_tmp_remove(dir);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_spaces");
    suite_case(s, encoding_and_decoding_are_the_reference_librarys);
    suite_case(s, random_bytes_come_back);
    suite_case(s, text_that_goes_on_gets_no_space_and_loses_none);
    suite_case(s, behind_a_special_token_a_space_is_put_where_the_file_says_so);
    suite_case(s, byte_level_may_put_a_space_before_each_part);
    suite_case(s, other_ways_with_spaces_are_refused);
    suite_case(s, a_token_spelled_with_a_space_comes_out_of_no_text_and_survives_saving);
    suite_case(s, vocabularies_with_marked_spaces_have_no_form_as_arrays);
    suite_case(s, long_words_take_linear_time);
    return suite_run(s);
}
