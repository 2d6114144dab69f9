/* proxy/process/error.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/error.h"

#include <stdarg.h>
#include <stdio.h>

void process_error_set(struct process_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
}
