/* proxy/process/public_file.h
 *
 * Whether a file of the configuration may be seen by workers.
 *
 * Why it exists: a worker must hold no private key, and operators put keys into files that are said
 * to hold something else. The snapshot asks before it copies; `check` asks to tell it early.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "crypto/bytes.h"

/* Why the content must not reach a worker, as the end of a sentence; NULL: it may. `kind` is one of
 * the public ones. A PKCS#12 chain passes: who copies it takes the certificates out. */
const char *public_file_fault(enum config_file_kind kind, struct bytes file);
