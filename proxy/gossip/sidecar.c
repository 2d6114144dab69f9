/* proxy/gossip/sidecar.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/sidecar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/gossip/cluster.h"
#include "proxy/gossip/conversations.h"
#include "proxy/gossip/datagrams.h"
#include "proxy/gossip/sockets.h"

struct sidecar {
    struct cluster cluster;
    struct gossip_sockets sockets;
    struct datagrams *datagrams;
    struct conversations *conversations;
};

static enum status explain(const struct sidecar_start *start, enum status status,
                           const struct endpoint *what, char error[SIDECAR_ERROR_BYTES])
{
    const char *name = start->settings->name;
    if (status == STATUS_NOMEM) {
        (void)snprintf(error, SIDECAR_ERROR_BYTES, "gossip %s: out of memory", name);
    } else if (errno == EPERM || errno == EACCES) {
        (void)snprintf(error, SIDECAR_ERROR_BYTES,
                       "gossip %s: mode transparent needs the capability CAP_NET_RAW; expected to "
                       "be started by root or with it, or `mode: relay`",
                       name);
    } else {
        char text[ENDPOINT_TEXT_BYTES];
        endpoint_format(what, text);
        (void)snprintf(error, SIDECAR_ERROR_BYTES, "gossip %s: %s cannot be opened: %s", name, text,
                       strerror(errno));
    }
    return status;
}

static enum status open_traffic(struct sidecar *sidecar, const struct sidecar_start *start,
                                char error[SIDECAR_ERROR_BYTES])
{
    struct endpoint what;
    enum status status = gossip_sockets_open(&sidecar->sockets, start->settings, &what);
    if (status == STATUS_OK) {
        status = datagrams_open(&sidecar->datagrams, &sidecar->cluster, &sidecar->sockets);
    }
    if (status == STATUS_OK) {
        status = conversations_open(&sidecar->conversations, &sidecar->cluster, &sidecar->sockets);
    }
    return status == STATUS_OK ? STATUS_OK : explain(start, status, &what, error);
}

enum status sidecar_open(struct sidecar **out, const struct sidecar_start *start,
                         char error[SIDECAR_ERROR_BYTES])
{
    struct sidecar *sidecar = calloc(1, sizeof(*sidecar));
    if (sidecar == NULL) {
        return explain(start, STATUS_NOMEM, NULL, error);
    }
    enum status status =
        cluster_init(&sidecar->cluster, start->settings, start->loop, start->log, start->pages);
    if (status != STATUS_OK) {
        free(sidecar);
        return explain(start, status, NULL, error);
    }
    struct crypto_error why = {{0}};
    status = cluster_set_ring(&sidecar->cluster, start->keyring, &why);
    if (status != STATUS_OK) {
        (void)snprintf(error, SIDECAR_ERROR_BYTES, "gossip %s: keyring: %s", start->settings->name,
                       why.text);
    } else {
        status = open_traffic(sidecar, start, error);
    }
    if (status != STATUS_OK) {
        sidecar_close(sidecar);
        return status;
    }
    *out = sidecar;
    return STATUS_OK;
}

void sidecar_close(struct sidecar *sidecar)
{
    if (sidecar == NULL) {
        return;
    }
    conversations_close(sidecar->conversations);
    datagrams_close(sidecar->datagrams);
    gossip_sockets_close(&sidecar->sockets);
    loop_reap(sidecar->cluster.loop); /* conversations borrow the cluster until they are freed */
    cluster_fini(&sidecar->cluster);
    free(sidecar);
}

void sidecar_set_keyring(struct sidecar *sidecar, struct bytes text)
{
    struct crypto_error error = {{0}};
    const struct cluster *cluster = &sidecar->cluster;
    if (cluster_set_ring(&sidecar->cluster, text, &error) != STATUS_OK) {
        LOG_EVENT(cluster->log, LOG_ERROR, "keyring_refused",
                  log_text("cluster", cluster->settings->name), log_text("reason", error.text),
                  log_text("effect", "the former one stays in use"));
    }
}
