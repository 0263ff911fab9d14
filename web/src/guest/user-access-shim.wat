;; SPDX-License-Identifier: MIT
;; Makes wasm functions of JavaScript functions, for engines without
;; multi-memory. Only wasm functions can be put into a table.
(module
  (import "js" "copy_from" (func $copy_from (param i32 i32 i32) (result i32)))
  (import "js" "copy_to" (func $copy_to (param i32 i32 i32) (result i32)))
  (import "js" "clear" (func $clear (param i32 i32) (result i32)))
  (import "js" "string_copy" (func $string_copy (param i32 i32 i32) (result i32)))
  (import "js" "string_length" (func $string_length (param i32 i32) (result i32)))
  (import "js" "compare_exchange" (func $compare_exchange (param i32 i32 i32 i32) (result i32)))
  (import "js" "futex_op" (func $futex_op (param i32 i32 i32 i32) (result i32)))
  (import "js" "move" (func $move (param i32 i32 i32) (result i32)))
  (import "js" "pages" (func $pages (result i32)))
  (import "js" "grow" (func $grow (param i32) (result i32)))
  (export "copy_from" (func $copy_from))
  (export "copy_to" (func $copy_to))
  (export "clear" (func $clear))
  (export "string_copy" (func $string_copy))
  (export "string_length" (func $string_length))
  (export "compare_exchange" (func $compare_exchange))
  (export "futex_op" (func $futex_op))
  (export "move" (func $move))
  (export "pages" (func $pages))
  (export "grow" (func $grow)))
