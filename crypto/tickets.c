/* crypto/tickets.c
 *
 *   places   [e % 3]  previous │ current │ next   the keyholder's keys: the three epochs of the
 *                                                 window never meet in one place
 *   own               random keys made here, sealing while the keyholder's are not there
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/tickets.h"

#include "crypto/secret.h"
#include "crypto/spent_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WINDOW = 3,
    EPOCH_SECONDS_MIN = 60,
    LIFETIME_SECONDS_MAX = 7 * 24 * 3600, /* RFC 8446 §4.6.1 */
};

/* What libssl's ticket callback returns. */
enum {
    TICKET_BROKEN = -1,
    TICKET_UNKNOWN = 0, /* opening: go on with a full handshake */
    TICKET_GOOD = 1,
    TICKET_RENEW = 2,
};

struct place {
    bool held;
    struct ticket_keys keys;
};

/* In locked pages. */
struct window {
    struct place places[WINDOW];
    struct place own;
};

struct tickets {
    struct secret memory;
    struct window *window; /* in `memory` */
    uint64_t current;
    uint32_t epoch_seconds;
    EVP_CIPHER *cipher;          /* fetched once: a fetch costs more than sealing a ticket */
    struct spent_tickets *spent; /* NULL: not set */
    uint8_t opened[SPENT_TICKETS_IV_BYTES]; /* the IV of the ticket that is being opened */
};

static void place_wipe(struct place *place)
{
    ticket_keys_wipe(&place->keys);
    place->held = false;
}

static bool is_in_window(const struct tickets *tickets, uint64_t epoch)
{
    return epoch + 1 >= tickets->current && epoch <= tickets->current + 1;
}

static struct place *place_of(const struct tickets *tickets, uint64_t epoch)
{
    return &tickets->window->places[epoch % WINDOW];
}

static bool holds(const struct tickets *tickets, uint64_t epoch)
{
    const struct place *place = place_of(tickets, epoch);
    return place->held && place->keys.epoch == epoch;
}

static bool make_own(struct tickets *tickets)
{
    struct place *own = &tickets->window->own;
    own->keys.epoch = tickets->current;
    own->held = RAND_bytes(own->keys.name, sizeof(own->keys.name)) == 1 &&
                RAND_priv_bytes(own->keys.aes, sizeof(own->keys.aes)) == 1 &&
                RAND_priv_bytes(own->keys.hmac, sizeof(own->keys.hmac)) == 1;
    return own->held;
}

/* Keys that seal: the current epoch's, else the one's before, else our own. */
static const struct ticket_keys *sealing_keys(const struct tickets *tickets)
{
    if (holds(tickets, tickets->current)) {
        return &place_of(tickets, tickets->current)->keys;
    }
    if (tickets->current > 0 && holds(tickets, tickets->current - 1)) {
        return &place_of(tickets, tickets->current - 1)->keys;
    }
    return tickets->window->own.held ? &tickets->window->own.keys : NULL;
}

/* The name is public: an ordinary comparison will do. */
static const struct ticket_keys *keys_named(const struct tickets *tickets, const uint8_t *name)
{
    const struct window *window = tickets->window;
    for (size_t i = 0; i < WINDOW; i++) {
        if (window->places[i].held &&
            memcmp(window->places[i].keys.name, name, TICKET_NAME_BYTES) == 0) {
            return &window->places[i].keys;
        }
    }
    bool is_own = window->own.held && memcmp(window->own.keys.name, name, TICKET_NAME_BYTES) == 0;
    return is_own ? &window->own.keys : NULL;
}

/* ---- what libssl calls ---- */

static bool set_hmac(EVP_MAC_CTX *mac, const struct ticket_keys *keys)
{
    char digest[] = "SHA2-256";
    /* OSSL_PARAM has no const; OpenSSL only reads here. */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)keys->hmac,
                                          sizeof(keys->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(const struct tickets *tickets, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                EVP_MAC_CTX *mac)
{
    const struct ticket_keys *keys = sealing_keys(tickets);
    /* Not TICKET_UNKNOWN: OpenSSL 3.0 would send an empty ticket, which TLS 1.3 does not have. */
    if (keys == NULL || RAND_bytes(iv, EVP_CIPHER_get_iv_length(tickets->cipher)) != 1 ||
        EVP_EncryptInit_ex2(cipher, tickets->cipher, keys->aes, iv, NULL) != 1 ||
        !set_hmac(mac, keys)) {
        return TICKET_BROKEN;
    }
    memcpy(name, keys->name, TICKET_NAME_BYTES);
    return TICKET_GOOD;
}

/* TLS 1.3 clients use a ticket once (RFC 8446 §C.4), and libssl gives a resumed conn a new one only
 * when told to renew; TLS 1.2 clients keep theirs until its keys grow old. */
static int unseal(struct tickets *tickets, bool always_renew, const uint8_t *name,
                  const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct ticket_keys *keys = keys_named(tickets, name);
    if (keys == NULL) {
        return TICKET_UNKNOWN;
    }
    if (EVP_DecryptInit_ex2(cipher, tickets->cipher, keys->aes, iv, NULL) != 1 ||
        !set_hmac(mac, keys)) {
        return TICKET_BROKEN;
    }
    memcpy(tickets->opened, iv, sizeof(tickets->opened));
    return always_renew || keys != sealing_keys(tickets) ? TICKET_RENEW : TICKET_GOOD;
}

/* The number under which an SSL_CTX keeps its tickets. OpenSSL gives one out per process, and its
 * callback has no argument of its own: hence a static variable. */
static int tickets_index(void)
{
    static int index = -1;
    if (index < 0) {
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    }
    return index;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    struct tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index());
    if (tickets == NULL) {
        return TICKET_BROKEN;
    }
    if (sealing) {
        return seal(tickets, name, iv, cipher, mac);
    }
    return unseal(tickets, SSL_version(ssl) == TLS1_3_VERSION, name, iv, cipher, mac);
}

