# SPDX-License-Identifier: MIT
# Every suite as ctest tests. Only what this run's environment has is registered: no test passes by being skipped.

# Not part of "all", which is what run, console and exec need.
add_custom_target(tests DEPENDS "${host_native}/.complete" "${build}/tests/programs/.complete" "${package}/package.json" "${build}/tests/clock/clock-shim.so" "${build}/tests/crashwriter"
    "${build}/tests/databases/.complete")

# For the programs of this computer whose clock a test sets.
add_custom_command(
    OUTPUT "${build}/tests/clock/clock-shim.so"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${build}/tests/clock"
    COMMAND clang-22 -O2 -Wall -Werror -shared -fPIC -o "${build}/tests/clock/clock-shim.so" "${root}/tests/clock/clock-shim.c"
    DEPENDS "${root}/tests/clock/clock-shim.c"
    VERBATIM)

# A program for the guest that checks on this computer what the guest has written.
file(GLOB crashwriter CONFIGURE_DEPENDS "${root}/tests/programs/crashwriter/*")
add_custom_command(
    OUTPUT "${build}/tests/crashwriter"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${build}/tests"
    COMMAND sh -c "clang-22 -O2 -Wall -Werror -o '${build}/tests/crashwriter' '${root}'/tests/programs/crashwriter/*.c"
    DEPENDS ${crashwriter} "${root}/tests/programs/check.h"
    VERBATIM)

# Databases for the guest, whose processes share files and memory.
inputs(database_inputs tests/databases)
add_custom_command(
    OUTPUT "${build}/tests/databases/.complete"
    COMMAND "${root}/tools/check-source" "${root}/tests/databases/sqlite/pin" "${sources}/sqlite3.dsc"
    COMMAND "${root}/tools/check-source" "${root}/tests/databases/lmdb/pin" "${sources}/lmdb.dsc"
    COMMAND ${run_with} sh "${root}/tests/databases/build.sh" "${sources}/sqlite3.dsc" "${sources}/lmdb.dsc" "${build}/databases" "${sdk}"
        "${build}/tests/databases"
    COMMAND ${CMAKE_COMMAND} -E touch "${build}/tests/databases/.complete"
    DEPENDS ${database_inputs} "${sdk}/.complete" "${sources}/sqlite3.dsc" "${sources}/lmdb.dsc" "${root}/tools/prepare-source"
        "${root}/tools/check-source"
    COMMENT "The databases"
    VERBATIM)
add_custom_target(test-databases DEPENDS "${build}/tests/databases/.complete")

# ---- checks of the sources ----------------------------------------------------------------------------------------

add_test(NAME sources.tool COMMAND sh "${root}/tests/tools/prepare-source.sh" "${root}/tools/prepare-source")
add_test(NAME sources.packages COMMAND sh "${root}/tests/tools/sources.sh" "${root}")
add_test(NAME sources.pack COMMAND sh "${root}/tests/tools/pack.sh" "${root}/initramfs/pack.py")
# Overlay paths, zero fuzz, nothing but changes of existing files: on the trees that were built.
add_test(NAME sources.linux COMMAND "${root}/tools/prepare-source" "${linux_source}" "${root}/kernel/overlay" "${root}/kernel/patches"
    "${build}/kernel/source")
add_test(NAME sources.musl COMMAND "${root}/tools/prepare-source" "${sources}/musl.dsc" "${root}/userland/musl/overlay"
    "${root}/userland/musl/patches" "${build}/musl/src")
add_test(NAME sources.busybox COMMAND "${root}/tools/prepare-source" "${sources}/busybox.dsc"
    "${root}/userland/busybox/overlay" "${root}/userland/busybox/patches" "${build}/busybox-build/src")
add_test(NAME sources.licences COMMAND python3 "${root}/tests/tools/licences.py")
add_test(NAME format.lengths COMMAND python3 "${root}/tests/tools/lengths.py")
add_test(NAME format.comments COMMAND python3 "${root}/tests/tools/comment_width.py")
add_test(NAME format.commits COMMAND python3 "${root}/tests/tools/commits.py")
add_test(NAME format.shellcheck COMMAND sh "${root}/tests/tools/shellcheck.sh")
add_test(NAME format.python COMMAND "${node}" "${root}/tests/tools/python.mjs")
add_test(NAME format.kernel COMMAND sh "${root}/tests/tools/checkpatch.sh" "${build}/kernel/source")
add_test(NAME format.cpp COMMAND sh -c "git -C '${root}' ls-files -z '*.cpp' '*.hpp' | (cd '${root}' && xargs -0 -r clang-format-22 --dry-run --Werror)")
add_test(NAME format.web COMMAND "${node}" "${node_modules}/prettier/bin/prettier.cjs" --check --config "${root}/web/.prettierrc.json"
    --ignore-path "${root}/web/.prettierignore" "${root}/web/**/*.{ts,css,html,json}" "${root}/{tests,tools}/**/*.mjs")
