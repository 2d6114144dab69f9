/* proxy/process/service_manager.h
 *
 * What the service manager that has started us is told (systemd's notification protocol,
 * sd_notify(3)): ready, reloading, stopping, and, where it asks for that, a sign of life.
 *
 * Why it exists: with `Type=notify` a unit counts as started when it serves, not when it runs, and
 * a master whose loop hangs is started again.
 *
 * Owner: embedded in the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/timer.h"

/* Fields private to service_manager.c. `= {.descriptor = -1}` has nobody to tell. */
struct service_manager {
    int descriptor; /* connected to its socket; -1: nobody asked */
    struct loop *loop;
    uint64_t sign_ms; /* between two signs of life; 0: none are wanted */
    struct deadline sign;
};

/* Finds out from the environment (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID) whether anybody wants
 * to be told; nobody is no failure. */
void service_manager_open(struct service_manager *manager, struct loop *loop);
void service_manager_close(struct service_manager *manager);

/* Ready to serve; from now on signs of life as often as they are asked for. */
void service_manager_tell_ready(struct service_manager *manager);
/* Somebody's reload has begun; its end is told as ready, whatever came of it. */
void service_manager_tell_reloading(struct service_manager *manager);
void service_manager_tell_stopping(struct service_manager *manager);
