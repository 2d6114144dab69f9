/* tests/unit/config/validate_gossip_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * Gossip clusters as the operator writes them: a file in, a model or sentences out.
 */
#include "config/validate.h"

#include <stdio.h>

#include "config/bundle.h"
#include "config/check.h"
#include "config/load.h"

/* Loads "/etc/s/f"; problems are joined with newlines. */
static struct config *load(const char *text, char *problems, size_t size)
{
    struct bundle *bundle = bundle_new();
    assert_true(bundle_add(bundle, "/etc/s/f", text, strlen(text)));
    struct problem_list *list = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "/etc/s/f", list);
    problems[0] = '\0';
    for (size_t i = 0; problem_at(list, i) != NULL; i++) {
        char line[800];
        problem_format(problem_at(list, i), line, sizeof(line));
        size_t len = strlen(problems);
        (void)snprintf(problems + len, size - len, "%s%s", i == 0 ? "" : "\n", line);
    }
    problem_list_free(list);
    bundle_free(bundle);
    return config;
}

static struct config *load_good(const char *text)
{
    char problems[2000];
    struct config *config = load(text, problems, sizeof(problems));
    assert_string_equal(problems, "");
    return config;
}

/* --- what is right -----------------------------------------------------------------------------
 */

static void a_cluster_alone_is_a_configuration(void **state)
{
    (void)state;
    struct config *config = load_good("gossip: [{name: serf, keyring: serf.keyring}]\n");
    assert_int_equal(config->gossip_count, 1);
    const struct config_gossip *gossip = &config->gossip[0];
    assert_string_equal(gossip->name, "serf");
    assert_string_equal(gossip->keyring.path, "/etc/s/serf.keyring");
    assert_int_equal(gossip->key.kind, CONFIG_SECRET_NONE);
    assert_int_equal(gossip->port_count, 1);
    assert_int_equal(gossip->ports[0], 7946);
    assert_int_equal(gossip->mode, CONFIG_GOSSIP_TRANSPARENT);
    assert_int_equal(gossip->rules, CONFIG_GOSSIP_RULES_KEEP);
    assert_null(gossip->user);
    assert_int_equal(gossip->own_port, 15946);
    assert_false(gossip->takes_plaintext);
    assert_false(gossip->sends_plaintext);
    assert_int_equal(gossip->version, 1);
    assert_null(gossip->label);
    assert_int_equal(gossip->replay_window, 65536);
    assert_int_equal(gossip->peer_count, 0);
    config_free(config);
}

static void everything_that_is_written_arrives(void **state)
{
    (void)state;
    struct config *config =
        load_good("gossip:\n"
                  "  - {name: a, key: {file: a.key}, ports: [8074, 8075], rules: external,\n"
                  "     user: gossiper, own_port: 18074, incoming: any, outgoing: plaintext,\n"
                  "     version: 0, label: blue, replay_window: 0}\n"
                  "  - {name: b, key: {env: B_KEY}, ports: 9094}\n");
    const struct config_gossip *a = &config->gossip[0];
    assert_null(a->keyring.path);
    assert_int_equal(a->key.kind, CONFIG_SECRET_FILE);
    assert_string_equal(a->key.value, "/etc/s/a.key");
    assert_int_equal(a->port_count, 2);
    assert_int_equal(a->ports[1], 8075);
    assert_int_equal(a->rules, CONFIG_GOSSIP_RULES_EXTERNAL);
    assert_string_equal(a->user, "gossiper");
    assert_int_equal(a->own_port, 18074);
    assert_true(a->takes_plaintext);
    assert_true(a->sends_plaintext);
    assert_int_equal(a->version, 0);
    assert_string_equal(a->label, "blue");
    assert_int_equal(a->replay_window, 0);
    config_free(config);
}

static const char RELAY[] = "gossip:\n"
                            "  - name: alerts\n"
                            "    keyring: k\n"
                            "    mode: relay\n"
                            "    ports: [9094, 9095]\n"
                            "    node: {virtual: 127.77.0.1, address: '10.0.0.5:9094'}\n"
                            "    peers:\n"
                            "      - {virtual: 127.77.0.2, address: '10.0.0.6:9094'}\n"
                            "      - {virtual: '127.77.0.3:9095', address: '10.0.0.6:9095'}\n";

