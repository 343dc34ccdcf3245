/* cli/film.h: moments of images coming out of the noise, as pictures in a folder.
 *
 *     md_film *film = NULL;
 *     MD_TRY(md_film_open("frames", grid, samples, &film, err));        makes the folder
 *     status = md_film_look(film, step, err);                           from on_step
 *     status = md_film_save(film, err);
 *     md_film_free(film);
 *
 * At most MD_FILM_MOMENTS moments, evenly spread over the steps, the last among them:
 *
 *     step-0050.png   the images as they are after a step, in a grid
 *     film.png        those grids as an animation (APNG)
 *     strip.png       a row for each of the first images, a column for each moment
 *
 * Images are shown as the network sees them, with their noise.
 */
#ifndef MD_CLI_FILM_H
#define MD_CLI_FILM_H

#include "corpora/picture.h"
#include "sampler/image_sampler.h"

enum { MD_FILM_MOMENTS = 24, MD_FILM_ROWS = 8 };

typedef struct md_film md_film;

/* Whether the pictures of a run of so many steps can be made: MDLM_USAGE when they are too large.
 */
mdlm_status md_film_check(md_grid grid, int samples, int steps, mdlm_error *err);
/* The folder's name must live as long as the film. Caller frees *out. */
mdlm_status md_film_open(const char *folder, md_grid grid, int samples, md_film **out,
                         mdlm_error *err);
void md_film_free(md_film *film); /* accepts NULL */

mdlm_status md_film_look(md_film *film, const md_image_step *step, mdlm_error *err);
/* The animation and the strip; of no moment, nothing. */
mdlm_status md_film_save(const md_film *film, mdlm_error *err);

#endif
