/* tests/bench/gossip_cipher.c
 *
 * What sealing, opening and refusing a packet costs, beside AES-256-GCM alone: the same bytes
 * through one update of a running OpenSSL context (no nonce, no tag, no label). And what
 * remembering its nonce costs.
 *
 *   bench_gossip_cipher [BYTES...]       default 100 512 1400
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/gossip_cipher.h"
#include "proxy/gossip/replay_window.h"

enum { ROUNDS = 5, PER_ROUND = 400000, PACKETS = 64, WINDOW_NONCES = 65536 };

static const char RING[] = "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ=\n"
                           "Y3qgfuHq8j3HOW0NpngWgA==\n";

struct bench {
    struct gossip_cipher *cipher;
    EVP_CIPHER_CTX *bare;
    struct replay_window window;
    size_t len; /* of the plaintext */
    size_t sealed_len;
    uint8_t room[GOSSIP_PACKET_BYTES_MAX + GOSSIP_TAIL_BYTES_MAX];
    uint8_t copy[PACKETS][2048];
};

typedef bool bench_step(struct bench *bench, size_t i);

static bool step_seal(struct bench *bench, size_t i)
{
    (void)i;
    return gossip_packet_seal(bench->cipher, 1, (struct bytes){0}, bench->room, bench->len,
                              &bench->sealed_len) == GOSSIP_FINE;
}

/* Opening destroys the packet, so copies are opened; the copying is in the figure. */
static bool step_open(struct bench *bench, size_t i)
{
    uint8_t *packet = bench->copy[i % PACKETS];
    struct bytes plain;
    size_t key;
    memcpy(packet, bench->room, bench->sealed_len);
    return gossip_packet_open(bench->cipher, (struct bytes){0}, packet, bench->sealed_len, &plain,
                              &key) == GOSSIP_FINE;
}

/* What a stranger's packet costs: both keys of the ring are tried, and it is put right again. */
static bool step_refuse(struct bench *bench, size_t i)
{
    struct bytes plain;
    size_t key;
    struct bytes other_label = {(const uint8_t *)"x", 1};
    (void)i;
    return gossip_packet_open(bench->cipher, other_label, bench->room, bench->sealed_len, &plain,
                              &key) == GOSSIP_NO_KEY;
}

static bool step_bare(struct bench *bench, size_t i)
{
    int ignored;
    (void)i;
    return EVP_EncryptUpdate(bench->bare, bench->room, &ignored, bench->room, (int)bench->len) == 1;
}

/* Nonces that look random and never repeat; making them is in the figure. */
static bool step_window(struct bench *bench, size_t i)
{
    static uint64_t number;
    uint8_t nonce[GOSSIP_NONCE_BYTES] = {0};
    uint64_t value = ++number * 0xd6e8feb86659fd93U;
    (void)i;
    memcpy(nonce + GOSSIP_NONCE_BYTES - sizeof(value), &value, sizeof(value));
    return replay_window_add(&bench->window, nonce);
}

static double seconds_of_processor(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Nanoseconds for one: of the best round, as others use the processor too. -1: something failed. */
static double measure(struct bench *bench, bench_step *step)
{
    double best = -1;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = seconds_of_processor();
        for (size_t i = 0; i < PER_ROUND; i++) {
            if (!step(bench, i)) {
                return -1;
            }
        }
        double each = (seconds_of_processor() - begin) / PER_ROUND * 1e9;
        best = best < 0 || each < best ? each : best;
    }
    return best;
}

static bool print_row(struct bench *bench, size_t len)
{
    bench->len = len;
    double seal = measure(bench, step_seal);
    double open = measure(bench, step_open);
    double refuse = measure(bench, step_refuse);
    double bare = measure(bench, step_bare);
    double window = measure(bench, step_window);
    if (window < 0 || seal < 0 || open < 0 || refuse < 0 || bare < 0) {
        return false;
    }
    (void)printf("%6zu bytes   seal %6.0f ns   open %6.0f ns   refuse (2 keys) %6.0f ns   "
                 "AES-256-GCM alone %6.0f ns   window %3.0f ns\n",
                 len, seal, open, refuse, bare, window);
    return true;
}

static bool begin(struct bench *bench)
{
    static const uint8_t key[32];
    static const uint8_t nonce[GOSSIP_NONCE_BYTES];
    struct keyring *ring =
        keyring_parse((struct bytes){(const uint8_t *)RING, sizeof(RING) - 1}, NULL);
    bench->cipher = ring != NULL ? gossip_cipher_new(ring, NULL) : NULL;
    keyring_free(ring);
    bench->bare = EVP_CIPHER_CTX_new();
    return bench->cipher != NULL && bench->bare != NULL &&
           replay_window_init(&bench->window, WINDOW_NONCES) == STATUS_OK &&
           EVP_EncryptInit_ex2(bench->bare, EVP_aes_256_gcm(), key, nonce, NULL) == 1;
}

int main(int argc, char **argv)
{
    static const char *const SIZES[] = {"100", "512", "1400"};
    static struct bench bench;
    bool is_fine = begin(&bench);
    int count = argc > 1 ? argc - 1 : (int)(sizeof(SIZES) / sizeof(SIZES[0]));
    for (int i = 0; is_fine && i < count; i++) {
        size_t len = strtoul(argc > 1 ? argv[i + 1] : SIZES[i], NULL, 10);
        is_fine = len > 0 &&
                  len <= sizeof(bench.copy[0]) - GOSSIP_TAIL_BYTES_MAX - GOSSIP_HEAD_BYTES &&
                  print_row(&bench, len);
    }
    if (!is_fine) {
        (void)fprintf(stderr, "bench_gossip_cipher: failed; sizes are 1 to 1900 bytes\n");
    }
    gossip_cipher_free(bench.cipher);
    EVP_CIPHER_CTX_free(bench.bare);
    replay_window_fini(&bench.window);
    return is_fine ? 0 : 1;
}
