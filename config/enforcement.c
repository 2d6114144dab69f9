/* config/enforcement.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/enforcement.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/memory.h"

enum { EC_BITS_MIN = 250 /* X25519 and Ed25519 count 253 to 256 bits, depending on who counts */ };

struct judge {
    const struct config *config;
    const struct enforcement_findings *findings;
    config_day today;
    struct memory *memory;
};

static config_day day_of(int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&time, &parts) == NULL) {
        return 0;
    }
    return (parts.tm_year + 1900) * 10000 + (parts.tm_mon + 1) * 100 + parts.tm_mday;
}

static const char *day_text(struct memory *memory, config_day day)
{
    return memory_format(memory, "%04d-%02d-%02d", day / 10000, day / 100 % 100, day % 100);
}

/* --- our own certificates ----------------------------------------------------------------------
 */

/* What is wrong with a certificate; NULL: nothing. */
static const char *certificate_fault(const struct judge *judge,
                                     const struct enforcement_facts *facts)
{
    const struct config_certificate *certificate = &judge->config->certificates[facts->certificate];
    uint64_t minimum = judge->config->enforcement.minimum_rsa_bits;
    if (facts->not_after < judge->findings->now) {
        return memory_format(judge->memory, "our certificate '%s' (%s) expired on %s",
                             certificate->name, certificate->chain.path,
                             day_text(judge->memory, day_of(facts->not_after)));
    }
    if (facts->is_revoked) {
        return memory_format(judge->memory, "our certificate '%s' (%s) is revoked, says its issuer",
                             certificate->name, certificate->chain.path);
    }
    if (facts->not_before > judge->findings->now) {
        return memory_format(judge->memory, "our certificate '%s' (%s) is not valid before %s",
                             certificate->name, certificate->chain.path,
                             day_text(judge->memory, day_of(facts->not_before)));
    }
    if (facts->key_type == ENFORCEMENT_KEY_RSA && facts->key_bits < minimum) {
        return memory_format(judge->memory,
                             "our certificate '%s' (%s) has an RSA key of %u bits, the policy asks "
                             "for %llu",
                             certificate->name, certificate->chain.path, facts->key_bits,
                             (unsigned long long)minimum);
    }
    if (facts->key_type == ENFORCEMENT_KEY_EC && facts->key_bits < EC_BITS_MIN) {
        return memory_format(judge->memory,
                             "our certificate '%s' (%s) has an elliptic curve of %u bits, the "
                             "policy asks for 256",
                             certificate->name, certificate->chain.path, facts->key_bits);
    }
    if (facts->key_type == ENFORCEMENT_KEY_OTHER) {
        return memory_format(judge->memory,
                             "our certificate '%s' (%s) has a key that is neither RSA nor an "
                             "elliptic curve",
                             certificate->name, certificate->chain.path);
    }
    return NULL;
}

static const struct enforcement_facts *find_facts(const struct judge *judge, size_t certificate)
{
    for (size_t k = 0; k < judge->findings->certificate_count; k++) {
        if (judge->findings->certificates[k].certificate == certificate) {
            return &judge->findings->certificates[k];
        }
    }
    return NULL;
}

