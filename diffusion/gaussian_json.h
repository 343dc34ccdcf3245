/* diffusion/gaussian_json.h: a process as the member "process" of a model's config.json.
 *
 *     {"kind": "vp", "noise_schedule": "cosine", "timesteps": 1000, "zero_snr": false,
 *      "prediction": "eps", "variance": "small"}
 *
 * Of "vp" alone: "noise_schedule" and "zero_snr"; with the schedule "learned" also "rates"
 * [MD_KNOTS], what training has measured. Names are those of the lists in gaussian.h.
 */
#ifndef MD_DIFFUSION_GAUSSIAN_JSON_H
#define MD_DIFFUSION_GAUSSIAN_JSON_H

#include "base/json.h"
#include "diffusion/gaussian.h"

cJSON *md_gaussian_to_json(const md_gaussian *p); /* NULL: no memory; caller deletes */

/* The process that to_json wrote and md_json_save saved: the same levels, bit for bit. MDLM_INPUT
 * naming `file` when a member is missing, unknown or out of range, or they do not fit together.
 * Caller releases *out. */
mdlm_status md_gaussian_from_json(const cJSON *object, const char *file, md_gaussian *out,
                                  mdlm_error *err);

#endif
