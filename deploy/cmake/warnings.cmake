# Flags that every file of the project is compiled with. Warnings are errors. OpenSSL is used as it was
# in 3.0: what that version deprecates is out of use, what later ones do is not yet.
add_library(sallyport_options INTERFACE)
target_compile_definitions(sallyport_options INTERFACE
    _GNU_SOURCE SALLYPORT_VERSION="${PROJECT_VERSION}" OPENSSL_NO_DEPRECATED
    OPENSSL_API_COMPAT=30000
    $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
target_compile_options(sallyport_options INTERFACE
    -Werror -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wmissing-prototypes -Wvla
    -Wformat=2 -Wundef -Wstrict-prototypes -Wpointer-arith -Wwrite-strings
    -fstack-protector-strong -fno-strict-aliasing -fno-common -fvisibility=hidden)
target_link_options(sallyport_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(sallyport_options INTERFACE -Wenum-conversion -Wlogical-op)
endif()
# What a pool keeps for reuse is hidden from sanitizers: with them it keeps nothing.
target_compile_definitions(sallyport_options INTERFACE
    SALLYPORT_POOL_KEPT_BYTES=$<IF:$<BOOL:${SALLYPORT_SANITIZE}>,0,262144>)
if(SALLYPORT_SANITIZE)
    target_compile_options(sallyport_options INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(sallyport_options INTERFACE -fsanitize=address,undefined)
endif()