add_test(NAME format.markdown COMMAND sh -c "git -C '${root}' ls-files -z '*.md' | (cd '${root}' && xargs -0 -r '${node}' \
    '${node_modules}/prettier/bin/prettier.cjs' --check --config web/.prettierrc.json --ignore-path web/.prettierignore)")
add_test(NAME format.lint WORKING_DIRECTORY "${root}" COMMAND "${node}" "${node_modules}/oxlint/bin/oxlint" --type-aware
    --config web/.oxlintrc.json --deny-warnings web tests tools)
# The part of oxlint that knows types is looked for below the working directory only.
set_tests_properties(format.lint PROPERTIES ENVIRONMENT
    "OXLINT_TSGOLINT_PATH=${node_modules}/@oxlint-tsgolint/${npm_platform}/tsgolint")
add_test(NAME sources.pages COMMAND python3 "${root}/tests/tools/pages.py")
add_test(NAME sources.results COMMAND "${node}" --test --test-reporter=spec "${root}/tests/tools/results.test.mjs")
add_test(NAME types.web COMMAND "${node}" "${node_modules}/typescript/bin/tsc" --project "${root}/web/tsconfig.json")
set_tests_properties(sources.tool sources.packages sources.pack sources.linux sources.musl sources.licences sources.pages
    sources.results format.lengths format.comments format.commits format.shellcheck format.python format.kernel format.cpp
    format.web format.markdown format.lint types.web
    PROPERTIES LABELS sources TIMEOUT 600)

# The Python and shell tools, on inputs made by hand.
add_test(NAME tools.unit COMMAND python3 -B -m unittest discover --start-directory "${root}/tests/tools/unit")
set_tests_properties(tools.unit PROPERTIES LABELS unit TIMEOUT 600)

# ---- the SDK --------------------------------------------------------------------------------------------------------

add_test(NAME sdk.cplusplus COMMAND "${sdk}/bin/wasm32-linux-musl-clang" -std=c++23 -Wall -Werror -fsyntax-only
    "${root}/tests/tools/operator-new.cpp")
add_test(NAME sdk.callbacks COMMAND python3 "${root}/tests/tools/callbacks.py" "${sdk}/sysroot/lib/libc.a")
add_test(NAME sdk.psabi COMMAND "${sdk}/bin/wasm32-linux-musl-clang" -Wall -Werror -fsyntax-only
    -I "${root}/userland/musl/overlay/arch/wasm32" "${root}/tests/tools/psabi.c")
set_tests_properties(sdk.cplusplus sdk.callbacks sdk.psabi PROPERTIES LABELS sdk TIMEOUT 60)

# ---- the model of the CPU tokens ------------------------------------------------------------------------------------

add_test(NAME model.code COMMAND python3 "${root}/tests/tools/modelled.py")
set_tests_properties(model.code PROPERTIES LABELS model)
add_test(NAME model.cpu-token COMMAND sh "${root}/tests/model/run")
set_tests_properties(model.cpu-token PROPERTIES LABELS model TIMEOUT 900)

# ---- the host, natively -------------------------------------------------------------------------------------------

add_test(NAME host.unit COMMAND "${host_native}/unit/unit_tests")
set_tests_properties(host.unit PROPERTIES LABELS unit TIMEOUT 300)
add_test(NAME host.fuzz COMMAND ctest --test-dir "${host_native}" --output-on-failure -R "^fuzz")
set_tests_properties(host.fuzz PROPERTIES LABELS fuzz TIMEOUT 300)

