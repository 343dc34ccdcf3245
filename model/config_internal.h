/* model/config_internal.h: the keys of config.json, by kind of network.
 *
 * A form is a table of keys. Reading begins with the form's `start`, checks the keys that fix the
 * mathematics, fills fields from the others in the order of the table (sizes before the ids that
 * they bound), and lets `complete` put in what the file leaves open. Writing goes through the same
 * table.
 */
#ifndef MD_MODEL_CONFIG_INTERNAL_H
#define MD_MODEL_CONFIG_INTERNAL_H

#include "model/config.h"

enum {
    MD_SIGMA_FREQUENCIES = 256, /* of MDLM's noise level */
    MD_ADALN_PARTS = 6,         /* shift, scale and gate, of attention and of the MLP */
};

typedef enum md_key_kind {
    MD_KEY_SIZE,    /* int field, at least 1 */
    MD_KEY_NUMBER,  /* double */
    MD_KEY_THETA,   /* double: the base of rotary positions, also in the object "rope_parameters",
                       whose rope_type must be "default" */
    MD_KEY_FLAG,    /* bool */
    MD_KEY_ID,      /* int32_t below vocab; -1 when missing or null */
    MD_KEY_SCORED,  /* int: rows of the head; the field, vocab, is what is not scored more */
    MD_KEY_FIXED,   /* no field: another value than this one is refused, a missing one is taken as
                       said. "null" takes false as well, and a rope_scaling that scales nothing;
                       several values stand between bars, the first is written */
    MD_KEY_CHECKED, /* the same, but not written: the reference knows no such key, or takes any
                       value of it for a request (quantization_config) */
    MD_KEY_SAID,    /* no field: written for other readers, whatever it says when read */
} md_key_kind;

typedef struct md_config_key {
    const char *name;
    md_key_kind kind;
    size_t field;      /* offset in md_model_config */
    const char *value; /* FIXED, CHECKED, SAID: JSON text */
    bool optional;     /* missing or null: the field stays; written only where it differs from
                          the start's */
} md_config_key;

typedef struct md_config_form {
    const char *type;         /* model_type */
    const char *architecture; /* class of its code */
    const char *home;         /* repository of that code on the Hugging Face Hub, and its module
                                 behind "configuration_" and "modeling_"; NULL: none */
    const char *module;
    const char *config_class;
    const char *auto_class;    /* what opens it besides AutoModel; NULL: nothing */
    const md_config_key *keys; /* ends with a NULL name */
    md_model_config start;
    mdlm_status (*complete)(const cJSON *root, const char *path, md_model_config *c,
                            mdlm_error *err);
} md_config_form;

/* Of a model_type; NULL when there is none. */
const md_config_form *md_config_form_named(const char *type);
/* That a configuration is written in. */
const md_config_form *md_config_form_of(const md_model_config *c);
/* The i-th model_type; NULL behind the last. */
const char *md_config_form_type(int i);

/* A size; `fallback` when the key is missing or null and fallback is not 0. */
mdlm_status md_config_size(const cJSON *root, const char *key, const char *path, int fallback,
                           int *out, mdlm_error *err);

#endif
