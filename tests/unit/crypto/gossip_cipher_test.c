/* tests/unit/crypto/gossip_cipher_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gossip_cipher.c"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "crypto/base64.h"

enum {
    TAMPER_ALL_BELOW =
        4096, /* every byte of what is shorter; of longer ones the ends and a sample */
    TAMPER_ENDS = 64,
    TAMPER_STRIDE = 997,
    PLAIN_MAX = 256 * 1024,
    ROOM = PLAIN_MAX + 512,
};

static json_t *vectors;

static int load_vectors(void **state)
{
    (void)state;
    json_error_t error;
    vectors = json_load_file("tests/vectors/memberlist.json", 0, &error);
    return vectors == NULL ? -1 : 0;
}

static int free_vectors(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

/* ---- reading vectors ---- */

static const char *text_of(const json_t *row, const char *name)
{
    return json_string_value(json_object_get(row, name));
}

static size_t number_of(const json_t *row, const char *name)
{
    return (size_t)json_integer_value(json_object_get(row, name));
}

static size_t from_hex(uint8_t *out, const char *hex)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return len;
}

static void put_pattern(uint8_t *out, size_t len)
{
    uint32_t x = 2463534242U;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out[i] = (uint8_t)x;
    }
}

static size_t plain_of(const json_t *row, uint8_t *out)
{
    if (text_of(row, "plain") != NULL) {
        return from_hex(out, text_of(row, "plain"));
    }
    size_t len = number_of(row, "plain_pattern");
    assert_true(len <= PLAIN_MAX);
    put_pattern(out, len);
    return len;
}

/* Compares with `wire`, or with its ends and its hash. */
static void assert_wire(const json_t *row, const uint8_t *wire, size_t len)
{
    static uint8_t expected[ROOM];
    if (text_of(row, "wire") != NULL) {
        assert_int_equal(len, from_hex(expected, text_of(row, "wire")));
        assert_memory_equal(wire, expected, len);
        return;
    }
    assert_int_equal(len, number_of(row, "wire_len"));
    assert_memory_equal(wire, expected, from_hex(expected, text_of(row, "wire_head")));
    size_t tail = from_hex(expected, text_of(row, "wire_tail"));
    assert_memory_equal(wire + len - tail, expected, tail);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    assert_int_equal(EVP_Digest(wire, len, hash, NULL, EVP_sha256(), NULL), 1);
    (void)from_hex(expected, text_of(row, "wire_sha256"));
    assert_memory_equal(hash, expected, sizeof(hash));
}

static struct bytes label_of(const json_t *row)
{
    const char *label = text_of(row, "label");
    return label == NULL ? (struct bytes){0}
                         : (struct bytes){(const uint8_t *)label, strlen(label)};
}

/* ---- ciphers ---- */

static struct keyring *ring_of(const json_t *names)
{
    char text[1024] = "";
    const json_t *name;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)names, i, name)
    {
        const json_t *key =
            json_object_get(json_object_get(vectors, "keys"), json_string_value(name));
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n",
                       text_of(key, "base64"));
    }
    struct keyring *ring = keyring_parse((struct bytes){(uint8_t *)text, strlen(text)}, NULL);
    assert_non_null(ring);
    return ring;
}

static struct gossip_cipher *cipher_of_names(const json_t *names)
{
    struct keyring *ring = ring_of(names);
    struct gossip_cipher *cipher = gossip_cipher_new(ring, NULL);
    keyring_free(ring);
    assert_non_null(cipher);
    return cipher;
}

/* One a name, as most vectors have the same few keys. */
static struct gossip_cipher *cipher_of_key(const char *name)
{
    json_t *names = json_pack("[s]", name);
    struct gossip_cipher *cipher = cipher_of_names(names);
    json_decref(names);
    return cipher;
}

struct sealed {
    bool is_frame;
    struct bytes label;
    const uint8_t *wire;
    size_t len;
};

static enum gossip_refusal open_copy(struct gossip_cipher *cipher, const struct sealed *sealed,
                                     uint8_t *copy, struct bytes *plain)
{
    size_t key;
    memcpy(copy, sealed->wire, sealed->len);
    return sealed->is_frame
               ? gossip_frame_open(cipher, sealed->label, copy, sealed->len, plain, &key)
               : gossip_packet_open(cipher, sealed->label, copy, sealed->len, plain, &key);
}