static const char *certificates_fault(const struct judge *judge, const struct hop *hop)
{
    for (size_t i = 0; i < hop->certificate_count; i++) {
        const struct enforcement_facts *facts = find_facts(judge, hop->certificates[i]);
        const char *fault = facts == NULL ? NULL : certificate_fault(judge, facts);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

/* "chat (364 days left), mail (12 days left)" */
static const char *list_certificates(const struct judge *judge, const struct hop *hop)
{
    const char *list = NULL;
    for (size_t i = 0; i < hop->certificate_count; i++) {
        const struct enforcement_facts *facts = find_facts(judge, hop->certificates[i]);
        if (facts == NULL) {
            continue;
        }
        const struct expiry_view view =
            expiry_look(&judge->config->enforcement.expiry, facts->not_after, judge->findings->now);
        const char *name = judge->config->certificates[facts->certificate].name;
        const char *before = list == NULL ? "" : list;
        const char *comma = list == NULL ? "" : ", ";
        list = view.is_expired
                   ? memory_format(judge->memory, "%s%s%s (expired)", before, comma, name)
                   : memory_format(judge->memory, "%s%s%s (%lld day%s left)", before, comma, name,
                                   (long long)view.days_left, view.days_left == 1 ? "" : "s");
    }
    return list;
}

/* The first of a hop's certificates whose end is near, as a sentence; NULL: none. */
static const char *near_end(const struct judge *judge, const struct hop *hop)
{
    for (size_t i = 0; i < hop->certificate_count; i++) {
        const struct enforcement_facts *facts = find_facts(judge, hop->certificates[i]);
        if (facts == NULL) {
            continue;
        }
        const struct config_certificate *own = &judge->config->certificates[facts->certificate];
        const struct expiry_date date = {.kind = EXPIRY_OWN,
                                         .name = own->name,
                                         .file = own->chain.path,
                                         .subject = "",
                                         .not_after = facts->not_after};
        const struct expiry_view view =
            expiry_look(&judge->config->enforcement.expiry, facts->not_after, judge->findings->now);
        char sentence[EXPIRY_SENTENCE_BYTES];
        if (view.is_near) {
            expiry_sentence(&date, &view, sentence);
            return memory_copy_text(judge->memory, sentence);
        }
    }
    return NULL;
}

/* The first of a hop's certificates that clients refuse for want of a staple; NULL: none. */
static const char *unmet_staple(const struct judge *judge, const struct hop *hop)
{
    for (size_t i = 0; i < hop->certificate_count; i++) {
        const struct enforcement_facts *facts = find_facts(judge, hop->certificates[i]);
        if (facts != NULL && facts->must_staple && !facts->has_staple) {
            const struct config_certificate *own = &judge->config->certificates[facts->certificate];
            return memory_format(judge->memory,
                                 "our certificate '%s' (%s) demands a stapled OCSP response (RFC "
                                 "7633) and has none",
                                 own->name, own->chain.path);
        }
    }
    return NULL;
}

/* --- keys of gossip ----------------------------------------------------------------------------
 */

static const struct enforcement_gossip_facts *find_gossip_facts(const struct judge *judge,
                                                                size_t cluster)
{
    for (size_t i = 0; i < judge->findings->gossip_count; i++) {
        if (judge->findings->gossip[i].cluster == cluster) {
            return &judge->findings->gossip[i];
        }
    }
    return NULL;
}

/* Completes a hop with what the keyring says: what is sent has the primary's strength, what is
 * taken only that of the weakest key. */
static void complete_gossip_hop(const struct judge *judge, struct hop *hop)
{
    const struct enforcement_gossip_facts *facts =
        hop->protection == HOP_GOSSIP_AES ? find_gossip_facts(judge, hop->gossip) : NULL;
    if (facts == NULL) {
        return;
    }
    hop->key_bits = hop->kind == HOP_GOSSIP_OUT ? facts->primary_bits : facts->least_bits;
    if (hop->kind == HOP_GOSSIP_OUT) {
        hop->evidence =
            memory_format(judge->memory, "AES-%u-GCM, shared key%s%s (version %u)",
                          facts->primary_bits, facts->primary_id[0] != '\0' ? " " : "",
                          facts->primary_id, judge->config->gossip[hop->gossip].version);
        return;
    }
    bool is_mixed = facts->least_bits != facts->primary_bits;
    hop->evidence = memory_format(judge->memory, "AES-%u-GCM%s, shared key (version 0 or 1)",
                                  facts->least_bits, is_mixed ? " or better" : "");
}

/* The least size of a key of AES. The suites of TLS are listed by name, and AES-192 is in none. */
static unsigned least_aes_bits(const struct config_enforcement *enforcement)
{
    if (enforcement->cipher_policy == CONFIG_CIPHERS_MODERN) {
        return 128;
    }
    for (size_t i = 0; i < enforcement->cipher_name_count; i++) {
        if (strstr(enforcement->cipher_names[i], "AES_128") != NULL ||
            strstr(enforcement->cipher_names[i], "AES128") != NULL) {
            return 128;
        }
    }
    return 256;
}

static const char *gossip_fault(const struct judge *judge, const struct hop *hop,
                                const char **reason)
{
    unsigned least = least_aes_bits(&judge->config->enforcement);
    *reason = "encrypted with a key that all members share";
    if (hop->key_bits == 0 || hop->key_bits >= least) {
        return NULL;
    }
    return memory_format(judge->memory,
                         hop->kind == HOP_GOSSIP_OUT
                             ? "the key that encrypts for cluster '%s' has %u bits, the policy "
                               "asks for %u"
                             : "a key that decrypts for cluster '%s' has %u bits, the policy asks "
                               "for %u",
                         judge->config->gossip[hop->gossip].name, hop->key_bits, least);
}

/* --- one hop -----------------------------------------------------------------------------------
 */

/* Why the policy forbids a plaintext hop; NULL: it does not, and *reason says why. */
static const char *plaintext_fault(const struct judge *judge, const struct hop *hop,
                                   const char **reason)
{
    if (hop->kind == HOP_REDIRECT) {
        *reason = "carries only redirects to https";
        return NULL;
    }
    if (hop->kind == HOP_ADMIN) {
        *reason = "stays on this machine";
        return NULL;
    }
    switch (judge->config->enforcement.plaintext) {
    case CONFIG_PLAINTEXT_ANY:
        *reason = "the policy allows any plaintext";
        return NULL;
    case CONFIG_PLAINTEXT_LOOPBACK:
        *reason = "plaintext that stays on this machine";
        return hop->is_loopback ? NULL
                                : "plaintext that leaves this machine, the policy allows it on "
                                  "loopback only";
    case CONFIG_PLAINTEXT_NEVER:
        break;
    }
    return "plaintext, which the policy never allows";
}

static const char *hop_fault(const struct judge *judge, const struct hop *hop, const char **reason)
{
    if (hop->protection == HOP_PLAINTEXT) {
        return plaintext_fault(judge, hop, reason);
    }
    if (hop->protection == HOP_GOSSIP_AES) {
        return gossip_fault(judge, hop, reason);
    }
    bool unverified = hop->kind == HOP_BACKEND && !judge->config->enforcement.verify_backends;
    *reason = unverified ? "encrypted; the policy does not ask who the server is" : "encrypted";
    return certificates_fault(judge, hop);
}

static const struct config_waiver *find_waiver(const struct config *config, const char *hop)
{
    for (size_t i = 0; i < config->enforcement.waiver_count; i++) {
        const struct config_waiver *waiver = &config->enforcement.waivers[i];
        if (waiver->hop != NULL && strcmp(waiver->hop, hop) == 0) {
            return waiver;
        }
    }
    return NULL;
}

static const char *add_remark(const struct judge *judge, const char *reason, const char *remark)
{
    return remark == NULL ? reason : memory_format(judge->memory, "%s; %s", reason, remark);
}

static void judge_hop(const struct judge *judge, const struct hop *hop, struct judged_hop *judged)
{
    *judged = (struct judged_hop){.hop = *hop, .verdict = VERDICT_OK};
    complete_gossip_hop(judge, &judged->hop);
    judged->certificates = list_certificates(judge, hop);
    judged->waiver = find_waiver(judge->config, hop->name);
    judged->waiver_expired = judged->waiver != NULL && judged->waiver->expires < judge->today;
    const char *fault = hop_fault(judge, &judged->hop, &judged->reason);
    if (fault == NULL) {
        judged->reason = add_remark(judge, judged->reason, near_end(judge, hop));
        judged->reason = add_remark(judge, judged->reason, unmet_staple(judge, hop));
        return;
    }
    judged->reason = fault;
    if (judged->waiver == NULL) {
        judged->verdict = VERDICT_VIOLATION;
        return;
    }
    if (!judged->waiver_expired) {
        judged->verdict = VERDICT_WAIVED;
        return;
    }
    judged->verdict = VERDICT_VIOLATION;
    judged->reason = memory_format(judge->memory, "%s; its waiver expired on %s", fault,
                                   day_text(judge->memory, judged->waiver->expires));
}

/* --- dates -------------------------------------------------------------------------------------
 */

static bool judge_dates(const struct judge *judge, struct posture *posture)
{
    const struct enforcement_findings *findings = judge->findings;
    posture->dates =
        memory_take_array(judge->memory, findings->date_count, sizeof(*posture->dates));
    for (size_t i = 0; i < findings->date_count && posture->dates != NULL; i++) {
        struct judged_date *judged = &posture->dates[i];
        const struct expiry_date *date = &findings->dates[i];
        char sentence[EXPIRY_SENTENCE_BYTES];
        judged->view =
            expiry_look(&judge->config->enforcement.expiry, date->not_after, findings->now);
        judged->date = *date;
        judged->date.name = memory_copy_text(judge->memory, date->name);
        judged->date.file = memory_copy_text(judge->memory, date->file);
        judged->date.subject = memory_copy_text(judge->memory, date->subject);
        expiry_sentence(date, &judged->view, sentence);
        judged->sentence = memory_copy_text(judge->memory, sentence);
        posture->near += judged->view.is_near ? 1 : 0;
    }
    posture->date_count = findings->date_count;
    return !memory_failed(judge->memory);
}

/* --- all of them -------------------------------------------------------------------------------
 */

static bool judge_all(const struct judge *judge, struct posture *posture)
{
    struct hop_list list;
    if (!hop_list_make(judge->config, judge->memory, &list)) {
        return false;
    }
    posture->hops = memory_take_array(judge->memory, list.count, sizeof(*posture->hops));
    if (posture->hops == NULL) {
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        struct judged_hop *judged = &posture->hops[i];
        judge_hop(judge, &list.hops[i], judged);
        posture->violations += judged->verdict == VERDICT_VIOLATION ? 1 : 0;
        posture->waived += judged->verdict == VERDICT_WAIVED ? 1 : 0;
    }
    posture->count = list.count;
    return !memory_failed(judge->memory);
}

struct posture *posture_new(const struct config *config,
                            const struct enforcement_findings *findings)
{
    struct memory *memory = memory_new();
    struct posture *posture = memory == NULL ? NULL : memory_take(memory, sizeof(*posture));
    struct judge judge = {
        .config = config, .findings = findings, .today = day_of(findings->now), .memory = memory};
    if (posture != NULL) {
        *posture = (struct posture){.config = config, .memory = memory};
    }
    if (posture == NULL || !judge_all(&judge, posture) || !judge_dates(&judge, posture)) {
        memory_free(memory);
        return NULL;
    }
    return posture;
}

void posture_free(struct posture *posture)
{
    if (posture != NULL) {
        memory_free(posture->memory);
    }
}

const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_OK:
        return "ok";
    case VERDICT_VIOLATION:
        return "violation";
    case VERDICT_WAIVED:
        break;
    }
    return "waived";
}
