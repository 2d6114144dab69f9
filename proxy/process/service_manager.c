/* proxy/process/service_manager.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/service_manager.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/slice.h"

/* A lost line would be a start that never ends, so the few that there are may wait; the manager
 * reads at once. */
static void tell(const struct service_manager *manager, slice state)
{
    if (manager->descriptor >= 0) {
        (void)!send(manager->descriptor, state.at, state.len, MSG_NOSIGNAL);
    }
}

/* A path, or a name in the abstract namespace, which begins with '@'. */
static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (descriptor >= 0 &&
        connect(descriptor, (const struct sockaddr *)&address, address_len) != 0) {
        (void)close(descriptor);
        return -1;
    }
    return descriptor;
}

/* Half of what the manager allows; 0 when it asks for none, or asks another process. */
static uint64_t sign_interval_ms(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    const char *whose = getenv("WATCHDOG_PID");
    uint64_t allowed_us = 0;
    uint64_t pid = (uint64_t)getpid();
    if (text == NULL || !slice_to_number(slice_of(text), &allowed_us) ||
        (whose != NULL && !slice_to_number(slice_of(whose), &pid)) || pid != (uint64_t)getpid()) {
        return 0;
    }
    return allowed_us / 2000;
}

static void on_sign(void *self)
{
    struct service_manager *manager = self;
    tell(manager, SLICE("WATCHDOG=1"));
    deadline_arm(&manager->sign, manager->loop, manager->sign_ms, on_sign, manager);
}

void service_manager_open(struct service_manager *manager, struct loop *loop)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *manager = (struct service_manager){.descriptor = -1, .loop = loop};
    if (name == NULL) {
        return;
    }
    manager->descriptor = connect_to(name);
    manager->sign_ms = manager->descriptor < 0 ? 0 : sign_interval_ms();
}

void service_manager_close(struct service_manager *manager)
{
    deadline_disarm(&manager->sign);
    if (manager->descriptor >= 0) {
        (void)close(manager->descriptor);
        manager->descriptor = -1;
    }
}

void service_manager_tell_ready(struct service_manager *manager)
{
    tell(manager, SLICE("READY=1\nSTATUS=serving"));
    if (manager->sign_ms > 0) {
        deadline_arm(&manager->sign, manager->loop, manager->sign_ms, on_sign, manager);
    }
}

/* The time tells the manager which of several reloads READY ends. */
void service_manager_tell_reloading(struct service_manager *manager)
{
    char state[96];
    int len =
        snprintf(state, sizeof(state), "RELOADING=1\nSTATUS=reloading\nMONOTONIC_USEC=%" PRIu64,
                 clock_monotonic_us());
    tell(manager, (slice){state, (size_t)len});
}

void service_manager_tell_stopping(struct service_manager *manager)
{
    tell(manager, SLICE("STOPPING=1\nSTATUS=ending"));
}
