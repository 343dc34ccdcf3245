/* tests/test_tokenizer_pipeline.c: what other people's tokenizer files do to text. */
#include "tests/test_tokenizer_files.h"

static void put_all(const char *dir, const char *const changes[][2], size_t count) {
    cJSON *root = read_json(dir, "tokenizer.json");
    for (size_t i = 0; i < count; i++) put(root, changes[i][0], changes[i][1]);
    write_json(dir, "tokenizer.json", root);
}

static void check_encodes(const char *dir, const char *text, const int32_t *expected,
                          size_t count) {
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    assert_ok(md_tokenizer_load(dir, &tok, &err));
    assert_ok(md_tokenizer_encode(tok, text, strlen(text), &ids, &err));
    ck_assert_uint_eq(ids.count, count);
    ck_assert_mem_eq(ids.data, expected, count * sizeof *expected);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
}

#define CHECK_ENCODES(dir, text, ...) \
    check_encodes(dir, text, (const int32_t[]){__VA_ARGS__}, \
                  sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

#define OLD_SPECIALS \
    "{\"id\":265,\"content\":\"<|mask|>\",\"special\":true}," \
    "{\"id\":266,\"content\":\"<|endoftext|>\",\"special\":true}," \
    "{\"id\":267,\"content\":\"<|padding|>\",\"special\":true}"

/* Hugging Face's library (tokenizers 0.23) cuts as these expect. */
START_TEST(added_tokens_that_are_not_special_come_out_of_text) {
    static const char *const changes[][2] = {
        {"added_tokens",
         "[" OLD_SPECIALS ",{\"id\":268,\"content\":\"<t>\",\"special\":false},"
         "{\"id\":269,\"content\":\"<t>!\",\"special\":false},"
         "{\"id\":270,\"content\":\"<w>\",\"special\":false,\"lstrip\":true,\"rstrip\":true},"
         "{\"id\":271,\"content\":\"owe\",\"special\":false,\"single_word\":true},"
         "{\"id\":272,\"content\":\" z\",\"special\":false},"
         "{\"id\":273,\"content\":\"we\",\"special\":false}]"}};
    char *dir = bpe_folder();
    put_all(dir, changes, 1);
    CHECK_ENCODES(dir, "low<t>low", 257, 268, 257);
    CHECK_ENCODES(dir, "<t>!<t>", 269, 268); /* the longest */
    CHECK_ENCODES(dir, "low \t<w>\n\u3000low", 257, 270, 257);
    CHECK_ENCODES(dir, "<w>  z", 270, 272); /* in the white space that was taken */
    CHECK_ENCODES(dir, "we", 273);          /* but not in an "owe" that is no word */
    CHECK_ENCODES(dir, "owe,owe owel\u00e9owe", 271, ',', 271, ' ', 'o', 'w', 'e', 'l', 0xc3, 0xa9,
                  'o', 'w', 'e');
    CHECK_ENCODES(dir, "<|mask|>", '<', '|', 'm', 'a', 's', 'k', '|', '>');
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(normalised_added_tokens_are_looked_for_in_normalised_text) {
    static const char *const changes[][2] = {
        {"normalizer", "{\"type\": \"NFC\"}"},
        {"added_tokens",
         "[" OLD_SPECIALS
         ",{\"id\":268,\"content\":\"e\u0301\",\"special\":false,\"normalized\":true},"
         "{\"id\":269,\"content\":\"a\u0301\",\"special\":false}]"}};
    char *dir = bpe_folder();
    put_all(dir, changes, 2);
    CHECK_ENCODES(dir, "e\u0301\u00e9", 268, 268);
    CHECK_ENCODES(dir, "a\u0301\u00e1", 269, 0xc3, 0xa1);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(pre_tokenizers_and_merge_settings_survive_saving) {
    static const char *const changes[][2] = {
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": ["
         "{\"type\": \"Split\", \"pattern\": {\"String\": \"w\"}, \"behavior\": "
         "\"MergedWithPrevious\", \"invert\": false},"
         "{\"type\": \"Digits\", \"individual_digits\": true},"
         "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}"},
        {"model.ignore_merges", "true"},
        {"model.vocab.qq", "268"}, /* which no merges give */
        {"post_processor",
         "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": "
         "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<|endoftext|>\", "
         "\"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [], "
         "\"special_tokens\": {\"<|endoftext|>\": {\"id\": \"<|endoftext|>\", \"ids\": [266], "
         "\"tokens\": [\"<|endoftext|>\"]}}}]}"},
    };
    mdlm_error err = {0};
    char *dir = bpe_folder(), *again = suite_tmp_dir();
    md_tokenizer *tok = NULL;
    put_all(dir, changes, 4);
    CHECK_ENCODES(dir, "newest low1qq", 'n', 261, 263, 258, '1', 268);
    assert_ok(md_tokenizer_load(dir, &tok, &err));
    assert_ok(md_tokenizer_save(tok, again, 8, &err));
    md_tokenizer_free(tok);
    CHECK_ENCODES(again, "newest low1qq", 'n', 261, 263, 258, '1', 268);
    cJSON *root = read_json(again, "tokenizer.json");
    ck_assert(
        cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "model"), "ignore_merges")));
    const cJSON *post = cJSON_GetObjectItem(root, "post_processor");
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(post, "single"), 0);
    const cJSON *token = cJSON_GetObjectItem(first, "SpecialToken");
    ck_assert_str_eq(cJSON_GetObjectItem(token, "id")->valuestring, "<|endoftext|>");
    cJSON_Delete(root);
    suite_tmp_remove(again);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(pipelines_with_faults_are_refused) {
    static const change changes[] = {
        {"pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": []}", "'Sequence'"},
        {"pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\"}]}",
         "pre_tokenizer 'Digits' is not supported: expected ByteLevel"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"ByteLevel\"}, {\"type\": "
         "\"ByteLevel\"}]}",
         "pre_tokenizer 'ByteLevel' is not supported"},
        {"pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\"}, 1]}",
         "neither a Regex nor a String"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"String\": \"a\"}, \"behavior\": \"Sideways\"}, 1]}",
         "behavior 'Sideways'"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"Regex\": \"(((\"}, \"behavior\": \"Isolated\"}, 1]}",
         "the "},
        {"post_processor",
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\"}}]}",
         "says no ids of 'x'"},
        {"post_processor",
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\"}}], "
         "\"special_tokens\": {\"x\": {\"ids\": [268]}}}",
         "an id of 'x' is not in the vocabulary"},
        {"post_processor",
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\"}}], "
         "\"special_tokens\": {\"x\": {\"ids\": [97]}}}",
         "adds id 97, no special token"},
        {"post_processor",
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {}}, {\"Sequence\": {}}]}",
         "is not one text and special tokens"},
    };
    CHECK_CHANGES(bpe_folder, changes);
}
END_TEST