static void a_relay_knows_its_members(void **state)
{
    (void)state;
    struct config *config = load_good(RELAY);
    const struct config_gossip *gossip = &config->gossip[0];
    assert_int_equal(gossip->mode, CONFIG_GOSSIP_RELAY);
    assert_memory_equal(gossip->node.stand_in.ip, "\x7f\x4d\x00\x01", 4);
    assert_int_equal(gossip->node.stand_in.port, 9094);
    assert_memory_equal(gossip->node.address.ip, "\x0a\x00\x00\x05", 4);
    assert_int_equal(gossip->node.address.port, 9094);
    assert_int_equal(gossip->peer_count, 2);
    assert_int_equal(gossip->peers[0].stand_in.port, 9094);
    assert_int_equal(gossip->peers[1].stand_in.port, 9095);
    assert_int_equal(gossip->peers[1].address.port, 9095);
    config_free(config);
}

struct listed {
    char text[400];
};

static void list_file(void *self, enum config_file_kind kind, const char *path,
                      const struct place *place)
{
    struct listed *listed = self;
    size_t len = strlen(listed->text);
    (void)snprintf(listed->text + len, sizeof(listed->text) - len, "%s:%u:%s ",
                   config_file_kind_is_private(kind) ? "private" : "public", place->line, path);
}

static void keyrings_are_private(void **state)
{
    (void)state;
    struct config *config = load_good("gossip:\n"
                                      "  - {name: a, keyring: a.keyring}\n"
                                      "  - {name: b, key: {file: b.key}, ports: 1, own_port: 2}\n"
                                      "  - {name: c, key: {env: C}, ports: 3, own_port: 4}\n");
    struct listed listed = {{0}};
    config_files(config, list_file, &listed);
    assert_string_equal(listed.text,
                        "public:0:/etc/s/f private:2:/etc/s/a.keyring private:3:/etc/s/b.key ");
    assert_true(config_path_is_private(config, "/etc/s/a.keyring"));
    assert_true(config_path_is_private(config, "/etc/s/b.key"));
    config_free(config);
}

/* --- what is wrong -----------------------------------------------------------------------------
 */

struct wrong_row {
    const char *text;
    const char *problems;
};

static void check_wrong(const struct wrong_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char problems[2000];
        config_free(load(rows[i].text, problems, sizeof(problems)));
        assert_string_equal(problems, rows[i].problems);
    }
}

#define CLUSTER(keys) "gossip: [{name: c, keyring: k, " keys "}]\n"

static void refuses_clusters(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"gossip: [{keyring: k}]\n", "/etc/s/f:1:10: 'name' is missing in a gossip cluster; "
                                     "expected a name of letters, digits, '-', '_' and '.'"},
        {"gossip: [{name: c}]\n",
         "/etc/s/f:1:10: cluster 'c' has no key; expected 'keyring' or 'key'"},
        {CLUSTER("key: {file: x}"),
         "/etc/s/f:1:44: 'key' stands beside 'keyring'; expected one of them: two places for a key "
         "disagree sooner or later"},
        {"gossip: [{name: c, key: c2VjcmV0}]\n",
         "/etc/s/f:1:25: key: a secret cannot stand in the file; expected a reference: {file: "
         "PATH} or {env: NAME}"},
        {CLUSTER("ports: []"), "/etc/s/f:1:10: cluster 'c' has no ports; expected at least one"},
        {CLUSTER("ports: [1, 0]"), "/etc/s/f:1:43: ports: '0' is out of range; expected a port "
                                   "number, from 1 to 65535"},
        {CLUSTER("ports: [65536]"), "/etc/s/f:1:40: ports: '65536' is out of range; expected a "
                                    "port number, from 1 to 65535"},
        {CLUSTER("ports: [7, 8, 7]"),
         "/etc/s/f:1:10: ports of cluster 'c': 7 stands there twice; expected it once"},
        {CLUSTER("own_port: 7946"),
         "/etc/s/f:1:10: own_port of cluster 'c': 7946 is one of its 'ports'; expected a port that "
         "nothing else uses"},
        {CLUSTER("version: 2"), "/etc/s/f:1:41: version: '2' is not one of the choices; expected 0 "
                                "or 1"},
        {CLUSTER("mode: tun"), "/etc/s/f:1:38: mode: 'tun' is not one of the choices; expected "
                               "transparent or relay"},
        {CLUSTER("incoming: all"), "/etc/s/f:1:42: incoming: 'all' is not one of the choices; "
                                   "expected encrypted or any"},
        {CLUSTER("outgoing: any"), "/etc/s/f:1:42: outgoing: 'any' is not one of the choices; "
                                   "expected encrypted or plaintext"},
        {CLUSTER("label: ''"), "/etc/s/f:1:39: label: '' is empty; expected text, or from-node"},
    };
    (void)state;
    check_wrong(ROWS, COUNT(ROWS));
}

