/* tokenizer/bpe_train.c: from a corpus to a tokenizer, by way of counted words. */
#include "base/memory.h"
#include "tokenizer/tokenizer_internal.h"
#include "tokenizer/unicode.h"

enum { FEWEST = 260, MOST = 1000000, NOT_MERGES = 256 + 3 };

typedef struct word_counts {
    md_interner words;
    int64_t *counts; /* by index of the word */
    size_t capacity;
} word_counts;

static mdlm_status count_word(word_counts *w, const char *word, size_t size, mdlm_error *err) {
    size_t before = w->words.count, index = 0;
    void *grown = md_grow(w->counts, &w->capacity, before + 1, sizeof *w->counts, err);
    if (!grown) return MDLM_RUNTIME;
    w->counts = grown;
    MD_TRY(md_interner_add(&w->words, word, size, &index, err));
    w->counts[index] = index == before ? 1 : w->counts[index] + 1;
    return MDLM_OK;
}

static mdlm_status count_words(md_text_source source, const md_tokenizer *tok, word_counts *w,
                               mdlm_error *err) {
    md_buffer normal = {0};
    mdlm_status status = MDLM_OK;
    for (;;) {
        const char *text = NULL;
        size_t size = 0;
        MD_GOTO(done, status, source.next(source.context, &text, &size, err));
        if (size == 0) break;
        if (tok->nfc) {
            md_buffer_clear(&normal);
            MD_GOTO(done, status, md_nfc(text, size, &normal, err));
            text = normal.data;
            size = normal.size;
        }
        for (size_t start = 0, end; start < size; start = end) {
            end = md_split_gpt2(text, size, start);
            MD_GOTO(done, status, count_word(w, text + start, end - start, err));
        }
    }
done:
    md_buffer_release(&normal);
    return status;
}

static mdlm_status append_tokens(md_tokenizer *tok, const md_interner *tokens, mdlm_error *err) {
    for (size_t id = 0; id < tokens->count; id++) {
        size_t size;
        const char *bytes = md_interner_text(tokens, id, &size);
        MD_TRY(md_tokenizer_append(tok, bytes, size, NULL, err));
    }
    return md_tokenizer_append_specials(tok, err);
}

mdlm_status md_tokenizer_train_bpe(md_text_source source, const md_bpe_options *opt,
                                   md_tokenizer **out, mdlm_error *err) {
    if (opt->vocab_size < FEWEST || opt->vocab_size > MOST) {
        return md_fail(err, MDLM_USAGE, "vocabulary of %d entries: expected %d to %d",
                       opt->vocab_size, FEWEST, MOST);
    }
    md_tokenizer *tok = md_tokenizer_new(MD_TOKENIZER_BPE, err);
    if (!tok) return MDLM_RUNTIME;
    word_counts w = {0};
    md_interner tokens = {0};
    mdlm_status status = MDLM_OK;
    size_t merges = (size_t)opt->vocab_size - NOT_MERGES;
    tok->nfc = opt->nfc;
    MD_GOTO(done, status, md_cuts_add(&tok->cuts, &(md_cut){.source = md_expression_gpt2}, err));
    MD_GOTO(done, status, count_words(source, tok, &w, err));
    MD_GOTO(done, status, md_bpe_learn(&w.words, w.counts, merges, &tok->bpe, &tokens, err));
    MD_GOTO(done, status, append_tokens(tok, &tokens, err));
    MD_GOTO(done, status, md_tokenizer_prepare(tok, err));
    *out = tok;
    tok = NULL;
done:
    md_interner_release(&w.words);
    md_free(w.counts);
    md_interner_release(&tokens);
    md_tokenizer_free(tok);
    return status;
}
