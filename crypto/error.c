/* crypto/error.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/error.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void set(struct crypto_error *error,
                                                      const char *format, va_list arguments)
{
    if (error != NULL) {
        (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    }
}

void crypto_error_set(struct crypto_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(error, format, arguments);
    va_end(arguments);
}

void crypto_error_set_openssl(struct crypto_error *error, const char *format, ...)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    va_list arguments;
    va_start(arguments, format);
    set(error, format, arguments);
    va_end(arguments);
    if (error != NULL && reason != NULL) {
        size_t len = strlen(error->text);
        (void)snprintf(error->text + len, sizeof(error->text) - len, ": %s", reason);
    }
}
