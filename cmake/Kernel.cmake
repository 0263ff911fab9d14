# SPDX-License-Identifier: MIT
# The kernel's source tree, its headers for user programs, and vmlinux.wasm.

set(kernel_source "${build}/kernel/source")
inputs(kernel_inputs kernel)
# The model is for tests: it is no part of the image.
list(FILTER kernel_inputs EXCLUDE REGEX "^${root}/kernel/model/")
set(kernel_prepared "${build}/kernel/.prepared")
add_custom_command(
    OUTPUT "${kernel_prepared}"
    COMMAND "${root}/tools/check-source" "${root}/kernel/pin" "${linux_source}"
    COMMAND "${root}/tools/prepare-source" "${linux_source}" "${root}/kernel/overlay" "${root}/kernel/patches" "${kernel_source}"
    COMMAND ${CMAKE_COMMAND} -E touch "${kernel_prepared}"
    DEPENDS ${kernel_inputs} "${root}/tools/prepare-source" "${root}/tools/check-source" "${linux_source}"
    COMMENT "The source of Linux"
    VERBATIM)
add_custom_target(kernel-source DEPENDS "${kernel_prepared}")

# A step of its own: the C library and the SDK need no kernel image, and are made again only when these headers change.
set(kernel_headers "${build}/kernel-headers")
inputs(header_inputs kernel/overlay/arch/wasm/include/uapi kernel/patches)
add_custom_command(
    OUTPUT "${kernel_headers}/include/linux/version.h"
    COMMAND make -s -C "${kernel_source}" "O=${kernel_headers}-build" ARCH=wasm "INSTALL_HDR_PATH=${kernel_headers}" headers_install
    COMMAND ${CMAKE_COMMAND} -E touch "${kernel_headers}/include/linux/version.h"
    DEPENDS ${header_inputs} "${root}/kernel/pin" "${linux_source}" kernel-source
    COMMENT "Headers of Linux"
    VERBATIM)

set(vmlinux "${build}/kernel/vmlinux.wasm")
add_custom_command(
    OUTPUT "${vmlinux}"
    COMMAND ${run_with} sh "${root}/kernel/build.sh" "${kernel_source}" "${build}/kernel"
    # kbuild leaves a file alone that did not change; ninja wants to see that this step is done.
    COMMAND ${CMAKE_COMMAND} -E touch "${vmlinux}"
    DEPENDS "${kernel_prepared}"
    ${alone}
    COMMENT "Linux"
    VERBATIM)
add_custom_target(kernel ALL DEPENDS "${vmlinux}")

# The same source with lock debugging and KUnit; for tests, not shipped.
set(vmlinux_debug "${build}/kernel-debug/vmlinux.wasm")
add_custom_command(
    OUTPUT "${vmlinux_debug}"
    COMMAND ${run_with} sh "${root}/kernel/build.sh" "${kernel_source}" "${build}/kernel-debug" "${root}/kernel/config.debug"
    COMMAND ${CMAKE_COMMAND} -E touch "${vmlinux_debug}"
    DEPENDS "${kernel_prepared}"
    ${alone}
    COMMENT "Linux with its debugging options"
    VERBATIM)
add_custom_target(kernel-debug DEPENDS "${vmlinux_debug}")
