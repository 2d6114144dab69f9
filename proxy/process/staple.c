/* proxy/process/staple.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/staple.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "proxy/process/memory_file.h"

enum { URL_BYTES_MAX = 2048 };

const char *staple_why_not(const struct certificate *certificate)
{
    const char *url = certificate_facts(certificate)->ocsp_url;
    if (url[0] == '\0') {
        return "the certificate names no OCSP responder";
    }
    if (strlen(url) > URL_BYTES_MAX) {
        return "the responder's URL is too long";
    }
    return certificate_issuer(certificate) == NULL ? "the chain does not hold the issuer" : NULL;
}

void staple_fini(struct staple *staple)
{
    certificate_unref(staple->certificate);
    if (staple->response >= 0) {
        (void)close(staple->response);
    }
}

enum staple_state staple_state(const struct staple *staple, time_t now)
{
    if (staple->response < 0) {
        return STAPLE_WAITING;
    }
    if (staple->facts.status == OCSP_REVOKED) {
        return STAPLE_REVOKED; /* whether or not the response lasts */
    }
    return staple->facts.usable_until > now ? STAPLE_GOOD : STAPLE_WAITING;
}

int staple_request(const struct staple *staple, struct crypto_error *error)
{
    size_t len = 0;
    uint8_t *request = ocsp_request(staple->certificate, &len, error);
    if (request == NULL) {
        return -1;
    }
    int descriptor = memory_file_new("sallyport-ocsp", request, len);
    free(request);
    return descriptor;
}

/* Whether a verified response is one to keep. */
static bool is_wanted(const struct staple *staple, const struct ocsp_facts *facts,
                      struct crypto_error *error)
{
    if (facts->status == OCSP_UNKNOWN) {
        crypto_error_set(error, "the responder does not know the certificate");
        return false;
    }
    if (staple->response >= 0 && !ocsp_facts_may_replace(facts, &staple->facts)) {
        crypto_error_set(error, "the response is older than the one that is there");
        return false;
    }
    return true;
}

bool staple_take(struct staple *staple, int descriptor, time_t now, struct crypto_error *error)
{
    struct memory_file file;
    struct ocsp_facts facts;
    bool is_good = false;
    crypto_error_set(error, "the answer is too large or was not sealed");
    if (memory_file_map(&file, descriptor, OCSP_RESPONSE_BYTES_MAX) == STATUS_OK) {
        is_good = ocsp_response_verify(staple->certificate, (struct bytes){file.bytes, file.len},
                                       now, &facts, error) &&
                  is_wanted(staple, &facts, error);
        memory_file_unmap(&file);
    }
    if (!is_good) {
        (void)close(descriptor);
        return false;
    }
    if (staple->response >= 0) {
        (void)close(staple->response);
    }
    staple->response = descriptor;
    staple->facts = facts;
    return true;
}

bool staple_succeed(struct staple *staple, const struct staple *former)
{
    if (X509_cmp(certificate_leaf(former->certificate), certificate_leaf(staple->certificate)) !=
        0) {
        return false;
    }
    staple->schedule = former->schedule;
    if (former->response >= 0) {
        staple->facts = former->facts;
        staple->response = fcntl(former->response, F_DUPFD_CLOEXEC, 0);
        staple->schedule.ask_at = staple->response < 0 ? 0 : former->schedule.ask_at;
    }
    return true;
}
