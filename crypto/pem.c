/* crypto/pem.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

int pem_no_password(char *out, int size, int writing, void *argument)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)argument;
    return -1;
}

bool pem_is_end(void)
{
    unsigned long last = ERR_peek_last_error();
    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}