# tap_test(NAME MEGABYTES [OPTIONS of tap...] [-- OPTIONS of client.py...])
function(tap_test name megabytes)
    set(tap ${ARGN})
    set(client)
    list(FIND tap "--" split)
    if(NOT split EQUAL -1)
        list(SUBLIST tap ${split} -1 client)
        list(REMOVE_AT client 0)
        list(SUBLIST tap 0 ${split} tap)
    endif()
    add_test(NAME ${name} COMMAND "${host_native}/tap/tap" ${tap} -- python3 "${root}/tests/tap/client.py"
        --megabytes ${megabytes} ${client})
    # 77: where taps are not allowed.
    set_tests_properties(${name} PROPERTIES LABELS network TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()

tap_test(host.tap 200)
tap_test(host.tap-no-offload 20 --no-offload)
tap_test(host.tap-mtu-9000 20 --mtu 9000)
tap_test(host.tap-mtu-65520 20 --mtu 65520)
tap_test(host.tap-reorder 20 --reorder 100 -- --lossy)
tap_test(host.tap-drop 20 --drop 1000 -- --lossy)
tap_test(host.tap-drop-no-offload 20 --no-offload --drop 1000 -- --lossy)

# ---- the pure parts of web/src ---------------------------------------------------------------------------------------

add_test(NAME web.unit COMMAND "${node}" --test --test-reporter=spec "${root}/tests/web/*.test.mjs")
set_tests_properties(web.unit PROPERTIES LABELS unit TIMEOUT 120 ENVIRONMENT "AUKLET_BUILD=${build}")

# ---- machines -----------------------------------------------------------------------------------------------------

# node_test(NAME FILE TIMEOUT LABEL [CONFIGURATIONS long] [ENVIRONMENT A=B...] [FIXTURES F...])
function(node_test name file timeout label)
    cmake_parse_arguments(PARSE_ARGV 4 option "" "" "CONFIGURATIONS;ENVIRONMENT;FIXTURES")
    set(configurations)
    if(option_CONFIGURATIONS)
        set(configurations CONFIGURATIONS ${option_CONFIGURATIONS})
    endif()
    add_test(NAME ${name} ${configurations}
        COMMAND "${node}" --expose-gc --test --test-reporter=spec --test-concurrency=1 "${root}/tests/${file}")
    set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout} ENVIRONMENT "AUKLET_BUILD=${build};${option_ENVIRONMENT}"
        # Machines are parallel by themselves, and some tests measure time.
        RUN_SERIAL TRUE FIXTURES_REQUIRED "${option_FIXTURES}")
endfunction()