static void a_label_has_255_bytes_at_most(void **state)
{
    char label[300];
    char text[400];
    char problems[600];
    (void)state;
    for (int len = 255; len <= 256; len++) {
        memset(label, 'x', sizeof(label));
        (void)snprintf(text, sizeof(text), CLUSTER("label: %.*s"), len, label);
        struct config *config = load(text, problems, sizeof(problems));
        assert_string_equal(problems, len == 255
                                          ? ""
                                          : "/etc/s/f:1:10: label of cluster 'c': 256 bytes are "
                                            "too many; expected at most 255");
        config_free(config);
    }
}

#define NODE "node: {virtual: 127.77.0.1, address: '10.0.0.5:7946'}"
#define PEER "peers: [{virtual: 127.77.0.2, address: '10.0.0.6:7946'}]"

static void refuses_members(void **state)
{
    static const struct wrong_row ROWS[] = {
        {CLUSTER(NODE), "/etc/s/f:1:38: 'node' is for 'mode: relay' alone; expected it to be left "
                        "out"},
        {CLUSTER(PEER), "/etc/s/f:1:40: 'peers' are for 'mode: relay' alone: here everybody may "
                        "come and go; expected them to be left out"},
        {CLUSTER("mode: relay, " PEER),
         "/etc/s/f:1:10: cluster 'c' does not say who its own node is; expected 'node: {virtual: "
         "127.X.Y.Z, address: IPv4:PORT}'"},
        {CLUSTER("mode: relay, node: {virtual: 127.77.0.1}, " PEER),
         "/etc/s/f:1:51: cluster 'c' does not say who its own node is; expected 'node: {virtual: "
         "127.X.Y.Z, address: IPv4:PORT}'"},
        {CLUSTER("mode: relay, " NODE),
         "/etc/s/f:1:10: cluster 'c' has nobody to relay to; expected 'peers'"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.2}]"),
         "/etc/s/f:1:108: 'address' is missing in a gossip peer; expected IP:PORT, [IP6]:PORT or "
         "unix:/PATH"},
        {CLUSTER("mode: relay, " NODE ", peers: [{address: '10.0.0.6:1'}]"),
         "/etc/s/f:1:108: 'virtual' is missing in a gossip peer; expected an address of "
         "127.0.0.0/8 such as 127.77.0.2, with or without :PORT"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.1, address: '10.0.0.6:1'}]"),
         "/etc/s/f:1:118: '127.77.0.1' clashes with '127.77.0.1' of 'c' at line 1; expected "
         "another address or port"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.2, address: '10.0.0.5:7946'}]"),
         "/etc/s/f:1:139: address: '10.0.0.5:7946' is that of the member at line 1 as well; "
         "expected each once"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.2, address: '[fd00::1]:1'}]"),
         "/etc/s/f:1:139: address: '[fd00::1]:1' is not where a node can be reached; expected "
         "IPv4:PORT"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.2, address: 'unix:/x'}]"),
         "/etc/s/f:1:139: address: 'unix:/x' is not where a node can be reached; expected "
         "IPv4:PORT"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.2, address: '10.0.0.6:0'}]"),
         "/etc/s/f:1:139: address: '10.0.0.6:0' is not where a node can be reached; expected "
         "IPv4:PORT"},
        {CLUSTER("mode: relay, " NODE ", peers: [{virtual: 127.77.0.2, address: '0.0.0.0:1'}]"),
         "/etc/s/f:1:139: address: '0.0.0.0:1' is not where a node can be reached; expected "
         "IPv4:PORT"},
    };
    (void)state;
    check_wrong(ROWS, COUNT(ROWS));
}

