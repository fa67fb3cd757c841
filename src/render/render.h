/* render.h: a picture in one of the formats that it is printed in. */
#ifndef CLADE_RENDER_RENDER_H
#define CLADE_RENDER_RENDER_H

#include "base/error.h"
#include "render/picture.h"
#include <stdio.h>

enum render_format { RENDER_DOT, RENDER_SVG, RENDER_PNG, RENDER_PDF };

/* Lays out an arranged picture, for at most some seconds, and prints it. Failures of the stream are for its
 * owner to find. */
enum status render_print(const struct picture *picture, enum render_format format, struct arena *arena,
                         FILE *stream, struct error *error);

#endif