/* The letter \u00e9 stands for a byte, but \u00e9\u4f60 is no spelling of bytes: it stands for
 * itself. */
START_TEST(merges_that_would_lose_bytes_are_refused) {
    static const char *const changes[][2] = {{"model.vocab.\u4f60", "268"},
                                             {"model.vocab.\u00e9\u4f60", "269"},
                                             {"model.merges", "[[\"\u00e9\", \"\u4f60\"]]"}};
    mdlm_error err = {0};
    char *dir = bpe_folder();
    md_tokenizer *tok = NULL;
    put_all(dir, changes, 2);
    assert_ok(md_tokenizer_load(dir, &tok, &err)); /* no text gives such a token */
    md_tokenizer_free(tok);
    put_all(dir, changes + 2, 1);
    check_refused(dir, "merge 0, '\u00e9\u4f60', has not the bytes of its parts");
    suite_tmp_remove(dir);
}
END_TEST

/* The folder's vocabulary as two files and nothing else but a class. */
static char *parts_folder(const char *config) {
    char *dir = bpe_folder();
    mdlm_error err = {0};
    md_buffer lines = {0};
    cJSON *root = read_json(dir, "tokenizer.json");
    cJSON *model = cJSON_GetObjectItem(root, "model"), *item;
    write_json(dir, "vocab.json", cJSON_DetachItemFromObject(model, "vocab"));
    assert_ok(md_buffer_text(&lines, "#version: 0.2\n", &err));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(model, "merges")) {
        assert_ok(md_buffer_printf(&lines, &err, "%s\n", item->valuestring));
    }
    write_text(dir, "merges.txt", lines.data, lines.size);
    write_text(dir, "tokenizer_config.json", config, strlen(config));
    md_buffer_release(&lines);
    cJSON_Delete(root);
    char *file = md_path_join(dir, "tokenizer.json", &err);
    ck_assert_int_eq(remove(file), 0);
    md_free(file);
    return dir;
}

