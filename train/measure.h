/* train/measure.h: how the progress of a training is counted and told. */
#ifndef MD_TRAIN_MEASURE_H
#define MD_TRAIN_MEASURE_H

#include "base/error.h"

/* Texts are literals. */
typedef struct md_measure {
    const char *items; /* what is trained on, and the key of their number: "tokens", "images" */
    const char *loss;  /* losses have the keys train_LOSS and val_LOSS: "nelbo", "loss" */
    const char *per;   /* losses are nats (or bits) per ...: "byte"; NULL: they have no unit */
    bool bits;         /* in place of nats */
} md_measure;

enum { MD_MEASURE_TEXT = 64 };

/* "nats per byte", "bits per dim", or "loss". */
void md_measure_unit(const md_measure *m, char out[MD_MEASURE_TEXT]);
/* "train_nelbo" of "train", "tokens_per_second" of NULL. */
void md_measure_key(const md_measure *m, const char *which, char out[MD_MEASURE_TEXT]);

#endif
