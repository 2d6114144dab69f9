/* proxy/commands/inspection_trust.c · SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "crypto/error.h"
#include "crypto/trust.h"
#include "proxy/commands/inspection_state.h"
#include "proxy/process/snapshot.h"

enum { SUBJECT_BYTES = 256 };

/* What a file of authorities is for; `file` NULL: their ends are not told of. */
struct authority_use {
    enum expiry_kind kind;
    const char *name; /* of the listener or the backend */
    const char *file;
};

/* A file that several name is told of once for each kind of use. */
static bool has_dates_of(const struct inspection *inspection, enum expiry_kind kind,
                         const char *file)
{
    for (size_t i = 0; i < inspection->date_count; i++) {
        if (inspection->dates[i].kind == kind && strcmp(inspection->dates[i].file, file) == 0) {
            return true;
        }
    }
    return false;
}

static void keep_authorities(struct inspection *inspection, const struct authority_use *use,
                             const struct trust *trust)
{
    struct expiry_date date = {.kind = use->kind, .name = use->name, .file = use->file};
    if (use->file == NULL || has_dates_of(inspection, use->kind, use->file)) {
        return;
    }
    char subject[SUBJECT_BYTES];
    time_t not_after = 0;
    for (size_t i = 0; trust_authority_at(trust, i, subject, sizeof(subject), &not_after); i++) {
        date.subject = subject;
        date.not_after = (int64_t)not_after;
        inspection_add_date(inspection, &date);
    }
}

/* Authorities first and lists then, so that the problem gets the right place. */
static void inspect_trust(struct inspection *inspection, const struct authority_use *use,
                          const struct config_file *ca, const struct config_file *crl,
                          const struct source *source, struct problem_list *problems)
{
    struct inspection_file authorities = {0};
    struct inspection_file revoked = {0};
    struct crypto_error error = {{0}};
    if (inspection_public_file_read(&authorities, source, CONFIG_FILE_CA, ca, TRUST_FILE_BYTES_MAX,
                                    problems)) {
        struct trust *trust =
            trust_read(inspection_file_bytes(&authorities), (struct bytes){0}, &error);
        if (trust == NULL) {
            problem_add(problems, &ca->place, "%s: %s", ca->path, error.text);
        } else if (crl->path != NULL &&
                   inspection_public_file_read(&revoked, source, CONFIG_FILE_CRL, crl,
                                               TRUST_FILE_BYTES_MAX, problems)) {
            trust_unref(trust);
            trust = trust_read(inspection_file_bytes(&authorities), inspection_file_bytes(&revoked),
                               &error);
            if (trust == NULL) {
                problem_add(problems, &crl->place, "%s: %s", crl->path,
                            revoked.len == 0 ? "the file is empty" : error.text);
            }
        }
        if (trust != NULL) {
            keep_authorities(inspection, use, trust);
        }
        trust_unref(trust);
    }
    inspection_file_fini(&authorities);
    inspection_file_fini(&revoked);
}

static bool has_tls_server(const struct config_backend *backend)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        if (config_scheme_is_tls(backend->servers[i].scheme)) {
            return true;
        }
    }
    return false;
}

/* The system's own bundle is nothing that an operator could renew. */
static void inspect_backend_trust(struct inspection *inspection,
                                  const struct config_backend *backend, const struct source *source,
                                  struct problem_list *problems)
{
    const struct authority_use use = {EXPIRY_BACKEND_CA, backend->name, backend->tls.ca.path};
    struct config_file ca = backend->tls.ca;
    if (ca.path == NULL && !has_tls_server(backend)) {
        return;
    }
    if (ca.path == NULL) {
        ca.path = snapshot_system_ca_path();
    }
    if (ca.path == NULL) {
        problem_add(problems, &ca.place, "ca: system: %s", SNAPSHOT_NO_SYSTEM_CA);
        return;
    }
    inspect_trust(inspection, &use, &ca, &backend->tls.crl, source, problems);
}

void inspection_look_at_trust(struct inspection *inspection, const struct config *config,
                              const struct source *source, struct problem_list *problems)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener_tls *tls = &config->listeners[i].tls;
        const struct authority_use use = {EXPIRY_CLIENT_CA, config->listeners[i].name,
                                          tls->client_ca.path};
        if (tls->client_ca.path != NULL) {
            inspect_trust(inspection, &use, &tls->client_ca, &tls->client_crl, source, problems);
        }
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        inspect_backend_trust(inspection, &config->backends[i], source, problems);
    }
}
