/* Loaded into what builds a release: hash tables are filled in the same order in every build, so that generators that print what is in one print
 * the same (lrlex and lrpar, for the PromQL parser's tables). Nothing that is shipped contains it, and nothing is fetched or signed under it. */
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    memset(buffer, 7, length);
    return (ssize_t)length;
}
