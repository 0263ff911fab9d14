# SPDX-License-Identifier: MIT
# The C library, the SDK around it, BusyBox and the root image.

set(sdk "${build}/sdk")
inputs(sdk_inputs userland/musl userland/picolibc userland/sdk)
add_custom_command(
    OUTPUT "${sdk}/.complete"
    COMMAND sh "${root}/userland/sdk/install.sh" "${sdk}" "${kernel_headers}"
    COMMAND "${root}/tools/check-source" "${root}/userland/musl/pin" "${sources}/musl.dsc"
    COMMAND "${root}/tools/check-source" "${root}/userland/picolibc/pin" "${sources}/picolibc.tar"
    COMMAND ${run_with} sh "${root}/userland/musl/build.sh" "${sources}/musl.dsc" "${sources}/picolibc.tar" "${build}/musl" "${sdk}/sysroot"
    COMMAND ${CMAKE_COMMAND} -E touch "${sdk}/.complete"
    DEPENDS ${sdk_inputs} "${root}/userland/picolibc/pin" "${kernel_headers}/include/linux/version.h" "${sources}/musl.dsc" "${sources}/picolibc.tar"
        "${root}/tools/prepare-source" "${root}/tools/check-source"
    ${alone}
    COMMENT "musl and the SDK"
    VERBATIM)
add_custom_target(sdk ALL DEPENDS "${sdk}/.complete")

inputs(busybox_inputs userland/busybox)
set(busybox "${build}/busybox")
add_custom_command(
    OUTPUT "${busybox}/busybox"
    COMMAND "${root}/tools/check-source" "${root}/userland/busybox/pin" "${sources}/busybox.dsc"
    COMMAND ${run_with} sh "${root}/userland/busybox/build.sh" "${sources}/busybox.dsc" "${build}/busybox-build" "${sdk}" "${busybox}"
    COMMAND ${CMAKE_COMMAND} -E touch "${busybox}/busybox"
    DEPENDS ${busybox_inputs} "${sdk}/.complete" "${sources}/busybox.dsc" "${root}/tools/prepare-source" "${root}/tools/check-source"
    ${alone}
    COMMENT "BusyBox"
    VERBATIM)
add_custom_target(busybox ALL DEPENDS "${busybox}/busybox")

inputs(program_inputs userland/programs)
set(programs "${build}/programs")
add_custom_command(
    OUTPUT "${programs}/exec-agent" "${programs}/strace"
    COMMAND ${run_with} sh "${root}/userland/programs/build.sh" "${sdk}" "${programs}"
    COMMAND ${CMAKE_COMMAND} -E touch "${programs}/exec-agent" "${programs}/strace"
    DEPENDS ${program_inputs} "${sdk}/.complete"
    COMMENT "Our programs of the guest"
    VERBATIM)

# All time zones in the form without times before and after which a rule says the same; -b slim and the old names are zic's work.
set(zones "${build}/zoneinfo")
set(zone_rules /usr/share/zoneinfo/tzdata.zi)
add_custom_command(
    OUTPUT "${zones}/UTC"
    COMMAND ${CMAKE_COMMAND} -E rm -rf "${zones}"
    COMMAND zic -b slim -d "${zones}" "${zone_rules}"
    COMMAND ${CMAKE_COMMAND} -E touch "${zones}/UTC"
    DEPENDS "${zone_rules}"
    COMMENT "The time zones"
    VERBATIM)

# Not the file of all in /etc/ssl: that has what was added to this system, too.
set(certificates "${build}/certificates")
set(mozilla_certificates /usr/share/ca-certificates/mozilla)
add_custom_command(
    OUTPUT "${certificates}/mozilla.crt"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${certificates}"
    COMMAND env LC_ALL=C sh -c "cat \"$1\"/*.crt > \"$2\"" sh "${mozilla_certificates}" "${certificates}/mozilla.crt"
    DEPENDS "${mozilla_certificates}"
    COMMENT "The certificates of Mozilla"
    VERBATIM)

inputs(initramfs_inputs initramfs)
set(initramfs "${build}/initramfs/initramfs.cpio.gz")
add_custom_command(
    OUTPUT "${initramfs}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${build}/initramfs"
    COMMAND "${root}/initramfs/pack.py" "${root}/initramfs/files.list" "${initramfs}" "FILES=${root}/initramfs/files"
        "BUSYBOX=${busybox}" "PROGRAMS=${programs}" "ZONES=${zones}" "CERTIFICATES=${certificates}"
    DEPENDS ${initramfs_inputs} "${zones}/UTC" "${certificates}/mozilla.crt" "${busybox}/busybox" "${programs}/exec-agent" "${programs}/strace"
    COMMENT "The root image"
    VERBATIM)
add_custom_target(initramfs ALL DEPENDS "${initramfs}")

# The programs of tests/programs, for the boot tests.
inputs(test_program_inputs tests/programs)
add_custom_command(
    OUTPUT "${build}/tests/programs/.complete"
    COMMAND ${run_with} sh "${root}/tests/programs/build.sh" "${sdk}" "${build}/tests/programs"
    COMMAND ${CMAKE_COMMAND} -E touch "${build}/tests/programs/.complete"
    DEPENDS ${test_program_inputs} "${sdk}/.complete"
    COMMENT "The test programs"
    VERBATIM)
add_custom_target(test-programs DEPENDS "${build}/tests/programs/.complete")