/* The version is not authenticated: the one change that may pass, and how. */
static bool is_known_to_pass(const struct sealed *sealed, size_t at, struct bytes plain,
                             struct bytes changed)
{
    if (at != (sealed->is_frame ? GOSSIP_FRAME_HEAD_BYTES : 0)) {
        return false;
    }
    size_t less = plain.len < changed.len ? plain.len : changed.len;
    size_t more = plain.len < changed.len ? changed.len : plain.len;
    return more - less <= GOSSIP_PAD_BYTES_MAX && memcmp(plain.at, changed.at, less) == 0;
}

static void assert_tampering_is_refused(struct gossip_cipher *cipher, const struct sealed *sealed,
                                        struct bytes plain)
{
    static uint8_t changed[ROOM];
    static uint8_t copy[ROOM];
    memcpy(changed, sealed->wire, sealed->len);
    struct sealed tampered = *sealed;
    tampered.wire = changed;
    for (size_t i = 0; i < sealed->len; i++) {
        bool is_end = i < TAMPER_ENDS || i + TAMPER_ENDS >= sealed->len;
        if (sealed->len > TAMPER_ALL_BELOW && !is_end && i % TAMPER_STRIDE != 0) {
            continue;
        }
        changed[i] ^= 1;
        struct bytes got;
        if (open_copy(cipher, &tampered, copy, &got) == GOSSIP_FINE) {
            assert_true(is_known_to_pass(sealed, i, plain, got));
        } else {
            assert_memory_equal(copy, changed, sealed->len);
        }
        changed[i] ^= 1;
    }
}

/* ---- vectors ---- */

/* Opens to the plaintext, or to nothing if that is empty; then every change is refused. */
static void assert_opens(struct gossip_cipher *cipher, const struct sealed *sealed,
                         struct bytes plain)
{
    static uint8_t copy[ROOM];
    struct bytes got = {0};
    enum gossip_refusal refusal = open_copy(cipher, sealed, copy, &got);
    if (plain.len == 0) {
        assert_int_equal(refusal, GOSSIP_EMPTY);
        assert_memory_equal(copy, sealed->wire, sealed->len);
    } else {
        assert_int_equal(refusal, GOSSIP_FINE);
        assert_int_equal(got.len, plain.len);
        assert_memory_equal(got.at, plain.at, plain.len);
    }
    assert_tampering_is_refused(cipher, sealed, plain);
}

/* Sealed by us with the vector's nonce, these are the library's bytes; then opened again. */
static void assert_row_seals_and_opens(const json_t *row, bool is_frame)
{
    static uint8_t plain[ROOM];
    static uint8_t room[ROOM];
    struct bytes label = label_of(row);
    size_t len = plain_of(row, plain);
    unsigned version = (unsigned)number_of(row, "version");
    bool has_header = !is_frame && label.len > 0;
    uint8_t *message = room + (has_header ? gossip_label_put(room, label) : 0);
    uint8_t *begin = message;
    struct beside beside = {.label = label};
    if (is_frame) {
        put_head(message, sealed_bytes(version, len));
        beside.head = (struct bytes){message, GOSSIP_FRAME_HEAD_BYTES};
        message += GOSSIP_FRAME_HEAD_BYTES;
    }
    memcpy(message + GOSSIP_HEAD_BYTES, plain, len);
    assert_int_equal(from_hex(message + 1, text_of(row, "nonce")), GOSSIP_NONCE_BYTES);
    struct gossip_cipher *cipher = cipher_of_key(text_of(row, "key"));
    assert_true(seal_with_nonce(cipher, version, &beside, message, len));
    size_t sealed_len =
        is_frame ? gossip_frame_bytes(version, len) : gossip_packet_bytes(version, len);
    assert_wire(row, room, (size_t)(begin - room) + sealed_len);
    struct sealed sealed = {is_frame, label, begin, sealed_len};
    assert_opens(cipher, &sealed, (struct bytes){plain, len});
    gossip_cipher_free(cipher);
}

static void assert_section_seals_and_opens(const char *section, bool is_frame, size_t least)
{
    const json_t *rows = json_object_get(vectors, section);
    const json_t *row;
    size_t i;
    assert_true(json_array_size(rows) >= least);
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        assert_row_seals_and_opens(row, is_frame);
    }
}