#define TWO(first, second)                                                                         \
    "gossip:\n"                                                                                    \
    "  - {name: a, keyring: k, " first "}\n"                                                       \
    "  - {name: b, keyring: k, " second "}\n"

static void refuses_clusters_that_meet(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"gossip: [{name: a, keyring: k}, {name: a, keyring: k, ports: 1, own_port: 2}]\n",
         "/etc/s/f:1:33: a second cluster is called 'a'; expected each name once, the first is at "
         "line 1"},
        {TWO("ports: [1, 2]", "ports: [3, 2], own_port: 4"),
         "/etc/s/f:3:5: ports of cluster 'b': 2 belongs to cluster 'a' at line 2 already; expected "
         "each port in one cluster"},
        {TWO("ports: 1", "ports: 2"), "/etc/s/f:3:5: own_port of cluster 'b': 15946 belongs to "
                                      "cluster 'a' at line 2 already; expected another one"},
        {TWO("ports: 1", "ports: 2, own_port: 1"),
         "/etc/s/f:3:5: own_port of cluster 'b': 1 belongs to cluster 'a' at line 2 already; "
         "expected another one"},
        {TWO("ports: 1", "ports: 15946, own_port: 2"),
         "/etc/s/f:3:5: ports of cluster 'b': 15946 belongs to cluster 'a' at line 2 already; "
         "expected each port in one cluster"},
        {TWO("ports: [7946]", "mode: relay, " NODE ", " PEER),
         "/etc/s/f:3:77: address: port 7946 is intercepted for cluster 'a' at line 2; expected a "
         "port that is not one of its 'ports'"},
        {TWO("mode: relay, " NODE ", " PEER, "ports: [7946]"),
         "/etc/s/f:2:77: address: port 7946 is intercepted for cluster 'b' at line 3; expected a "
         "port that is not one of its 'ports'"},
        {TWO("mode: relay, " NODE ", " PEER,
             "mode: relay, node: {virtual: 127.77.0.9, address: '10.0.0.5:1'}, peers: [{virtual: "
             "127.77.0.2, address: '10.0.0.6:1'}]"),
         "/etc/s/f:3:110: '127.77.0.2' clashes with '127.77.0.2' of 'a' at line 2; expected "
         "another address or port"},
        {"listeners: [{name: w, address: '[::]:7946', mode: redirect}]\n" CLUSTER(""),
         "/etc/s/f:1:32: '[::]:7946' is a port of gossip cluster 'c' at line 2; expected another "
         "port"},
        {"listeners: [{name: w, address: '127.0.0.1:15946', mode: redirect}]\n" CLUSTER(""),
         "/etc/s/f:1:32: '127.0.0.1:15946' is a port of gossip cluster 'c' at line 2; expected "
         "another port"},
        {"listeners: [{name: w, address: '10.0.0.5:7946', mode: redirect}]\n" CLUSTER(
             "mode: relay, " NODE ", " PEER),
         "/etc/s/f:2:82: '10.0.0.5:7946' clashes with '10.0.0.5:7946' of 'w' at line 1; expected "
         "another address or port"},
    };
    (void)state;
    check_wrong(ROWS, COUNT(ROWS));
}

static void clusters_with_ports_of_their_own_are_fine(void **state)
{
    (void)state;
    config_free(load_good(TWO("ports: [1, 2]", "ports: [3], own_port: 4")));
    config_free(load_good(TWO("ports: [1]", "mode: relay, " NODE ", " PEER)));
    /* What stays on the machine is not intercepted. */
    config_free(load_good(
        "listeners: [{name: w, address: '127.0.0.1:7946', mode: redirect}]\n" CLUSTER("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_alone_is_a_configuration),
        cmocka_unit_test(everything_that_is_written_arrives),
        cmocka_unit_test(a_relay_knows_its_members),
        cmocka_unit_test(keyrings_are_private),
        cmocka_unit_test(refuses_clusters),
        cmocka_unit_test(a_label_has_255_bytes_at_most),
        cmocka_unit_test(refuses_members),
        cmocka_unit_test(refuses_clusters_that_meet),
        cmocka_unit_test(clusters_with_ports_of_their_own_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
