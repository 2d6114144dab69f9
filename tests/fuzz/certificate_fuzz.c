/* tests/fuzz/certificate_fuzz.c
 *
 * Certificate files: whatever is read keeps its own promises, and survives being written and read
 * again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/certificate.h"

#include <assert.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_names(const struct certificate_facts *facts)
{
    assert(facts->dns_name_count <= facts->name_count);
    assert(facts->name_count <= CERTIFICATE_NAMES_MAX);
    for (size_t i = 0; i < facts->name_count; i++) {
        assert(facts->names[i][0] != '\0' && strlen(facts->names[i]) <= 253);
    }
    assert(strlen(facts->subject) < CERTIFICATE_TEXT_BYTES);
    assert(facts->chain_len >= 1 && facts->chain_len <= CERTIFICATE_CHAIN_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct crypto_error error = {{0}};
    struct certificate *certificate = certificate_read((struct bytes){bytes, len}, NULL, &error);
    assert((certificate == NULL) == (error.text[0] != '\0'));
    assert(ERR_peek_error() == 0);
    if (certificate == NULL) {
        return 0;
    }
    check_names(certificate_facts(certificate));
    (void)certificate_covers(certificate, "www.example");
    (void)certificate_is_valid_at(certificate, 0);
    size_t pem_len = 0;
    char *pem = certificate_pem(certificate, &pem_len);
    assert(pem != NULL);
    struct certificate *again =
        certificate_read((struct bytes){(const uint8_t *)pem, pem_len}, NULL, &error);
    assert(again != NULL);
    assert(strcmp(certificate_facts(again)->sha256_text,
                  certificate_facts(certificate)->sha256_text) == 0);
    certificate_unref(again);
    certificate_unref(certificate);
    free(pem);
    return 0;
}