static void seals_packets_to_the_bytes_of_the_library_and_opens_them(void **state)
{
    (void)state;
    assert_section_seals_and_opens("packets", false, 78);
    assert_section_seals_and_opens("label_packets", false, 72);
}

static void seals_frames_to_the_bytes_of_the_library_and_opens_them(void **state)
{
    (void)state;
    assert_section_seals_and_opens("streams", true, 42);
    assert_section_seals_and_opens("label_streams", true, 54);
}

/* Recorded between two nodes: with a label header or without, encrypted or (no key) not. */
static void assert_recorded_opens(const json_t *row, bool is_frame)
{
    static uint8_t wire[ROOM];
    static uint8_t plain[ROOM];
    struct bytes rest = {wire, from_hex(wire, text_of(row, "wire"))};
    struct bytes taken;
    assert_int_equal(gossip_label_take(&rest, &taken), GOSSIP_FINE);
    struct bytes label = label_of(row);
    if (taken.len > 0) {
        assert_int_equal(taken.len, label.len);
        assert_memory_equal(taken.at, label.at, label.len);
    }
    if (text_of(row, "key") == NULL) {
        return;
    }
    size_t len = plain_of(row, plain);
    struct gossip_cipher *cipher = cipher_of_key(text_of(row, "key"));
    struct sealed sealed = {is_frame, label, rest.at, rest.len};
    assert_opens(cipher, &sealed, (struct bytes){plain, len});
    gossip_cipher_free(cipher);
}

static void opens_what_two_nodes_of_the_library_said_to_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *section;
        bool is_frame;
        size_t least;
    } SECTIONS[] = {
        {"encrypted_packets", false, 8},
        {"encrypted_streams", true, 25},
        {"label_exchange_packets", false, 4},
        {"label_encrypted_streams", true, 6},
    };
    for (size_t i = 0; i < sizeof(SECTIONS) / sizeof(SECTIONS[0]); i++) {
        const json_t *rows = json_object_get(vectors, SECTIONS[i].section);
        assert_true(json_array_size(rows) >= SECTIONS[i].least);
        for (size_t j = 0; j < json_array_size(rows); j++) {
            assert_recorded_opens(json_array_get(rows, j), SECTIONS[i].is_frame);
        }
    }
}

static void refuses_recorded_plaintext_and_leaves_it_as_it_is(void **state)
{
    (void)state;
    static const char *const SECTIONS[] = {"plain_packets", "plain_streams", "label_plain_streams"};
    static uint8_t wire[ROOM];
    static uint8_t copy[ROOM];
    struct gossip_cipher *cipher = cipher_of_key("k32");
    for (size_t i = 0; i < sizeof(SECTIONS) / sizeof(SECTIONS[0]); i++) {
        const json_t *rows = json_object_get(vectors, SECTIONS[i]);
        assert_true(json_array_size(rows) >= 4);
        for (size_t j = 0; j < json_array_size(rows); j++) {
            struct sealed sealed = {i > 0, {0}, wire, 0};
            struct bytes plain;
            sealed.len = from_hex(wire, text_of(json_array_get(rows, j), "wire"));
            assert_int_equal(open_copy(cipher, &sealed, copy, &plain),
                             i > 0 ? GOSSIP_FRAME : GOSSIP_VERSION);
            assert_memory_equal(copy, wire, sealed.len);
        }
    }
    gossip_cipher_free(cipher);
}

static void opens_with_whichever_key_fits_and_names_it(void **state)
{
    (void)state;
    static uint8_t wire[ROOM];
    static uint8_t plain[ROOM];
    const json_t *rows = json_object_get(vectors, "keyring");
    assert_true(json_array_size(rows) >= 3);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        struct gossip_cipher *cipher = cipher_of_names(json_object_get(row, "keyring"));
        size_t len = from_hex(wire, text_of(row, "wire"));
        size_t key = SIZE_MAX;
        struct bytes got;
        assert_int_equal(gossip_packet_open(cipher, (struct bytes){0}, wire, len, &got, &key),
                         GOSSIP_FINE);
        assert_int_equal(key, number_of(row, "match_index"));
        assert_int_equal(got.len, from_hex(plain, text_of(row, "plain")));
        assert_memory_equal(got.at, plain, got.len);
        gossip_cipher_free(cipher);
    }
}

