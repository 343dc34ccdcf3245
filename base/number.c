/* base/number.c: see number.h. */
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void md_number_format(double value, char out[MD_NUMBER_BYTES]) {
    char text[MD_NUMBER_BYTES];
    if (fabs(value) <= MD_EXACT_INT && floor(value) == value) {
        snprintf(text, sizeof text, "%.0f", value);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value) break;
        }
    }
    memcpy(out, text, sizeof text);
}

bool md_number_parse(const char *text, double *out) {
    if (strspn(text, "0123456789+-.eE") != strlen(text)) return false;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end) return false;
    *out = value;
    return true;
}
