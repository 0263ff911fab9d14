# SPDX-License-Identifier: MIT
# The page (a folder for any static host) and the command line bundle for Node.js.

set(node_modules "${root}/web/node_modules")
add_custom_command(
    OUTPUT "${node_modules}/.package-lock.json"
    # A current Node.js is one of the packages; npm itself runs with Debian's, which some packages call too old.
    COMMAND ${CMAKE_COMMAND} -E chdir "${root}/web" npm ci --no-progress --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch "${node_modules}/.package-lock.json"
    DEPENDS "${root}/web/package.json" "${root}/web/package-lock.json" "${root}/web/.npmrc"
    COMMENT "Packages from the npm registry"
    VERBATIM)
add_custom_target(packages DEPENDS "${node_modules}/.package-lock.json")

if(CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL "aarch64")
    set(npm_platform linux-arm64)
else()
    set(npm_platform linux-x64)
endif()
set(node "${node_modules}/node-${npm_platform}/bin/node")
set(vite ${run_with} "${node}" "${node_modules}/vite/bin/vite.js")
set(tsc ${run_with} "${node}" "${node_modules}/typescript/bin/tsc")

# The kernel's access to user memory, assembled and embedded.
set(user_access_typescript "${root}/web/src/generated/user-access.ts")
set(guest "${root}/web/src/guest")
add_custom_command(
    OUTPUT "${user_access_typescript}"
    COMMAND "${root}/tools/embed-wasm" "${user_access_typescript}"
        "USER_ACCESS=${guest}/user-access.wat" "USER_ACCESS_SHIM=${guest}/user-access-shim.wat"
    DEPENDS "${root}/tools/embed-wasm" "${guest}/user-access.wat" "${guest}/user-access-shim.wat"
    COMMENT "User access of the kernel"
    VERBATIM)

# An empty file system for new disks.
set(ext4_typescript "${root}/web/src/generated/ext4-template.ts")
add_custom_command(
    OUTPUT "${ext4_typescript}"
    COMMAND "${root}/tools/ext4-template" "${ext4_typescript}"
    DEPENDS "${root}/tools/ext4-template"
    COMMENT "The template of ext4"
    VERBATIM)

inputs(web_inputs web)
list(APPEND web_inputs "${abi_typescript}" "${options_typescript}" "${user_access_typescript}" "${ext4_typescript}" "${node_modules}/.package-lock.json")
set(cli "${build}/cli/auklet.mjs")
add_custom_command(
    OUTPUT "${cli}"
    COMMAND ${CMAKE_COMMAND} -E chdir "${root}/web" ${vite} build --config vite.node.config.ts --logLevel warn
    COMMAND ${CMAKE_COMMAND} -E touch "${cli}"
    DEPENDS ${web_inputs}
    COMMENT "The command line bundle"
    VERBATIM)
add_custom_target(cli ALL DEPENDS "${cli}")

set(page "${build}/dist/index.html")
add_custom_command(
    OUTPUT "${page}"
    COMMAND ${CMAKE_COMMAND} -E chdir "${root}/web" ${vite} build --logLevel warn
    COMMAND ${run_with} "${node}" "${root}/tools/finish-dist.mjs" "${build}/dist"
    COMMAND ${run_with} "${node}" "${root}/tools/about.mjs" "${build}/dist" "${build}" "${sources}"
    COMMAND ${CMAKE_COMMAND} -E touch "${page}"
    DEPENDS ${web_inputs} "${root}/tools/finish-dist.mjs" "${root}/tools/about.mjs" "${vmlinux}" "${initramfs}" "${host_wasm}"
        "${tls_wasm}"
    COMMENT "The page"
    VERBATIM)
add_custom_target(page ALL DEPENDS "${page}")

# Not part of "all": run, console and exec do not need it.
set(package "${build}/package")
add_custom_command(
    OUTPUT "${package}/package.json"
    COMMAND ${run_with} "${node}" "${root}/web/make-package.ts" "${package}"
    DEPENDS ${web_inputs} "${vmlinux}" "${initramfs}" "${host_wasm}" "${tls_wasm}"
    COMMENT "The package for npm"
    VERBATIM)
add_custom_target(package DEPENDS "${package}/package.json")
