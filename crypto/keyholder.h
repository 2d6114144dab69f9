/* crypto/keyholder.h
 *
 * The keyholder: the loop of the one process that holds private keys. It polls one channel a
 * worker (key_channel.h) and one descriptor of the master, signs what granted workers ask for, and
 * gives out the ticket keys of the present epochs.
 *
 * Why it exists: whoever breaks into a process that faces the network finds no private key there,
 * and can only ask for signatures on the keys granted to it while the break lasts.
 *
 * Rules. There is no verb to load, read or replace a key over a worker's channel. A bad packet, a
 * key that is unknown or not granted, a scheme that does not fit the key, or a slot asked for twice
 * closes that channel and is counted; it never ends the process. Requests waiting per worker are
 * bounded by its slots (KEY_CHANNEL_SLOTS_MAX). A worker that does not read its answers stops only
 * itself. When the master's descriptor closes, the loop ends.
 *
 * A turn: read all that is there from all channels, choose what to sign next (workers in rotation),
 * sign it, answer; then look again. With nothing waiting it sleeps in poll. What is chosen is the
 * first request of the worker whose turn it is; where the machine can (signing_batch.h) and at
 * least four are waiting that can be computed together with it, up to eight. A lone request never
 * waits for others: there is no timer.
 *
 * Uses libcrypto, and libcrypto-mb where the build has it. No network, no files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crypto_error;
struct keyholder;
struct secret;

/* A configuration has at most so many keys; those of several are held while they follow each
 * other. */
enum {
    KEYHOLDER_KEYS_MAX = 4096,
    KEYHOLDER_HELD_MAX = 4 * KEYHOLDER_KEYS_MAX,
    KEYHOLDER_WORKERS_MAX = 512
};

struct keyholder_settings {
    /* Borrowed. Its end of file or hang-up ends the loop. */
    int master_descriptor;
    /* Called from the loop when the master has written something; reads it all, and may call
     * keyholder_add_key and keyholder_add_worker (a respawned worker's new channel arrives this
     * way). False ends the loop. NULL: what the master writes is thrown away. */
    bool (*on_master)(void *self, struct keyholder *keyholder, int master_descriptor);
    void *self;
    /* Copied; at least TICKET_SECRET_BYTES_MIN bytes. NULL: a random one, good for this process. */
    const struct secret *ticket_secret;
    uint32_t ticket_epoch_seconds; /* 0: the default */
    /* Seconds since 1970, for tests. NULL: the system's clock. */
    uint64_t (*now)(void *self);
};

/* Plain totals since the start. */
struct keyholder_counters {
    uint64_t signatures;
    uint64_t failures;       /* OpenSSL failed, or a signature did not verify */
    uint64_t batches;        /* calls that made several signatures */
    uint64_t faults;         /* results of those that did not verify: signed again by OpenSSL */
    uint64_t tickets;        /* epochs given out */
    uint64_t bad_messages;   /* each closed its channel */
    uint64_t bad_keys;       /* unknown, not granted, or not fitting; each closed its channel */
    uint64_t workers_closed; /* for any reason, a worker's own end included */
};

/* For a process that does nothing else: no core dump, no ptrace by its own user, memory locked if
 * the limits allow. Call it after the last change of user (that resets the first two). Returns
 * whether all memory is locked, that of later too; everything else here cannot fail on Linux. */
bool keyholder_harden(void);

/* NULL with a sentence in `error`. */
struct keyholder *keyholder_new(const struct keyholder_settings *settings,
                                struct crypto_error *error);
/* Closes the channels, frees the keys (OpenSSL wipes them). NULL is fine. */
void keyholder_free(struct keyholder *keyholder);

/* Loads one key from the bytes of a PEM or PKCS#12 file (private_key.h); the caller wipes `bytes`.
 * An id already there gets the new key. */
bool keyholder_add_key(struct keyholder *keyholder, uint32_t key_id, const uint8_t *bytes,
                       size_t len, const struct secret *password, struct crypto_error *error)
    __attribute__((warn_unused_result));
void keyholder_remove_key(struct keyholder *keyholder, uint32_t key_id);

/* Every worker may use the `count` keys from `first` on as well, or no more; those that are
 * removed are forgotten here too. What waits for one that was removed fails, and who asks for it
 * later breaks the rules: whoever removes has to know that nobody does. */
bool keyholder_grant(struct keyholder *keyholder, uint32_t first, size_t count,
                     struct crypto_error *error) __attribute__((warn_unused_result));
void keyholder_remove_keys(struct keyholder *keyholder, uint32_t first, size_t count);

/* Takes `descriptor`, one end of a SOCK_SEQPACKET pair, also when it fails. A worker, told by its
 * number, has one channel: its former one is closed, with what waited there. It may use the `count`
 * keys of `key_ids` (copied) and no other; they may be loaded later. */
bool keyholder_add_worker(struct keyholder *keyholder, uint32_t number, int descriptor,
                          const uint32_t *key_ids, size_t count, struct crypto_error *error)
    __attribute__((warn_unused_result));

/* One turn: sleeps up to `timeout_ms` (-1: for ever) when nothing waits. False: the master is
 * gone. */
bool keyholder_turn(struct keyholder *keyholder, int timeout_ms);

/* Turns until the master is gone. */
void keyholder_run(struct keyholder *keyholder);

/* How many signatures one call may make here; 0: one at a time. */
unsigned keyholder_batch_lanes(const struct keyholder *keyholder);

const struct keyholder_counters *keyholder_counters(const struct keyholder *keyholder);