static enum gossip_refusal expected_of(const char *id)
{
    static const struct {
        const char *id;
        enum gossip_refusal refusal;
    } EXPECTED[] = {
        {"empty", GOSSIP_EMPTY},       {"version-2", GOSSIP_VERSION},
        {"v1-28-bytes", GOSSIP_SHORT}, {"v0-44-bytes", GOSSIP_SHORT},
        {"only-type", GOSSIP_LABEL},   {"zero-length", GOSSIP_LABEL},
        {"truncated", GOSSIP_LABEL},   {"plaintext-user-msg", GOSSIP_VERSION},
    };
    for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
        if (strcmp(EXPECTED[i].id, id) == 0) {
            return EXPECTED[i].refusal;
        }
    }
    return GOSSIP_NO_KEY;
}

static void refuses_what_the_library_refuses_with_the_reason(void **state)
{
    (void)state;
    static uint8_t wire[ROOM];
    static uint8_t copy[ROOM];
    const json_t *rows = json_object_get(vectors, "negative");
    assert_true(json_array_size(rows) >= 16);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        uint8_t aad[64];
        size_t key;
        struct bytes plain;
        struct bytes label = {aad, from_hex(aad, text_of(row, "aad"))};
        struct gossip_cipher *cipher = cipher_of_names(json_object_get(row, "keyring"));
        size_t len = from_hex(wire, text_of(row, "wire"));
        memcpy(copy, wire, len);
        assert_int_equal(gossip_packet_open(cipher, label, copy, len, &plain, &key),
                         expected_of(text_of(row, "id")));
        assert_memory_equal(copy, wire, len);
        gossip_cipher_free(cipher);
    }
}

static void refuses_malformed_labels_and_those_of_another_cluster(void **state)
{
    (void)state;
    const json_t *rows = json_object_get(vectors, "label_negative");
    assert_true(json_array_size(rows) >= 5);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        uint8_t wire[512];
        uint8_t aad[64];
        size_t key;
        struct bytes taken;
        struct bytes packet = {wire, from_hex(wire, text_of(row, "wire"))};
        enum gossip_refusal refusal = gossip_label_take(&packet, &taken);
        if (refusal == GOSSIP_FINE) {
            struct gossip_cipher *cipher = cipher_of_key(text_of(row, "key"));
            struct bytes label = {aad, from_hex(aad, text_of(row, "aad"))};
            struct bytes plain;
            refusal = gossip_packet_open(cipher, label, wire, packet.len, &plain, &key);
            gossip_cipher_free(cipher);
        }
        assert_int_equal(refusal, expected_of(text_of(row, "id")));
    }
}

/* The library strips 4 bytes here; no sender pads 96 bytes to 100. */
static void refuses_a_flipped_version_unless_it_looks_padded_to_a_block(void **state)
{
    (void)state;
    uint8_t wire[512];
    size_t key;
    struct bytes plain;
    const json_t *row = json_object_get(vectors, "version_not_authenticated");
    struct gossip_cipher *cipher = cipher_of_key(text_of(row, "key"));
    size_t len = from_hex(wire, text_of(row, "wire"));
    assert_int_equal(gossip_packet_open(cipher, (struct bytes){0}, wire, len, &plain, &key),
                     GOSSIP_PADDING);

    /* What remains: nothing in the format tells this one from a padded message. */
    memset(wire, 4, sizeof(wire));
    assert_int_equal(gossip_packet_seal(cipher, 1, (struct bytes){0}, wire, 112, &len),
                     GOSSIP_FINE);
    wire[0] = 0;
    assert_int_equal(gossip_packet_open(cipher, (struct bytes){0}, wire, len, &plain, &key),
                     GOSSIP_FINE);
    assert_int_equal(plain.len, 108);
    gossip_cipher_free(cipher);
}

/* ---- what vectors do not have ---- */

