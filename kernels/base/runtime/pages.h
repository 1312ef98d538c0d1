/* Pages of memory. */
#ifndef NPK_PAGES_H
#define NPK_PAGES_H

#include <stddef.h>

/* Whether nobody has touched the page in the middle of an array yet: the system gives large arrays pages that it fills with
 * zeros at the first touch. 0 if the system does not tell. */
int pages_are_untouched(const void *array, size_t bytes);

#endif
