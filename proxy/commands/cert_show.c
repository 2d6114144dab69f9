/* proxy/commands/cert_show.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/cert_show.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/key_file.h"
#include "crypto/secret.h"

enum { DAY_SECONDS = 24 * 3600, TIME_TEXT = 32, PASSWORD_BYTES_MAX = 1024 };

static void time_text(time_t when, char out[TIME_TEXT])
{
    struct tm parts;
    if (gmtime_r(&when, &parts) == NULL ||
        strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        (void)snprintf(out, TIME_TEXT, "?");
    }
}

/* ---- for people ---- */

static void print_dates(const struct certificate_facts *facts, time_t now)
{
    char from[TIME_TEXT];
    char to[TIME_TEXT];
    time_text(facts->not_before, from);
    time_text(facts->not_after, to);
    (void)printf("valid        %s to %s  (", from, to);
    if (now < facts->not_before) {
        (void)printf("not yet)\n");
    } else if (now > facts->not_after) {
        (void)printf("EXPIRED %lld days ago)\n", (long long)(now - facts->not_after) / DAY_SECONDS);
    } else {
        (void)printf("%lld days left)\n", (long long)(facts->not_after - now) / DAY_SECONDS);
    }
}

static void print_key(const struct certificate_facts *facts)
{
    (void)printf("key          %s %u bits%s%s, %u bits of security\n",
                 certificate_key_name(facts->key), facts->key_bits,
                 facts->curve[0] != '\0' ? ", " : "", facts->curve, facts->security_bits);
}

static void print_text(const struct certificate_facts *facts, time_t now)
{
    (void)printf("subject      %s\n", facts->subject);
    (void)printf("names       ");
    for (size_t i = 0; i < facts->name_count; i++) {
        (void)printf(" %s", facts->names[i]);
    }
    (void)printf("%s\n", facts->name_count == 0 ? " none: no client will accept it" : "");
    (void)printf("issuer       %s%s\n", facts->issuer,
                 facts->is_self_signed ? "  (self-signed)" : "");
    print_dates(facts, now);
    print_key(facts);
    (void)printf("serial       %s\n", facts->serial);
    (void)printf("sha256       %s\n", facts->sha256_text);
    (void)printf("pin          %s\n", facts->pin);
    (void)printf("chain        %zu certificate%s to send\n", facts->chain_len,
                 facts->chain_len == 1 ? "" : "s");
    if (facts->ocsp_url[0] != '\0') {
        (void)printf("ocsp         %s\n", facts->ocsp_url);
    }
    if (facts->is_ca) {
        (void)printf("authority    yes\n");
    }
}

/* ---- JSON ---- */

static json_t *make_json(const struct certificate_facts *facts, time_t now)
{
    char from[TIME_TEXT];
    char to[TIME_TEXT];
    time_text(facts->not_before, from);
    time_text(facts->not_after, to);
    json_t *names = json_array();
    for (size_t i = 0; i < facts->name_count; i++) {
        (void)json_array_append_new(names, json_string(facts->names[i]));
    }
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:b, s:s, s:i, s:s, s:i, s:s, s:s, s:i, s:b, "
                     "s:b, s:s}",
                     "subject", facts->subject, "names", names, "issuer", facts->issuer, "serial",
                     facts->serial, "not_before", from, "not_after", to, "valid_now",
                     facts->not_before <= now && now <= facts->not_after, "key",
                     certificate_key_name(facts->key), "key_bits", (int)facts->key_bits, "curve",
                     facts->curve, "security_bits", (int)facts->security_bits, "sha256",
                     facts->sha256_text, "pin", facts->pin, "chain", (int)facts->chain_len,
                     "self_signed", facts->is_self_signed, "authority", facts->is_ca, "ocsp",
                     facts->ocsp_url);
}

static bool print_json(const struct certificate_facts *facts, time_t now,
                       struct crypto_error *error)
{
    json_t *json = make_json(facts, now);
    bool is_printed = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0;
    json_decref(json);
    if (!is_printed) {
        crypto_error_set(error, "cannot be written as JSON");
        return false;
    }
    (void)printf("\n");
    return true;
}

/* ---- reading ---- */

static bool read_password(struct secret *password, const char *path, struct crypto_error *error)
{
    size_t len = 0;
    uint8_t *bytes = key_file_read(path, PASSWORD_BYTES_MAX, &len, error);
    if (bytes == NULL) {
        struct crypto_error why = *error;
        crypto_error_set(error, "the password file %.100s: %.160s", path, why.text);
        return false;
    }
    size_t kept = len > 0 && bytes[len - 1] == '\n' ? len - 1 : len;
    bool is_read = secret_init(password, PASSWORD_BYTES_MAX) && secret_set(password, bytes, kept);
    if (!is_read) {
        crypto_error_set(error, "out of memory");
    }
    key_file_forget(bytes, len);
    return is_read;
}

static struct certificate *read_certificate(const char *path, const struct secret *password,
                                            struct crypto_error *error)
{
    size_t len = 0;
    uint8_t *bytes = key_file_read(path, CERTIFICATE_FILE_BYTES_MAX, &len, error);
    if (bytes == NULL) {
        return NULL;
    }
    struct certificate *certificate = certificate_read((struct bytes){bytes, len}, password, error);
    key_file_forget(bytes, len);
    return certificate;
}

bool cert_show(const char *path, const char *password_file, bool is_json,
               struct crypto_error *error)
{
    struct secret password = {0};
    struct certificate *certificate = NULL;
    if (password_file == NULL || read_password(&password, password_file, error)) {
        certificate = read_certificate(path, &password, error);
    }
    secret_fini(&password);
    if (certificate == NULL) {
        return false;
    }
    const struct certificate_facts *facts = certificate_facts(certificate);
    bool is_shown = true;
    if (is_json) {
        is_shown = print_json(facts, time(NULL), error);
    } else {
        print_text(facts, time(NULL));
    }
    certificate_unref(certificate);
    return is_shown;
}
