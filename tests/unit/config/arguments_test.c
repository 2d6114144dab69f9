/* tests/unit/config/arguments_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/arguments.h"

#include "config/bundle.h"
#include "config/check.h"
#include "config/load.h"
#include "config/source.h"

static struct config *load(const struct arguments *arguments, struct bundle *bundle, char *problem,
                           size_t size)
{
    assert_true(bundle_add(bundle, "chat.pem", "", 0));
    assert_true(bundle_add(bundle, "chat.key", "", 0));
    assert_true(bundle_add(bundle, "ca.pem", "", 0));
    struct problem_list *problems = problem_list_new();
    struct config *config = arguments_load(arguments, bundle, problems);
    problem[0] = '\0';
    if (problem_at(problems, 0) != NULL) {
        problem_format(problem_at(problems, 0), problem, size);
    }
    problem_list_free(problems);
    return config;
}

static struct arguments to(const char *url)
{
    struct arguments arguments = {{0}, {0}};
    arguments.values[ARGUMENT_TO] = url;
    arguments.values[ARGUMENT_CERTIFICATE] = "chat.pem";
    arguments.values[ARGUMENT_KEY] = "chat.key";
    return arguments;
}

static void one_url_is_enough(void **state)
{
    char problem[500];
    (void)state;
    struct bundle *bundle = bundle_new();
    struct arguments arguments = to("http://127.0.0.1:8065");
    struct config *config = load(&arguments, bundle, problem, sizeof(problem));
    assert_string_equal(problem, "");
    assert_int_equal(config->listener_count, 1);
    assert_int_equal(config->listeners[0].addresses[0].port, 8443);
    assert_int_equal(config->listeners[0].addresses[0].kind, CONFIG_ADDRESS_IP6);
    assert_int_equal(config->listeners[0].routes[0].host_kind, CONFIG_HOST_ANY);
    assert_true(config->listeners[0].tls.on);
    assert_string_equal(config->backends[0].servers[0].host, "127.0.0.1");
    assert_int_equal(config->admin.address.kind, CONFIG_ADDRESS_NONE);
    config_free(config);
    bundle_free(bundle);
}

static void every_argument_arrives(void **state)
{
    char problem[500];
    (void)state;
    struct bundle *bundle = bundle_new();
    struct arguments arguments = to("https://a:1, https://b:2");
    arguments.values[ARGUMENT_LISTEN] = "127.0.0.1:9443,[::1]:9443";
    arguments.values[ARGUMENT_HOST] = "chat.example.com , *.example.org";
    arguments.values[ARGUMENT_REDIRECT] = "[::]:8080";
    arguments.values[ARGUMENT_ENFORCEMENT] = "report";
    arguments.values[ARGUMENT_PLAINTEXT] = "any";
    arguments.values[ARGUMENT_CIPHERS] = "modern";
    arguments.values[ARGUMENT_MINIMUM_TLS] = "1.3";
    arguments.values[ARGUMENT_CLIENT_CA] = "ca.pem";
    arguments.values[ARGUMENT_BACKEND_CA] = "ca.pem";
    arguments.values[ARGUMENT_TRUSTED_PROXIES] = "10.0.0.0/8,192.0.2.1";
    arguments.values[ARGUMENT_BODY_LIMIT] = "1GiB";
    arguments.values[ARGUMENT_DRAIN] = "8s";
    arguments.values[ARGUMENT_WORKERS] = "2";
    arguments.values[ARGUMENT_ADMIN] = "unix:/run/a.sock";
    arguments.values[ARGUMENT_LOG_ACCESS] = "text";
    arguments.values[ARGUMENT_LOG_LEVEL] = "debug";
    struct config *config = load(&arguments, bundle, problem, sizeof(problem));
    assert_string_equal(problem, "");
    const struct config_listener *web = &config->listeners[0];
    assert_int_equal(web->address_count, 2);
    assert_int_equal(web->route_count, 2);
    assert_string_equal(web->routes[0].host, "chat.example.com");
    assert_string_equal(web->routes[1].host, ".example.org");
    assert_int_equal(web->trusted_proxy_count, 2);
    assert_int_equal(web->tls.client_auth, CONFIG_CLIENT_AUTH_REQUIRED);
    assert_int_equal(config->listeners[1].mode, CONFIG_LISTENER_REDIRECT);
    assert_int_equal(config->listeners[1].redirect_port, 9443);
    assert_int_equal(config->backends[0].server_count, 2);
    assert_string_equal(config->backends[0].tls.ca.path, "ca.pem");
    assert_int_equal(config->enforcement.mode, CONFIG_MODE_REPORT);
    assert_int_equal(config->enforcement.minimum_tls, CONFIG_TLS_1_3);
    assert_int_equal(config->limits.body_bytes, 1073741824);
    assert_int_equal(config->timeouts.drain_ms, 8000);
    assert_int_equal(config->workers, 2);
    assert_int_equal(config->log.access, CONFIG_LOG_ACCESS_TEXT);
    config_free(config);
    bundle_free(bundle);
}

static void children_load_the_same_from_the_bundle(void **state)
{
    char problem[500];
    (void)state;
    struct bundle *bundle = bundle_new();
    struct arguments arguments = to("unix:/run/app.sock");
    config_free(load(&arguments, bundle, problem, sizeof(problem)));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, ARGUMENTS_FILE, problems);
    assert_non_null(config);
    assert_string_equal(config->backends[0].servers[0].unix_path, "/run/app.sock");
    config_free(config);
    problem_list_free(problems);
    bundle_free(bundle);
}

static void problems_name_the_option_or_the_variable(void **state)
{
    static const struct {
        enum argument argument;
        const char *value;
        bool from_environment;
        const char *problem;
    } ROWS[] = {
        {ARGUMENT_TO, NULL, false,
         "--to: missing; expected http://HOST:PORT, https://HOST:PORT, h2://HOST:PORT, "
         "h2c://HOST:PORT or unix:/PATH"},
        {ARGUMENT_TO, "127.0.0.1:80", false,
         "--to: servers: '127.0.0.1:80' has no scheme; expected http://HOST:PORT, "
         "https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {ARGUMENT_TO, "x", true,
         "SALLYPORT_TO: servers: 'x' has no scheme; expected http://HOST:PORT, "
         "https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {ARGUMENT_LISTEN, "8443", false,
         "--listen: address: '8443' has no port; expected IP:PORT, [IP6]:PORT or unix:/PATH"},
        {ARGUMENT_HOST, "a b", true,
         "SALLYPORT_HOST: host: 'a b' is not a host name; expected a host name, *.NAME, an IP "
         "address or *"},
        {ARGUMENT_HOST, "a\"\n        path: \"/x", false,
         "--host: host: 'a\"?        path: \"/x' is more than a host name; expected a host name, "
         "*.NAME, an IP address or *"},
        {ARGUMENT_WORKERS, "1\nadmin: {}", false,
         "--workers: workers: '1?admin: {}' is not a whole number; expected a whole number, from "
         "1 to 1024, or auto"},
        {ARGUMENT_CERTIFICATE, NULL, false,
         "--key: a key without a certificate; expected --certificate (or SALLYPORT_CERTIFICATE) "
         "beside it"},
        {ARGUMENT_CERTIFICATE, "nope.pem", false,
         "--certificate: chain: 'nope.pem' does not exist; expected a file that can be read"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char problem[500];
        struct bundle *bundle = bundle_new();
        struct arguments arguments = to("http://127.0.0.1:80");
        arguments.values[ROWS[i].argument] = ROWS[i].value;
        arguments.from_environment[ROWS[i].argument] = ROWS[i].from_environment;
        assert_null(load(&arguments, bundle, problem, sizeof(problem)));
        assert_string_equal(problem, ROWS[i].problem);
        bundle_free(bundle);
    }
}

static void flags_win_over_variables(void **state)
{
    (void)state;
    assert_int_equal(setenv("SALLYPORT_TO", "http://variable", 1), 0);
    assert_int_equal(setenv("SALLYPORT_HOST", "", 1), 0);
    assert_int_equal(setenv("SALLYPORT_WORKERS", "4", 1), 0);
    struct arguments arguments = {{0}, {0}};
    arguments.values[ARGUMENT_TO] = "http://option";
    arguments_from_environment(&arguments);
    assert_string_equal(arguments.values[ARGUMENT_TO], "http://option");
    assert_false(arguments.from_environment[ARGUMENT_TO]);
    assert_null(arguments.values[ARGUMENT_HOST]);
    assert_string_equal(arguments.values[ARGUMENT_WORKERS], "4");
    assert_true(arguments.from_environment[ARGUMENT_WORKERS]);
    assert_true(arguments_are_enough(&arguments));
    assert_int_equal(unsetenv("SALLYPORT_TO"), 0);
    assert_int_equal(unsetenv("SALLYPORT_HOST"), 0);
    assert_int_equal(unsetenv("SALLYPORT_WORKERS"), 0);
}

static void options_and_variables_pair_up(void **state)
{
    (void)state;
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        enum argument argument = (enum argument)i;
        assert_int_equal(argument_find(argument_option(argument)), argument);
        assert_int_equal(strncmp(argument_option(argument), "--", 2), 0);
        assert_int_equal(strncmp(argument_variable(argument), "SALLYPORT_", 10), 0);
        assert_true(strlen(argument_doc(argument)) > 5);
    }
    assert_int_equal(argument_find("--nonsense"), ARGUMENT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_url_is_enough),
        cmocka_unit_test(every_argument_arrives),
        cmocka_unit_test(children_load_the_same_from_the_bundle),
        cmocka_unit_test(problems_name_the_option_or_the_variable),
        cmocka_unit_test(flags_win_over_variables),
        cmocka_unit_test(options_and_variables_pair_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
