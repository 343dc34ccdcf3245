/* tokenizer/pre_names.c: what the names in tokenizer.ggml.pre stand for; see cuts.h.
 *
 * Names and their meaning are llama.cpp's (src/llama-vocab.cpp, convert_hf_to_gguf.py). Some models
 * share expressions, so a list of expressions may have several names: the first is the one written.
 */
#include <string.h>

#include "tokenizer/cuts.h"

#define LLAMA3 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Words in capitals, then small, as OpenAI's o200k and Mistral's tekken have them. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
#define CASED(tail, digits) \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" tail "|\\p{N}" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define NO_MARKS " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
#define HAN "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"

/* Letters with case, as DeepSeek's file lists them. */
#define CASED_LETTERS \
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-" \
    "\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1" \
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd" \
    "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d" \
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-" \
    "\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4" \
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d" \
    "\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4" \
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e" \
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f" \
    "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2" \
    "\U000118a0-\U000118df\U0001e900-\U0001e943]+"

enum { MOST_EXPRESSIONS = 6 };

typedef struct pre {
    const char *names; /* separated by spaces */
    bool ignore_merges;
    const char *expressions[MOST_EXPRESSIONS];
} pre;

static const pre table[] = {
    {"gpt-2 phi-2 mpt olmo jais trillion exaone4 mellum gigachat a.x-4.0 jina-es jina-de "
     "jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe",
     false,
     {md_expression_gpt2}},
    {"qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez grok-2", false, {md_expression_qwen2}},
    {"bailingmoe llada-moe",
     false,
     {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
      "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2", true, {LLAMA3}},
    {"dbrx smaug-bpe chatglm-bpe glm4", false, {LLAMA3}},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b",
     false,
     {"\\p{N}", md_expression_gpt2}},
    {"falcon", false, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", md_expression_gpt2, "[0-9][0-9][0-9]"}},
    {"default",
     false,
     {"[\\p{P}\\$\\+<=>\\^~\\|]+", md_expression_gpt2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"deepseek-llm",
     false,
     {"[\r\n]", CASED_LETTERS, "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
      "\\s+$", HAN, "\\p{N}+"}},
    {"deepseek-coder", false, {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN, "\\p{N}"}},
    {"deepseek-v3 hunyuan-dense",
     false,
     {"\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
      "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|"
      "\\s+(?!\\S)|\\s+"}},
    {"poro-chat bloom gpt3-finnish", false, {NO_MARKS}},
    {"viking", false, {NO_MARKS, "\\p{N}"}},
    {"tekken", true, {CASED("", "")}},
    {"gpt-4o llama4", false, {CASED(SHORT, "{1,3}")}},
    {"seed-coder",
     false,
     {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}|"
      " ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
    {"superbpe", false, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
};

static bool lists(const char *names, const char *name) {
    size_t size = strlen(name);
    for (const char *at = names; at; at = strchr(at, ' ')) {
        if (*at == ' ') at++;
        if (size > 0 && strncmp(at, name, size) == 0 && (!at[size] || at[size] == ' ')) return true;
    }
    return false;
}

mdlm_status md_cuts_add_named(md_cuts *cuts, const char *name, bool *ignore_merges,
                              mdlm_error *err) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strchr(name, ' ') || !lists(table[i].names, name)) continue;
        for (int k = 0; k < MOST_EXPRESSIONS && table[i].expressions[k]; k++) {
            MD_TRY(md_cuts_add(cuts, &(md_cut){.source = table[i].expressions[k]}, err));
        }
        *ignore_merges = table[i].ignore_merges;
        return MDLM_OK;
    }
    return md_fail(err, MDLM_INPUT, "the pre-tokenizer '%s' is not known", name);
}

static bool same_cuts(const md_cuts *cuts, const pre *p) {
    int count = 0;
    while (count < MOST_EXPRESSIONS && p->expressions[count]) count++;
    if (cuts->count != count) return false;
    for (int k = 0; k < count; k++) {
        const md_cut *cut = &cuts->steps[k].cut;
        bool plain = !cut->literal && !cut->invert && cut->behaviour == MD_CUT_ISOLATED;
        if (!plain || strcmp(cut->source, p->expressions[k])) return false;
    }
    return true;
}

bool md_cuts_name(const md_cuts *cuts, bool ignore_merges, char name[MD_PRE_NAME_BYTES]) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].ignore_merges != ignore_merges || !same_cuts(cuts, &table[i])) continue;
        size_t size = strcspn(table[i].names, " ");
        MD_BUG_IF(size >= MD_PRE_NAME_BYTES);
        memcpy(name, table[i].names, size);
        name[size] = 0;
        return true;
    }
    return false;
}