/* ---- single use ---- */

static void on_ssl_free(void *ssl, void *iv, CRYPTO_EX_DATA *all, int index, long number,
                        void *pointer)
{
    (void)ssl;
    (void)all;
    (void)index;
    (void)number;
    (void)pointer;
    free(iv);
}

/* The number under which an SSL keeps the IV of the ticket that it has spent. */
static int spent_index(void)
{
    static int index = -1;
    if (index < 0) {
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
    }
    return index;
}

/* libssl opens the ticket of a second hello, which is the first one's, anew. */
static bool has_spent(const struct tickets *tickets, const SSL *ssl)
{
    const uint8_t *iv = SSL_get_ex_data(ssl, spent_index());
    return iv != NULL && memcmp(iv, tickets->opened, sizeof(tickets->opened)) == 0;
}

static bool note_spent(const struct tickets *tickets, SSL *ssl)
{
    uint8_t *iv = malloc(sizeof(tickets->opened));
    if (iv == NULL) {
        return false;
    }
    memcpy(iv, tickets->opened, sizeof(tickets->opened));
    void *former = SSL_get_ex_data(ssl, spent_index());
    bool is_set = SSL_set_ex_data(ssl, spent_index(), iv) == 1;
    free(is_set ? former : iv);
    return is_set;
}

bool tickets_spend(struct tickets *tickets, SSL *ssl, const SSL_SESSION *session)
{
    if (tickets->spent == NULL || spent_index() < 0) {
        return false;
    }
    time_t now = time(NULL);
    time_t ends = (time_t)SSL_SESSION_get_time(session) + (time_t)SSL_SESSION_get_timeout(session);
    if (has_spent(tickets, ssl)) {
        return true;
    }
    return ends >= now &&
           spent_tickets_spend(tickets->spent, tickets->opened, ends, now) == SPENT_NOW &&
           note_spent(tickets, ssl);
}

/* ---- the owner's calls ---- */

struct tickets *tickets_new(uint32_t epoch_seconds, uint64_t unix_seconds)
{
    struct tickets *tickets = calloc(1, sizeof(*tickets));
    if (tickets == NULL || epoch_seconds < EPOCH_SECONDS_MIN ||
        !secret_init(&tickets->memory, sizeof(struct window))) {
        free(tickets);
        return NULL;
    }
    tickets->window = secret_room(&tickets->memory);
    tickets->epoch_seconds = epoch_seconds;
    tickets->current = ticket_epoch(unix_seconds, epoch_seconds);
    tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (tickets->cipher == NULL || !make_own(tickets)) {
        tickets_free(tickets);
        return NULL;
    }
    return tickets;
}

void tickets_free(struct tickets *tickets)
{
    if (tickets != NULL) {
        EVP_CIPHER_free(tickets->cipher);
        secret_fini(&tickets->memory);
        free(tickets);
    }
}

bool tickets_install(struct tickets *tickets, SSL_CTX *server)
{
    long lifetime = tickets->epoch_seconds < LIFETIME_SECONDS_MAX ? (long)tickets->epoch_seconds
                                                                  : LIFETIME_SECONDS_MAX;
    (void)SSL_CTX_set_timeout(server, lifetime);
    return tickets_index() >= 0 && SSL_CTX_set_ex_data(server, tickets_index(), tickets) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(server, on_ticket) == 1;
}

void tickets_set_spent(struct tickets *tickets, struct spent_tickets *spent)
{
    tickets->spent = spent;
}

void tickets_advance(struct tickets *tickets, uint64_t unix_seconds)
{
    uint64_t epoch = ticket_epoch(unix_seconds, tickets->epoch_seconds);
    if (epoch == tickets->current) {
        return;
    }
    tickets->current = epoch;
    struct window *window = tickets->window;
    for (size_t i = 0; i < WINDOW; i++) {
        if (window->places[i].held && !is_in_window(tickets, window->places[i].keys.epoch)) {
            place_wipe(&window->places[i]);
        }
    }
    if (window->own.held && !is_in_window(tickets, window->own.keys.epoch)) {
        place_wipe(&window->own);
    }
    if (sealing_keys(tickets) == NULL) {
        (void)make_own(tickets);
    }
}

size_t tickets_missing(const struct tickets *tickets, uint64_t *epochs)
{
    size_t count = 0;
    if (!holds(tickets, tickets->current)) {
        epochs[count++] = tickets->current;
    }
    if (!holds(tickets, tickets->current + 1)) {
        epochs[count++] = tickets->current + 1;
    }
    if (tickets->current > 0 && !holds(tickets, tickets->current - 1)) {
        epochs[count++] = tickets->current - 1;
    }
    return count;
}

void tickets_put(struct tickets *tickets, const struct ticket_keys *keys)
{
    if (is_in_window(tickets, keys->epoch)) {
        struct place *place = place_of(tickets, keys->epoch);
        place_wipe(place);
        place->keys = *keys;
        place->held = true;
    }
}
