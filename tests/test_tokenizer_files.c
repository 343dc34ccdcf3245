/* tests/test_tokenizer_files.c: tokenizer.json as others write it, and as nobody should. */
#include "tests/test_tokenizer_files.h"

START_TEST(features_that_change_the_ids_are_refused_by_name) {
    static const change changes[] = {
        {"truncation", "{\"max_length\": 5}", "'truncation' is not supported"},
        {"padding", "{}", "'padding' is not supported"},
        {"normalizer", "{\"type\": \"Lowercase\"}", "normalizer 'Lowercase' is not supported"},
        {"normalizer", "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFD\"}]}",
         "normalizer 'NFD' is not supported"},
        {"normalizer", "{\"type\": \"Sequence\"}", "normalizer 'Sequence' is not supported"},
        {"normalizer", "5", "normalizer '(untyped)' is not supported"},
        {"pre_tokenizer", "{\"type\": \"Metaspace\"}", "supported only with byte_fallback"},
        {"pre_tokenizer", "null", "pre_tokenizer 'null'"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"String\": \" \"}, \"behavior\": \"Isolated\"}, {\"type\": \"ByteLevel\"}]}",
         "'add_prefix_space' is not supported"},
        {"post_processor", "{\"type\": \"TemplateProcessing\"}",
         "post_processor 'TemplateProcessing'"},
        {"post_processor", "{\"type\": \"BertProcessing\"}", "post_processor 'BertProcessing'"},
        {"decoder", "{\"type\": \"WordPiece\"}", "decoder 'WordPiece' is not supported"},
        {"decoder", "null", "decoder 'null' is not supported"},
        {"model.type", "\"Unigram\"", "model 'Unigram' is not supported"},
        {"model.type", "7", "model '(untyped)' is not supported"},
        {"model.dropout", "0.1", "'dropout' is not supported"},
        {"model.continuing_subword_prefix", "\"##\"", "'continuing_subword_prefix'"},
        {"model.end_of_word_suffix", "\"</w>\"", "'end_of_word_suffix'"},
    };
    CHECK_CHANGES(bpe_folder, changes);
}
END_TEST

START_TEST(features_that_change_nothing_are_accepted) {
    static const char *const changes[][2] = {
        {"post_processor", "{\"type\": \"ByteLevel\", \"trim_offsets\": true}"},
        {"normalizer", "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}]}"},
        {"normalizer", ""},
        {"model.type", ""},
        {"model.dropout", "0"},
        {"model.unk_token", "\"<|endoftext|>\""},
        {"model.end_of_word_suffix", "\"\""},
        {"version", ""},
    };
    mdlm_error err = {0};
    char *dir = bpe_folder();
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        cJSON *root = read_json(dir, "tokenizer.json");
        put(root, changes[i][0], changes[i][1]);
        write_json(dir, "tokenizer.json", root);
        md_tokenizer *tok = NULL;
        assert_ok(md_tokenizer_load(dir, &tok, &err));
        md_tokenizer_free(tok);
    }
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(vocabularies_with_faults_are_refused) {
    static const change changes[] = {
        {"model", "[]", "'model' is not an object"},
        {"model.vocab", "[1, 2]", "'vocab' is not an object"},
        {"model.vocab", "", "'vocab' is not an object"},
        {"model.vocab.lo", "97", "have id 97"},
        {"model.vocab.lo", "100000", "the id of 'lo' is not an integer"},
        {"model.vocab.lo", "-1", "the id of 'lo' is not an integer"},
        {"model.vocab.lo", "256.5", "the id of 'lo' is not an integer"},
        {"model.vocab.lo", "1e300", "the id of 'lo' is not an integer"},
        {"model.vocab.lo", "\"256\"", "the id of 'lo' is not an integer"},
        {"model.vocab.lo", "", "no token has id 256"},
        {"model.vocab.lo", "269", "no token has id 256"},
        {"model.vocab.a", "", "no token has id 97"},
        {"model.vocab.", "268", "the token with id 268 is empty"},
    };
    CHECK_CHANGES(bpe_folder, changes);
}
END_TEST