START_TEST(vocab_json_and_merges_txt_are_read_by_their_class) {
    char *dir =
        parts_folder("{\"tokenizer_class\": \"GPT2Tokenizer\", \"mask_token\": \"<|mask|>\"}");
    CHECK_ENCODES(dir, " newest lowest", 264, 258, 263);
    CHECK_ENCODES(dir, "\tlow", '\t', 257);
    suite_tmp_remove(dir);
    dir = parts_folder("{\"tokenizer_class\": \"DreamTokenizer\", \"added_tokens_decoder\": "
                       "{\"265\": {\"content\": \"<|mask|>\", \"special\": true}, "
                       "\"268\": {\"content\": \"<think>\", \"special\": false}}, "
                       "\"mask_token\": \"<|mask|>\"}");
    CHECK_ENCODES(dir, "<think> newest", 268, 264);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(vocabularies_in_parts_with_faults_are_refused) {
    static const char *const faults[][2] = {
        {"{}", "of the tokenizer_class '(none)': expected GPT2Tokenizer"},
        {"{\"tokenizer_class\": \"LlamaTokenizer\"}", "'LlamaTokenizer'"},
        {"{\"tokenizer_class\": \"GPT2Tokenizer\"}", "has no mask token"},
        {"{\"tokenizer_class\": \"GPT2Tokenizer\", \"added_tokens_decoder\": {\"26x\": "
         "{\"content\": \"q\", \"special\": true}}}",
         "the id of 'q' is not an integer"},
        {"{\"tokenizer_class\": \"GPT2Tokenizer\", \"added_tokens_decoder\": {\"268\": 3}}",
         "content"},
        {"{\"tokenizer_class\": \"GPT2Tokenizer\", \"added_tokens_decoder\": [\"a\"]}",
         "'added_tokens_decoder' of tokenizer_config.json is not an object"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char *dir = parts_folder(faults[i][0]);
        check_refused(dir, faults[i][1]);
        suite_tmp_remove(dir);
    }
}
END_TEST

START_TEST(a_models_ids_have_their_roles_where_the_files_are_silent) {
    mdlm_error err = {0};
    char *dir = renamed_folder();
    md_tokenizer *tok = NULL;
    write_text(dir, "tokenizer_config.json", "{}", 2);
    md_token_roles roles = {.mask = 266, .end_of_text = 265, .padding = -1};
    assert_ok(md_tokenizer_load_with(dir, &roles, &tok, &err));
    ck_assert_int_eq(md_tokenizer_mask(tok), 266);
    ck_assert_int_eq(md_tokenizer_end_of_text(tok), 265);
    ck_assert_int_eq(md_tokenizer_padding(tok), 265);
    md_tokenizer_free(tok);
    roles.mask = 268; /* one beyond */
    assert_ok(md_tokenizer_load_with(dir, &roles, &tok, &err));
    ck_assert_int_eq(md_tokenizer_mask(tok), 268);
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), 269);
    md_tokenizer_free(tok);
    roles.mask = 269;
    tok = NULL;
    assert_fails(md_tokenizer_load_with(dir, &roles, &tok, &err), MDLM_INPUT,
                 "the model's mask is id 269, and there are 268 tokens");
    roles.mask = 257;
    assert_fails(md_tokenizer_load_with(dir, &roles, &tok, &err), MDLM_INPUT,
                 "the model's mask, id 257, is an ordinary token");
    suite_tmp_remove(dir);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_pipeline");
    suite_case(s, added_tokens_that_are_not_special_come_out_of_text);
    suite_case(s, normalised_added_tokens_are_looked_for_in_normalised_text);
    suite_case(s, pre_tokenizers_and_merge_settings_survive_saving);
    suite_case(s, pipelines_with_faults_are_refused);
    suite_case(s, merges_that_would_lose_bytes_are_refused);
    suite_case(s, vocab_json_and_merges_txt_are_read_by_their_class);
    suite_case(s, vocabularies_in_parts_with_faults_are_refused);
    suite_case(s, a_models_ids_have_their_roles_where_the_files_are_silent);
    return suite_run(s);
}