node_test(boot.boot boot/boot.test.mjs 300 boot)
node_test(boot.commands boot/commands.test.mjs 600 boot)
node_test(boot.console boot/console.test.mjs 120 boot)
node_test(boot.exec boot/exec.test.mjs 300 boot)
node_test(boot.options boot/options.test.mjs 300 boot)
node_test(boot.put boot/put.test.mjs 180 boot)
node_test(boot.signals boot/signals.test.mjs 300 boot)
node_test(boot.time-zone boot/time-zone.test.mjs 180 boot)
node_test(boot.certificates boot/certificates.test.mjs 180 boot)
node_test(boot.programs boot/programs.test.mjs 900 boot)
# Debian's Node.js 20 has no multi-memory: user memory is copied by JavaScript there.
node_test(boot.programs-node20 boot/programs.test.mjs 900 boot ENVIRONMENT AUKLET_TEST_NODE=/usr/bin/node)
node_test(boot.executables boot/executables.test.mjs 120 boot)
node_test(boot.ends boot/ends.test.mjs 180 boot)
node_test(boot.image boot/image.test.mjs 600 boot)
node_test(boot.api boot/api.test.mjs 180 boot)
node_test(boot.sockets boot/sockets.test.mjs 300 boot)
node_test(boot.disks boot/disks.test.mjs 300 boot)
node_test(boot.network boot/network.test.mjs 300 boot)
node_test(boot.network-programs boot/network-programs.test.mjs 300 boot)
node_test(boot.network-scale boot/network-scale.test.mjs 300 boot)
node_test(boot.links boot/links.test.mjs 600 boot)
node_test(boot.network-capture boot/network-capture.test.mjs 300 boot)
node_test(boot.ports boot/ports.test.mjs 120 boot)
node_test(boot.fetch boot/fetch.test.mjs 180 boot)
node_test(boot.relays boot/relays.test.mjs 300 boot)
node_test(boot.crash boot/crash.test.mjs 900 boot)
node_test(boot.home boot/home.test.mjs 600 boot)
node_test(boot.growth boot/growth.test.mjs 600 boot)
node_test(boot.flush boot/flush.test.mjs 120 boot)
node_test(boot.file-systems boot/file-systems.test.mjs 600 boot)
node_test(boot.databases boot/databases.test.mjs 900 boot)
node_test(boot.root boot/root.test.mjs 600 boot)
node_test(boot.shares boot/shares.test.mjs 300 boot)
node_test(boot.files boot/files.test.mjs 300 boot)
node_test(boot.beside boot/beside.test.mjs 240 boot)
node_test(boot.transfers boot/transfers.test.mjs 240 boot)
node_test(boot.get boot/get.test.mjs 120 boot)
node_test(boot.output boot/output.test.mjs 180 boot)
node_test(boot.dispose boot/dispose.test.mjs 300 boot)
node_test(boot.versions boot/versions.test.mjs 60 boot)
node_test(boot.limits boot/limits.test.mjs 300 boot)
node_test(boot.processes boot/processes.test.mjs 600 boot)
node_test(boot.reserve boot/reserve.test.mjs 300 boot)
node_test(boot.recursion boot/recursion.test.mjs 600 boot)
node_test(boot.runaway boot/runaway.test.mjs 600 boot)
node_test(boot.clock clock/node.test.mjs 600 boot)
node_test(boot.site boot/site.test.mjs 60 boot)
node_test(boot.strace boot/strace.test.mjs 180 boot)
node_test(boot.kallsyms boot/kallsyms.test.mjs 180 boot)
node_test(package.npm package/package.test.mjs 600 package)
node_test(browser.chromium browser/chromium.test.mjs 900 browser)
node_test(browser.api browser/api.test.mjs 300 browser)
node_test(browser.clipboard browser/clipboard.test.mjs 300 browser)
node_test(browser.page browser/page.test.mjs 900 browser)
node_test(browser.debugger browser/debugger.test.mjs 180 browser)
node_test(browser.clock clock/chromium.test.mjs 600 browser)
node_test(browser.firefox browser/firefox.test.mjs 300 browser)
node_test(browser.webkit browser/webkit.test.mjs 600 browser)
node_test(browser.machines browser/machines.test.mjs 600 browser)
foreach(browser chromium firefox)
    node_test(browser.recursion-${browser} browser/recursion.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.disks-${browser} browser/disks.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.page-network-${browser} browser/page-network.test.mjs 600 browser
        ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.links-${browser} browser/links.test.mjs 300 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.preview-${browser} browser/preview.test.mjs 300 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.shares-${browser} browser/shares.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.root-${browser} browser/root.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.saving-${browser} browser/saving.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.transfers-${browser} browser/transfers.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.flush-${browser} browser/flush.test.mjs 300 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.kills-${browser} browser/kills.test.mjs 1200 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    # ./auklet test -C kills -R hundred-kills
    node_test(hundred-kills-${browser} browser/kills.test.mjs 10800 browser CONFIGURATIONS kills
        ENVIRONMENT AUKLET_TEST_BROWSER=${browser} AUKLET_KILLS=100)
endforeach()
foreach(browser chromium firefox webkit)
    node_test(browser.dispose-${browser} browser/dispose.test.mjs 600 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
    node_test(browser.network-${browser} browser/network.test.mjs 300 browser ENVIRONMENT AUKLET_TEST_BROWSER=${browser})
endforeach()
node_test(long.idle-and-boots boot/long.test.mjs 2700 long CONFIGURATIONS long)
node_test(long.databases boot/databases.test.mjs 2400 long CONFIGURATIONS long ENVIRONMENT AUKLET_DATABASE_SECONDS=60)
# A minute, as the kernel is patient for 21 s by itself.
node_test(long.clock clock/node.test.mjs 900 long CONFIGURATIONS long ENVIRONMENT AUKLET_TEST_STOP=60)
node_test(long.clock-chromium clock/chromium.test.mjs 900 long CONFIGURATIONS long ENVIRONMENT AUKLET_TEST_STOP=60)
node_test(long.chromium browser/long.test.mjs 1800 long CONFIGURATIONS long)
# Half an hour for each of three numbers of CPUs, and Chromium's.
node_test(soak.node soak/node.test.mjs 7200 soak CONFIGURATIONS soak)
node_test(soak.chromium soak/chromium.test.mjs 1800 soak CONFIGURATIONS soak)

# The debug kernel: ./auklet test -C debug -R "^debug". It is slow, so that everything gets more time.
add_test(NAME debug.kernel CONFIGURATIONS debug COMMAND ${CMAKE_COMMAND} --build "${build}" --target kernel-debug)
set_tests_properties(debug.kernel PROPERTIES LABELS debug TIMEOUT 3600 FIXTURES_SETUP debug-kernel)
function(debug_test name file timeout)
    node_test(debug.${name} ${file} ${timeout} debug CONFIGURATIONS debug FIXTURES debug-kernel
        ENVIRONMENT "AUKLET_KERNEL=${vmlinux_debug}" AUKLET_PATIENCE=5 ${ARGN})
endfunction()
debug_test(boot boot/boot.test.mjs 900)
debug_test(commands boot/commands.test.mjs 1800)
debug_test(processes boot/processes.test.mjs 1800)
debug_test(runaway boot/runaway.test.mjs 1800)
debug_test(storage debug/storage.test.mjs 1800)
debug_test(kunit debug/kunit.test.mjs 900)
debug_test(soak soak/node.test.mjs 3600 AUKLET_SOAK_SECONDS=600 AUKLET_SOAK_CPUS=2)