START_TEST(a_spelling_with_two_ids_is_refused) {
    char *dir = bpe_folder();
    cJSON *root = read_json(dir, "tokenizer.json");
    cJSON *vocab =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "model"), "vocab");
    ck_assert_ptr_nonnull(cJSON_AddNumberToObject(vocab, "lo", 268));
    write_json(dir, "tokenizer.json", root);
    check_refused(dir, "'lo' has two ids: 256 and 268");
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(a_byte_without_a_token_cannot_be_encoded) {
    mdlm_error err = {0};
    char *dir = bpe_folder();
    cJSON *root = read_json(dir, "tokenizer.json");
    put(root, "model.vocab.~", "");
    put(root, "model.vocab.~~", "126");
    write_json(dir, "tokenizer.json", root);
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    assert_ok(md_tokenizer_load(dir, &tok, &err));
    assert_ok(md_tokenizer_encode(tok, "low", 3, &ids, &err));
    ck_assert_uint_eq(ids.count, 1);
    assert_fails(md_tokenizer_encode(tok, "low~", 4, &ids, &err), MDLM_INPUT, "byte 0x7E");
    ck_assert_uint_eq(ids.count, 1);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(added_tokens_with_faults_are_refused) {
    static const change changes[] = {
        {"added_tokens", "{}", "'added_tokens' is not an array"},
        {"added_tokens", "[3]", "content"},
        {"added_tokens", "[{\"id\": 265, \"content\": \"<|mask|>\"}]", "special"},
        {"added_tokens", "[{\"id\": 265, \"content\": \"<other>\", \"special\": true}]",
         "both '<|mask|>' and '<other>' have id 265"},
        {"added_tokens", "[{\"content\": \"<|mask|>\", \"special\": true}]",
         "the id of '<|mask|>' is not an integer"},
        {"added_tokens", "[{\"id\": 268, \"content\": \"<|mask|>\", \"special\": true}]",
         "'<|mask|>' has two ids"},
        {"added_tokens", "[{\"id\": 257, \"content\": \"low\", \"special\": false}]",
         "merge 1 uses the added token 'low'"},
        {"added_tokens", "[{\"id\": 256, \"content\": \"lo\", \"special\": true}]",
         "merge 0 uses the special token 'lo'"},
        {"added_tokens", "[]", "mask_token '<|mask|>' of tokenizer_config.json is not a special"},
    };
    CHECK_CHANGES(bpe_folder, changes);
}
END_TEST

START_TEST(merges_with_faults_are_refused) {
    static const change changes[] = {
        {"model.merges", "", "'merges' is not an array"},
        {"model.merges", "{}", "'merges' is not an array"},
        {"model.merges", "[\"l o\", \"lo z\"]", "merge 1 needs 'loz', not in the vocabulary"},
        {"model.merges", "[\"zz o\"]", "merge 0 needs 'zz', not in the vocabulary"},
        {"model.merges", "[\"l zz\"]", "merge 0 needs 'zz', not in the vocabulary"},
        {"model.merges", "[[\"l\", \"zz\"]]", "merge 0 needs 'zz', not in the vocabulary"},
        {"model.merges", "[\"l o\", \"l o\"]", "merge 1 is listed twice"},
        {"model.merges", "[\"lo\"]", "merge 0 is not a pair"},
        {"model.merges", "[\"l  o\"]", "merge 0 is not a pair"},
        {"model.merges", "[\"l o w\"]", "merge 0 is not a pair"},
        {"model.merges", "[\" lo\"]", "merge 0 is not a pair"},
        {"model.merges", "[\"lo \"]", "merge 0 is not a pair"},
        {"model.merges", "[[\"l\"]]", "merge 0 is not a pair"},
        {"model.merges", "[[\"l\", \"o\", \"w\"]]", "merge 0 is not a pair"},
        {"model.merges", "[[\"l\", 5]]", "merge 0 is not a pair"},
        {"model.merges", "[[\"lo\", \"\"]]", "merge 0 is not a pair"},
        {"model.merges", "[5]", "merge 0 is not a pair"},
        {"model.merges", "[null]", "merge 0 is not a pair"},
    };
    CHECK_CHANGES(bpe_folder, changes);
}
END_TEST

START_TEST(character_files_with_faults_are_refused) {
    static const change changes[] = {
        {"model.byte_fallback", "false", "pre_tokenizer 'null' is not supported"},
        {"model.vocab.lo", "264", "'lo' is neither one character nor a byte"},
        {"model.vocab.<0x4g>", "264", "'<0x4g>' is neither one character nor a byte"},
        {"model.vocab.", "264", "the token with id 264 is empty"},
        {"decoder", "{\"type\": \"ByteFallback\"}", "sequence ByteFallback, Fuse"},
        {"decoder", "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}]}",
         "sequence ByteFallback, Fuse"},
    };
    CHECK_CHANGES(chars_folder, changes);
}
END_TEST

static void check_same_ids(const char *dir, const int32_t *expected, size_t count) {
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    assert_ok(md_tokenizer_load(dir, &tok, &err));
    assert_ok(md_tokenizer_encode(tok, " newest lowest", 14, &ids, &err));
    ck_assert_uint_eq(ids.count, count);
    ck_assert_mem_eq(ids.data, expected, count * sizeof *expected);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
}

START_TEST(merges_may_be_strings_or_pairs) {
    static const int32_t expected[] = {264, 258, 263};
    char *dir = bpe_folder();
    check_same_ids(dir, expected, 3);
    cJSON *root = read_json(dir, "tokenizer.json");
    cJSON *merges =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "model"), "merges");
    for (int i = 0; i < cJSON_GetArraySize(merges); i += 2) { /* both forms in one file */
        char text[32];
        snprintf(text, sizeof text, "%s", cJSON_GetArrayItem(merges, i)->valuestring);
        char *space = strchr(text, ' ');
        ck_assert_ptr_nonnull(space);
        *space = 0;
        const char *parts[] = {text, space + 1};
        cJSON_ReplaceItemInArray(merges, i, cJSON_CreateStringArray(parts, 2));
    }
    write_json(dir, "tokenizer.json", root);
    check_same_ids(dir, expected, 3);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(the_saved_file_is_what_hugging_face_writes) {
    char *dir = bpe_folder();
    cJSON *root = read_json(dir, "tokenizer.json");
    cJSON *expected =
        cJSON_Parse("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
                    "\"use_regex\":true}");
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    const cJSON *pre = cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer");
    ck_assert(cJSON_Compare(pre, expected, true));
    /* GPT-2's stand-ins for space, newline and the soft hyphen. */
    static const struct {
        const char *name;
        int id;
    } known[] = {{"\u0120", ' '},       {"\u010a", '\n'}, {"\u0100", 0},    {"\u0143", 0xad},
                 {"\u0142", 0xa0},      {"\u0121", 0x7f}, {"\u00ff", 0xff}, {"!", '!'},
                 {"\u0120newest", 264}, {"<|mask|>", 265}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(vocab, known[i].name);
        ck_assert_msg(cJSON_IsNumber(item), "no '%s'", known[i].name);
        ck_assert_int_eq(item->valueint, known[i].id);
    }
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    ck_assert_str_eq(cJSON_GetArrayItem(merges, 2)->valuestring, "\u0120 low");
    ck_assert_int_eq(cJSON_GetArraySize(merges), 9);
    cJSON_Delete(expected);
    cJSON_Delete(root);
    root = read_json(dir, "tokenizer_config.json");
    ck_assert_int_eq(cJSON_GetObjectItemCaseSensitive(root, "model_max_length")->valueint, 128);
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(root, "mask_token")->valuestring, "<|mask|>");
    cJSON_Delete(root);
    root = read_json(dir, "special_tokens_map.json");
    ck_assert_int_eq(cJSON_GetArraySize(root), 3); /* none of these has a bos */
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(root, "mask_token")->valuestring, "<|mask|>");
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(root, "eos_token")->valuestring,
                     "<|endoftext|>");
    cJSON_Delete(root);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(the_configuration_says_which_special_token_is_which) {
    mdlm_error err = {0};
    char *dir = renamed_folder();
    md_tokenizer *tok = NULL;
    const char *text = "{\"mask_token\": {\"content\": \"[C]\"}, \"eos_token\": \"[A]\", "
                       "\"pad_token\": \"[B]\"}";
    write_text(dir, "tokenizer_config.json", text, strlen(text));
    assert_ok(md_tokenizer_load(dir, &tok, &err));
    ck_assert_int_eq(md_tokenizer_mask(tok), 267);
    ck_assert_int_eq(md_tokenizer_end_of_text(tok), 265);
    ck_assert_int_eq(md_tokenizer_padding(tok), 266);
    md_tokenizer_free(tok);
    text = "{\"mask_token\": \"[A]\", \"pad_token\": \"[B]\", \"eos_token\": null}";
    write_text(dir, "tokenizer_config.json", text, strlen(text));
    char *file = md_path_join(dir, "tokenizer.json", &err);
    tok = NULL;
    assert_ok(md_tokenizer_load(file, &tok, &err)); /* the file itself: the folder's config too */
    ck_assert_int_eq(md_tokenizer_mask(tok), 265);
    ck_assert_int_eq(md_tokenizer_end_of_text(tok), 266);
    ck_assert_int_eq(md_tokenizer_padding(tok), 266);
    md_free(file);
    char *again = suite_tmp_dir();
    md_tokenizer *copy = NULL;
    assert_ok(md_tokenizer_save(tok, again, 8, &err)); /* names and roles survive */
    assert_ok(md_tokenizer_load(again, &copy, &err));
    ck_assert_int_eq(md_tokenizer_mask(copy), 265);
    ck_assert_int_eq(md_tokenizer_padding(copy), 266);
    ck_assert(md_tokenizer_is_special(copy, 267));
    md_tokenizer_free(copy);
    md_tokenizer_free(tok);
    suite_tmp_remove(again);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(without_a_mask_or_an_end_the_file_is_refused) {
    char *dir = renamed_folder();
    static const struct {
        const char *text, *message;
    } configs[] = {
        {"{}", "has no mask token"},
        {"{\"mask_token\": \"[A]\"}", "has no end-of-text token"},
        {"{\"mask_token\": \"[X]\"}", "mask_token '[X]' of tokenizer_config.json is not a special"},
        {"{\"mask_token\": \"low\"}", "mask_token 'low' of tokenizer_config.json is not a special"},
        {"{\"mask_token\": \"[A]\", \"eos_token\": \"[A]\"}", "the mask token is also"},
        {"{\"mask_token\":", "tokenizer_config.json"},
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        write_text(dir, "tokenizer_config.json", configs[i].text, strlen(configs[i].text));
        check_refused(dir, configs[i].message);
    }
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(a_missing_file_is_refused) {
    mdlm_error err = {0};
    char *dir = suite_tmp_dir();
    check_refused(dir, "tokenizer.json");
    md_tokenizer *tok = NULL;
    assert_fails(md_tokenizer_load("/nonexistent/x.json", &tok, &err), MDLM_INPUT, "x.json");
    suite_tmp_remove(dir);
}
END_TEST

static char *read_whole(const char *dir, size_t *size) {
    mdlm_error err = {0};
    char *path = md_path_join(dir, "tokenizer.json", &err), *text = NULL;
    assert_ok(md_file_read(path, MEGABYTE, &text, size, &err));
    md_free(path);
    return text;
}

START_TEST(truncated_files_are_refused) {
    char *dir = bpe_folder();
    size_t size;
    char *text = read_whole(dir, &size);
    for (size_t cut = 0; cut + 2 < size; cut += 61) {
        write_text(dir, "tokenizer.json", text, cut);
        check_refused(dir, "tokenizer.json");
    }
    md_free(text);
    suite_tmp_remove(dir);
}
END_TEST

/* Whatever still loads must still give every text back. */
START_TEST(damaged_files_are_refused_or_work) {
    char *(*const folders[])(void) = {bpe_folder, chars_folder};
    int loaded = 0, refused = 0;
    for (size_t f = 0; f < 2; f++) {
        char *dir = folders[f]();
        size_t size;
        char *text = read_whole(dir, &size);
        for (uint64_t round = 0; round < 400; round++) {
            mdlm_error err = {0};
            size_t at = (size_t)draw(5 + f, 2 * round, (int)size);
            char old = text[at];
            text[at] = round % 2 ? (char)draw(5 + f, 2 * round + 1, 256)
                                 : "\"[]{},:0195 ab\\"[draw(5 + f, 2 * round + 1, 15)];
            write_text(dir, "tokenizer.json", text, size);
            text[at] = old;
            md_tokenizer *tok = NULL;
            if (md_tokenizer_load(dir, &tok, &err) != MDLM_OK) {
                ck_assert_int_eq(err.status, MDLM_INPUT);
                refused++;
                continue;
            }
            loaded++;
            md_ids ids = {0};
            md_buffer back = {0};
            static const char probe[] = " newest low\xff \u00e9 <|mask|>";
            if (md_tokenizer_encode(tok, probe, sizeof probe - 1, &ids, &err) == MDLM_OK) {
                assert_ok(md_tokenizer_decode(tok, ids.data, ids.count, &back, &err));
                ck_assert_str_eq(back.data, probe);
            } else { /* the damage took a byte's token */
                ck_assert_str_eq(strstr(err.message, "no token for the byte") ? "" : err.message,
                                 "");
            }
            md_ids_release(&ids);
            md_buffer_release(&back);
            md_tokenizer_free(tok);
        }
        md_free(text);
        suite_tmp_remove(dir);
    }
    ck_assert_int_gt(loaded, 20); /* white space and the like */
    ck_assert_int_gt(refused, 200);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_files");
    suite_case(s, features_that_change_the_ids_are_refused_by_name);
    suite_case(s, features_that_change_nothing_are_accepted);
    suite_case(s, vocabularies_with_faults_are_refused);
    suite_case(s, a_spelling_with_two_ids_is_refused);
    suite_case(s, a_byte_without_a_token_cannot_be_encoded);
    suite_case(s, added_tokens_with_faults_are_refused);
    suite_case(s, merges_with_faults_are_refused);
    suite_case(s, character_files_with_faults_are_refused);
    suite_case(s, merges_may_be_strings_or_pairs);
    suite_case(s, the_saved_file_is_what_hugging_face_writes);
    suite_case(s, the_configuration_says_which_special_token_is_which);
    suite_case(s, without_a_mask_or_an_end_the_file_is_refused);
    suite_case(s, a_missing_file_is_refused);
    suite_case(s, truncated_files_are_refused);
    suite_case(s, damaged_files_are_refused_or_work);
    return suite_run(s);
}
