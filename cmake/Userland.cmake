# SPDX-License-Identifier: MIT
# The C library, the SDK around it, BusyBox and the root image.

set(sdk "${build}/sdk")
inputs(sdk_inputs userland/musl userland/sdk)
add_custom_command(
    OUTPUT "${sdk}/.complete"
    COMMAND sh "${root}/userland/sdk/install.sh" "${sdk}" "${kernel_headers}"
    COMMAND ${run_with} sh "${root}/userland/musl/build.sh" "${sources}/musl.dsc" "${build}/musl" "${sdk}/sysroot"
    COMMAND ${CMAKE_COMMAND} -E touch "${sdk}/.complete"
    DEPENDS ${sdk_inputs} "${kernel_headers}/include/linux/version.h" "${sources}/musl.dsc" "${root}/tools/prepare-source"
    ${alone}
    COMMENT "musl and the SDK"
    VERBATIM)
add_custom_target(sdk ALL DEPENDS "${sdk}/.complete")

inputs(busybox_inputs userland/busybox)
set(busybox "${build}/busybox")
add_custom_command(
    OUTPUT "${busybox}/busybox"
    COMMAND ${run_with} sh "${root}/userland/busybox/build.sh" "${sources}/busybox.tar" "${build}/busybox-build" "${sdk}" "${busybox}"
    COMMAND ${CMAKE_COMMAND} -E touch "${busybox}/busybox"
    DEPENDS ${busybox_inputs} "${sdk}/.complete" "${sources}/busybox.tar" "${root}/tools/prepare-source"
    ${alone}
    COMMENT "BusyBox"
    VERBATIM)
add_custom_target(busybox ALL DEPENDS "${busybox}/busybox")