/* Seals as version 1 what is then opened as version 0: any padding can be made so. */
static enum gossip_refusal open_padded(struct gossip_cipher *cipher, const uint8_t *text,
                                       size_t len, size_t *plain_len)
{
    uint8_t room[256];
    uint8_t before[256];
    size_t sealed;
    size_t key = SIZE_MAX;
    struct bytes plain = {0};
    memcpy(room + GOSSIP_HEAD_BYTES, text, len);
    assert_int_equal(gossip_packet_seal(cipher, 1, (struct bytes){0}, room, len, &sealed),
                     GOSSIP_FINE);
    room[0] = 0;
    memcpy(before, room, sealed);
    enum gossip_refusal refusal =
        gossip_packet_open(cipher, (struct bytes){0}, room, sealed, &plain, &key);
    if (refusal != GOSSIP_FINE) {
        assert_memory_equal(room, before, sealed);
    }
    assert_int_equal(key, 0);
    *plain_len = plain.len;
    return refusal;
}

static void padding_is_checked_byte_by_byte(void **state)
{
    (void)state;
    struct gossip_cipher *cipher = cipher_of_key("k16");
    for (unsigned pad = 0; pad < 256; pad++) {
        uint8_t text[32];
        size_t len;
        memset(text, (int)pad, sizeof(text));
        enum gossip_refusal refusal = open_padded(cipher, text, sizeof(text), &len);
        assert_int_equal(refusal, pad >= 1 && pad <= 16 ? GOSSIP_FINE : GOSSIP_PADDING);
        if (refusal == GOSSIP_FINE) {
            assert_int_equal(len, 32 - pad);
        }
        for (size_t i = 32 - pad; pad >= 1 && pad <= 16 && i < 31; i++) {
            text[i] ^= 0x20;
            assert_int_equal(open_padded(cipher, text, sizeof(text), &len), GOSSIP_PADDING);
            text[i] ^= 0x20;
        }
    }
    uint8_t nothing[16];
    size_t len;
    memset(nothing, 16, sizeof(nothing));
    assert_int_equal(open_padded(cipher, nothing, sizeof(nothing), &len), GOSSIP_EMPTY);
    gossip_cipher_free(cipher);
}

static void each_length_round_trips_in_both_versions_with_the_sizes_told(void **state)
{
    (void)state;
    struct gossip_cipher *cipher = cipher_of_key("k32");
    uint8_t room[GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES + 300 + GOSSIP_TAIL_BYTES_MAX];
    struct bytes label = {(const uint8_t *)"prod", 4};
    for (unsigned version = 0; version < 2; version++) {
        for (size_t len = 1; len <= 300; len++) {
            size_t sealed;
            size_t key;
            struct bytes plain;
            memset(room + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, (int)len, len);
            assert_int_equal(gossip_frame_seal(cipher, version, label, room, len, &sealed),
                             GOSSIP_FINE);
            assert_int_equal(sealed, gossip_frame_bytes(version, len));
            size_t named;
            assert_int_equal(gossip_frame_length(room, &named), GOSSIP_FINE);
            assert_int_equal(named, sealed);
            assert_int_equal(gossip_frame_open(cipher, label, room, sealed, &plain, &key),
                             GOSSIP_FINE);
            assert_int_equal(plain.len, len);
            assert_int_equal(plain.at[len - 1], (uint8_t)len);
        }
    }
    gossip_cipher_free(cipher);
}

static void refuses_to_seal_what_nobody_would_take(void **state)
{
    (void)state;
    static uint8_t room[70000];
    static uint8_t before[70000];
    struct gossip_cipher *cipher = cipher_of_key("k32");
    struct bytes none = {0};
    struct bytes long_label = {before, 256};
    size_t len;
    assert_int_equal(gossip_packet_seal(cipher, 2, none, room, 9, &len), GOSSIP_VERSION);
    assert_int_equal(gossip_packet_seal(cipher, 1, long_label, room, 9, &len), GOSSIP_LABEL);
    assert_int_equal(gossip_packet_seal(cipher, 1, none, room, 0, &len), GOSSIP_EMPTY);
    assert_int_equal(gossip_packet_seal(cipher, 1, none, room, 65479, &len), GOSSIP_LONG);
    assert_int_equal(gossip_packet_seal(cipher, 0, none, room, 65472, &len), GOSSIP_LONG);
    assert_int_equal(gossip_packet_seal(cipher, 1, none, room, SIZE_MAX, &len), GOSSIP_LONG);
    assert_int_equal(gossip_frame_seal(cipher, 1, none, room, 20 * 1024 * 1024 - 28, &len),
                     GOSSIP_LONG);
    assert_memory_equal(room, before, sizeof(room));
    assert_int_equal(gossip_packet_seal(cipher, 1, none, room, 65478, &len), GOSSIP_FINE);
    assert_int_equal(len, GOSSIP_PACKET_BYTES_MAX);
    gossip_cipher_free(cipher);
}

