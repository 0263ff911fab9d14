# SPDX-License-Identifier: MIT
# vmlinux.wasm and the headers of the user-kernel interface.

set(vmlinux "${build}/kernel/vmlinux.wasm")
set(kernel_headers "${build}/kernel/headers")
inputs(kernel_inputs kernel)
add_custom_command(
    OUTPUT "${vmlinux}" "${kernel_headers}/include/linux/version.h"
    COMMAND "${root}/tools/prepare-source" "${linux_source}" "${root}/kernel/overlay" "${root}/kernel/patches" "${build}/kernel/source"
    COMMAND ${run_with} sh "${root}/kernel/build.sh" "${build}/kernel/source" "${build}/kernel"
    # kbuild leaves a file alone that did not change; ninja wants to see that this step is done.
    COMMAND ${CMAKE_COMMAND} -E touch "${vmlinux}" "${kernel_headers}/include/linux/version.h"
    DEPENDS ${kernel_inputs} "${root}/tools/prepare-source" "${linux_source}"
    ${alone}
    COMMENT "Linux"
    VERBATIM)
add_custom_target(kernel ALL DEPENDS "${vmlinux}")
