# Signatures and key agreements in batches need libcrypto-mb (Debian 13: libcrypto-mb-dev, for amd64).
# Sets what crypto/ is linked with, and which files of crypto/rsa_batch.h and crypto/x25519_batch.h are
# left out. Looked for by its files, since Debian's crypto-mb.pc names folders that do not exist.
set(SALLYPORT_CRYPTO_MB AUTO CACHE STRING
    "sign and agree on keys in batches with libcrypto-mb: AUTO, ON or OFF")
set_property(CACHE SALLYPORT_CRYPTO_MB PROPERTY STRINGS AUTO ON OFF)

set(crypto_mb_library)
set(crypto_mb_unused rsa_batch_mb.c x25519_batch_mb.c)
if(SALLYPORT_CRYPTO_MB)
    find_library(CRYPTO_MB_LIBRARY crypto_mb)
    find_path(CRYPTO_MB_INCLUDE crypto_mb/x25519.h)
    mark_as_advanced(CRYPTO_MB_LIBRARY CRYPTO_MB_INCLUDE)
    if(CRYPTO_MB_LIBRARY AND CRYPTO_MB_INCLUDE)
        set(crypto_mb_library ${CRYPTO_MB_LIBRARY})
        set(crypto_mb_unused rsa_batch_none.c x25519_batch_none.c)
    elseif(SALLYPORT_CRYPTO_MB STREQUAL "ON")
        message(FATAL_ERROR "SALLYPORT_CRYPTO_MB is ON, and libcrypto-mb is not there")
    endif()
endif()
list(JOIN crypto_mb_unused " and crypto/" crypto_mb_text)
message(STATUS "Batches: without crypto/${crypto_mb_text}")