static void the_length_of_a_frame_is_bounded(void **state)
{
    (void)state;
    static const struct {
        uint8_t head[GOSSIP_FRAME_HEAD_BYTES];
        enum gossip_refusal refusal;
    } CASES[] = {
        {{0x0a, 0, 0, 0, 29}, GOSSIP_FINE},      {{0x0a, 0, 0, 0, 28}, GOSSIP_SHORT},
        {{0x0a, 0, 0, 0, 0}, GOSSIP_SHORT},      {{0x0a, 0x01, 0x40, 0, 0}, GOSSIP_FINE},
        {{0x0a, 0x01, 0x40, 0, 1}, GOSSIP_LONG}, {{0x0a, 0xff, 0xff, 0xff, 0xff}, GOSSIP_LONG},
        {{0x06, 0, 0, 0, 64}, GOSSIP_FRAME},     {{0xf4, 0, 0, 0, 64}, GOSSIP_FRAME},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        size_t len;
        assert_int_equal(gossip_frame_length(CASES[i].head, &len), CASES[i].refusal);
    }
}

static void a_frame_of_another_length_than_it_names_is_refused(void **state)
{
    (void)state;
    uint8_t room[128] = {0};
    size_t len;
    size_t key;
    struct bytes plain;
    struct bytes none = {0};
    struct gossip_cipher *cipher = cipher_of_key("k24");
    assert_int_equal(gossip_frame_seal(cipher, 1, none, room, 20, &len), GOSSIP_FINE);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(gossip_frame_open(cipher, none, room, i, &plain, &key),
                         i == 0 ? GOSSIP_EMPTY : GOSSIP_SHORT);
    }
    assert_int_equal(gossip_frame_open(cipher, none, room, len + 1, &plain, &key), GOSSIP_LONG);
    assert_int_equal(gossip_frame_open(cipher, none, room, len, &plain, &key), GOSSIP_FINE);
    gossip_cipher_free(cipher);
}

static void a_label_is_taken_as_it_was_put(void **state)
{
    (void)state;
    uint8_t room[GOSSIP_LABEL_HEAD_BYTES + GOSSIP_LABEL_BYTES_MAX + 1];
    uint8_t text[GOSSIP_LABEL_BYTES_MAX + 1];
    memset(text, 'l', sizeof(text));
    for (size_t len = 0; len <= GOSSIP_LABEL_BYTES_MAX + 1; len++) {
        size_t put = gossip_label_put(room, (struct bytes){text, len});
        assert_int_equal(put, len == 0 || len > GOSSIP_LABEL_BYTES_MAX ? 0 : len + 2);
        room[put] = 1;
        struct bytes packet = {room, put + 1};
        struct bytes label;
        assert_int_equal(gossip_label_take(&packet, &label), GOSSIP_FINE);
        assert_int_equal(label.len, put == 0 ? 0 : len);
        assert_int_equal(packet.len, 1);
        room[put] = GOSSIP_LABEL_TYPE;
        packet = (struct bytes){room, put + 1};
        assert_int_equal(gossip_label_take(&packet, &label), GOSSIP_LABEL);
    }
}

/* With a key that does not fit before the one that does: the longest is taken back and opened. */
static void the_longest_frame_opens_with_the_second_key(void **state)
{
    (void)state;
    size_t plain_len = GOSSIP_FRAME_BYTES_MAX - 29;
    size_t len;
    size_t key = 0;
    struct bytes plain = {0};
    struct bytes label = {(const uint8_t *)"prod", 4};
    json_t *names = json_pack("[s,s]", "other32", "k16");
    struct gossip_cipher *ours = cipher_of_names(names);
    struct gossip_cipher *theirs = cipher_of_key("k16");
    uint8_t *room = malloc(GOSSIP_FRAME_BYTES_MAX + 64);
    uint8_t *expected = malloc(plain_len);
    assert_true(room != NULL && expected != NULL);
    put_pattern(expected, plain_len);
    memcpy(room + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, expected, plain_len);
    assert_int_equal(gossip_frame_seal(theirs, 1, label, room, plain_len, &len), GOSSIP_FINE);
    assert_int_equal(len, GOSSIP_FRAME_HEAD_BYTES + GOSSIP_FRAME_BYTES_MAX);
    assert_int_equal(gossip_frame_open(ours, (struct bytes){0}, room, len, &plain, &key),
                     GOSSIP_NO_KEY);
    assert_int_equal(gossip_frame_open(ours, label, room, len, &plain, &key), GOSSIP_FINE);
    assert_int_equal(key, 1);
    assert_int_equal(plain.len, plain_len);
    assert_memory_equal(plain.at, expected, plain_len);
    free(room);
    free(expected);
    gossip_cipher_free(ours);
    gossip_cipher_free(theirs);
    json_decref(names);
}

