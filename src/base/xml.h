/* xml.h: text as XML wants it. */
#ifndef CLADE_BASE_XML_H
#define CLADE_BASE_XML_H

#include <stdio.h>

/* Prints `text` (NULL prints nothing) for content or a quoted attribute: the five special characters become
 * entities, characters that XML 1.0 forbids are dropped, and bytes that are no UTF-8 become U+FFFD. */
void xml_print(FILE *stream, const char *text);

#endif
