/* proxy/process/public_file.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/public_file.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <string.h>

/* RFC 7468 §10 and §11, and the older labels before these two words. */
static bool has_pem_key(struct bytes file)
{
    static const char LABEL[] = "PRIVATE KEY-----";
    return file.len > 0 && memmem(file.at, file.len, LABEL, sizeof(LABEL) - 1) != NULL;
}

static bool is_der_key(struct bytes file)
{
    const unsigned char *at = file.at;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)file.len);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return key != NULL;
}

static bool is_archive(struct bytes file)
{
    const unsigned char *at = file.at;
    PKCS12 *archive = d2i_PKCS12(NULL, &at, (long)file.len);
    PKCS12_free(archive);
    ERR_clear_error();
    return archive != NULL;
}

const char *public_file_fault(enum config_file_kind kind, struct bytes file)
{
    if (file.len == 0 || file.len > INT_MAX) {
        return NULL;
    }
    if (has_pem_key(file) || is_der_key(file)) {
        return kind == CONFIG_FILE_CHAIN
                   ? "holds a private key, while `key` names another file; expected certificates "
                     "alone, or no `key`"
                   : "holds a private key; expected none in this file";
    }
    if (kind != CONFIG_FILE_CHAIN && is_archive(file)) {
        return "is a PKCS#12 file, which may hold a private key; expected another form";
    }
    return NULL;
}