static void only_the_primary_seals(void **state)
{
    (void)state;
    uint8_t room[64] = {0};
    size_t len;
    size_t key;
    struct bytes plain;
    json_t *names = json_pack("[s,s]", "k16", "k32");
    struct gossip_cipher *both = cipher_of_names(names);
    struct gossip_cipher *first = cipher_of_key("k16");
    struct gossip_cipher *second = cipher_of_key("k32");
    assert_int_equal(gossip_packet_seal(both, 1, (struct bytes){0}, room, 9, &len), GOSSIP_FINE);
    assert_int_equal(gossip_packet_open(second, (struct bytes){0}, room, len, &plain, &key),
                     GOSSIP_NO_KEY);
    assert_int_equal(gossip_packet_open(first, (struct bytes){0}, room, len, &plain, &key),
                     GOSSIP_FINE);
    gossip_cipher_free(both);
    gossip_cipher_free(first);
    gossip_cipher_free(second);
    json_decref(names);
}

/* Whoever asks OpenSSL next would take what is left there for his own. */
static void a_refusal_leaves_nothing_in_the_queue_of_errors(void **state)
{
    (void)state;
    uint8_t room[64] = {0};
    size_t len;
    size_t key;
    struct bytes plain;
    struct bytes label = {(const uint8_t *)"x", 1};
    struct gossip_cipher *cipher = cipher_of_key("k16");
    assert_int_equal(gossip_packet_seal(cipher, 1, (struct bytes){0}, room, 9, &len), GOSSIP_FINE);
    assert_int_equal(gossip_packet_open(cipher, label, room, len, &plain, &key), GOSSIP_NO_KEY);
    assert_int_equal(ERR_peek_error(), 0);
    gossip_cipher_free(cipher);
}

static void each_refusal_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (enum gossip_refusal i = 0; i < GOSSIP_REFUSALS; i++) {
        assert_true(strlen(gossip_refusal_sentence(i)) > 10);
        for (enum gossip_refusal j = 0; j < i; j++) {
            assert_string_not_equal(gossip_refusal_name(i), gossip_refusal_name(j));
        }
    }
    assert_string_equal(gossip_refusal_name(GOSSIP_REFUSALS), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_packets_to_the_bytes_of_the_library_and_opens_them),
        cmocka_unit_test(seals_frames_to_the_bytes_of_the_library_and_opens_them),
        cmocka_unit_test(opens_what_two_nodes_of_the_library_said_to_each_other),
        cmocka_unit_test(refuses_recorded_plaintext_and_leaves_it_as_it_is),
        cmocka_unit_test(opens_with_whichever_key_fits_and_names_it),
        cmocka_unit_test(refuses_what_the_library_refuses_with_the_reason),
        cmocka_unit_test(refuses_malformed_labels_and_those_of_another_cluster),
        cmocka_unit_test(refuses_a_flipped_version_unless_it_looks_padded_to_a_block),
        cmocka_unit_test(padding_is_checked_byte_by_byte),
        cmocka_unit_test(each_length_round_trips_in_both_versions_with_the_sizes_told),
        cmocka_unit_test(refuses_to_seal_what_nobody_would_take),
        cmocka_unit_test(the_length_of_a_frame_is_bounded),
        cmocka_unit_test(a_frame_of_another_length_than_it_names_is_refused),
        cmocka_unit_test(a_label_is_taken_as_it_was_put),
        cmocka_unit_test(the_longest_frame_opens_with_the_second_key),
        cmocka_unit_test(only_the_primary_seals),
        cmocka_unit_test(a_refusal_leaves_nothing_in_the_queue_of_errors),
        cmocka_unit_test(each_refusal_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
