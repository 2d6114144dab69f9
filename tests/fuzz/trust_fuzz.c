/* tests/fuzz/trust_fuzz.c
 *
 * Files of authorities and revocation lists: the input is both, the second from the first NUL on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/trust.h"

#include <assert.h>
#include <openssl/err.h>
#include <string.h>

#include "crypto/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const uint8_t *nul = len > 0 ? memchr(bytes, 0, len) : NULL;
    struct bytes authorities = {bytes, nul != NULL ? (size_t)(nul - bytes) : len};
    struct bytes revoked = {0};
    if (nul != NULL) {
        revoked = (struct bytes){nul + 1, len - authorities.len - 1};
    }
    struct crypto_error error = {{0}};
    struct trust *trust = trust_read(authorities, revoked, &error);
    assert((trust == NULL) == (error.text[0] != '\0'));
    assert(ERR_peek_error() == 0);
    if (trust != NULL) {
        assert(trust_authority_count(trust) > 0);
        assert((trust_revoked_until(trust) != 0) == (revoked.len > 0));
    }
    trust_unref(trust);
    return 0;
}
