/* crypto/library.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/library.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

bool crypto_library_load(void)
{
    static const uint64_t WHAT = OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
                                 OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS;
    unsigned char one = 0;
    return OPENSSL_init_crypto(WHAT, NULL) == 1 && RAND_bytes(&one, sizeof(one)) == 1;
}
