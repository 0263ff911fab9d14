# SPDX-License-Identifier: MIT
# The C++ host: auklet-host.wasm by Emscripten, and natively with sanitizers for its tests; the constants for TypeScript.

set(abi_typescript "${root}/web/src/generated/abi.ts")
set(options_typescript "${root}/web/src/generated/options.ts")
inputs(abi_inputs tools/abi-constants kernel/overlay/arch/wasm/include/uapi)
add_custom_command(
    OUTPUT "${abi_typescript}" "${options_typescript}"
    COMMAND ${CMAKE_COMMAND} -S "${root}/tools/abi-constants" -B "${build}/abi-constants" -G Ninja
        -DCMAKE_CXX_COMPILER=clang++-22 -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DAUKLET_ABI_TYPESCRIPT=${abi_typescript} --log-level=WARNING
    COMMAND ${CMAKE_COMMAND} --build "${build}/abi-constants"
    COMMAND ${CMAKE_COMMAND} -E touch "${abi_typescript}" "${options_typescript}"
    DEPENDS ${abi_inputs} "${root}/host/src/options.inc"
    COMMENT "Constants of the kernel-host interface, and the table of options, for TypeScript"
    VERBATIM)
add_custom_target(abi DEPENDS "${abi_typescript}" "${options_typescript}")

set(libfdt "${build}/libfdt")
add_custom_command(
    OUTPUT "${libfdt}/libfdt.h"
    COMMAND "${root}/tools/check-source" "${root}/host/pin" "${sources}/device-tree-compiler.tar"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${libfdt}"
    COMMAND tar --extract --touch --file "${sources}/device-tree-compiler.tar" --wildcards --strip-components=2 --directory "${libfdt}" "*/libfdt/*"
    DEPENDS "${sources}/device-tree-compiler.tar" "${root}/host/pin" "${root}/tools/check-source"
    COMMENT "libfdt"
    VERBATIM)

set(host_wasm "${build}/host/emscripten/auklet-host.wasm")
inputs(host_inputs host kernel/overlay/arch/wasm/include/uapi tools/abi-constants/include)
add_custom_command(
    OUTPUT "${host_wasm}"
    COMMAND emcmake ${CMAKE_COMMAND} -S "${root}/host" -B "${build}/host/emscripten" -G Ninja "-DAUKLET_LIBFDT_SOURCE=${libfdt}" --log-level=WARNING
    COMMAND ${CMAKE_COMMAND} --build "${build}/host/emscripten" --parallel ${jobs}
    COMMAND ${CMAKE_COMMAND} -E touch "${host_wasm}"
    DEPENDS ${host_inputs} "${libfdt}/libfdt.h"
    ${alone}
    COMMENT "The host, for the page and Node.js"
    VERBATIM)
add_custom_target(host ALL DEPENDS "${host_wasm}")

# TLS, for pages that end the connections of their guests.
set(bearssl "${build}/bearssl")
add_custom_command(
    OUTPUT "${bearssl}/inc/bearssl.h"
    COMMAND "${root}/tools/check-source" "${root}/host/tls/pin" "${sources}/bearssl.tar"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${bearssl}"
    COMMAND tar --extract --touch --file "${sources}/bearssl.tar" --strip-components=1 --directory "${bearssl}"
    DEPENDS "${sources}/bearssl.tar" "${root}/host/tls/pin" "${root}/tools/check-source"
    COMMENT "BearSSL"
    VERBATIM)
set(tls_wasm "${build}/tls/auklet-tls.wasm")
add_custom_command(
    OUTPUT "${tls_wasm}"
    COMMAND sh "${root}/host/tls/build.sh" "${bearssl}" "${tls_wasm}"
    DEPENDS "${root}/host/tls/build.sh" "${root}/host/tls/tls.c" "${bearssl}/inc/bearssl.h"
    COMMENT "TLS, for the page"
    VERBATIM)
add_custom_target(tls ALL DEPENDS "${tls_wasm}")

# clang, because the fuzz target needs its libFuzzer.
set(host_native "${build}/host/native")
inputs(host_test_inputs tests/unit tests/fuzz tests/tap)
add_custom_command(
    OUTPUT "${host_native}/.complete"
    COMMAND ${CMAKE_COMMAND} -S "${root}/host" -B "${host_native}" -G Ninja -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22
        -DCMAKE_CXX_COMPILER_LAUNCHER=ccache --log-level=WARNING
    COMMAND ${CMAKE_COMMAND} --build "${host_native}" --parallel ${jobs}
    COMMAND ${CMAKE_COMMAND} -E touch "${host_native}/.complete"
    DEPENDS ${host_inputs} ${host_test_inputs}
    ${alone}
    COMMENT "The host, natively, with its tests"
    VERBATIM)
add_custom_target(host-native DEPENDS "${host_native}/.complete")
