;; SPDX-License-Identifier: MIT
;; The kernel's access to user memory: functions over K and one U, which check
;; all bounds. A bad address gives an answer, never a trap. struct user_access in
;; asm/uaccess.h has the order and the meaning of the exports.
(module
  (import "kernel" "memory" (memory $k 1 65536 shared))
  (import "user" "memory" (memory $u 0 65536 shared))

  ;; 1 if [address, address + length) lies in U.
  (func $inside (param $address i32) (param $length i32) (result i32)
    (i64.le_u
      (i64.add (i64.extend_i32_u (local.get $address)) (i64.extend_i32_u (local.get $length)))
      (i64.shl (i64.extend_i32_u (memory.size $u)) (i64.const 16))))

  ;; How many of the n bytes from address on lie in U.
  (func $reach (param $address i32) (param $n i32) (result i32)
    (local $left i64)
    (local.set $left
      (i64.sub
        (i64.shl (i64.extend_i32_u (memory.size $u)) (i64.const 16))
        (i64.extend_i32_u (local.get $address))))
    (if (i64.le_s (local.get $left) (i64.const 0))
      (then (return (i32.const 0))))
    (if (i64.lt_u (local.get $left) (i64.extend_i32_u (local.get $n)))
      (then (return (i32.wrap_i64 (local.get $left)))))
    (local.get $n))

  ;; A copy that leaves U copies as far as U reaches. Callers rely on that if they
  ;; have found the first bytes accessible: generic_perform_write() would try for
  ;; ever. If nothing lies in U, memory.copy would trap on the address.
  (func (export "copy_from") (param $to i32) (param $from i32) (param $n i32) (result i32)
    (local $inside i32)
    (if (i32.eqz (call $inside (local.get $from) (local.get $n)))
      (then
        (local.set $inside (call $reach (local.get $from) (local.get $n)))
        (if (local.get $inside)
          (then (memory.copy $k $u (local.get $to) (local.get $from) (local.get $inside))))
        (return (i32.sub (local.get $n) (local.get $inside)))))
    ;; Most copies are one word, and a bulk copy is a call in every engine.
    (if (i32.eq (local.get $n) (i32.const 4))
      (then
        (i32.store $k align=1 (local.get $to) (i32.load $u align=1 (local.get $from)))
        (return (i32.const 0))))
    (if (i32.eq (local.get $n) (i32.const 8))
      (then
        (i64.store $k align=1 (local.get $to) (i64.load $u align=1 (local.get $from)))
        (return (i32.const 0))))
    (memory.copy $k $u (local.get $to) (local.get $from) (local.get $n))
    (i32.const 0))

  (func (export "copy_to") (param $to i32) (param $from i32) (param $n i32) (result i32)
    (local $inside i32)
    (if (i32.eqz (call $inside (local.get $to) (local.get $n)))
      (then
        (local.set $inside (call $reach (local.get $to) (local.get $n)))
        (if (local.get $inside)
          (then (memory.copy $u $k (local.get $to) (local.get $from) (local.get $inside))))
        (return (i32.sub (local.get $n) (local.get $inside)))))
    (if (i32.eq (local.get $n) (i32.const 4))
      (then
        (i32.store $u align=1 (local.get $to) (i32.load $k align=1 (local.get $from)))
        (return (i32.const 0))))
    (if (i32.eq (local.get $n) (i32.const 8))
      (then
        (i64.store $u align=1 (local.get $to) (i64.load $k align=1 (local.get $from)))
        (return (i32.const 0))))
    (memory.copy $u $k (local.get $to) (local.get $from) (local.get $n))
    (i32.const 0))

  (func (export "clear") (param $to i32) (param $n i32) (result i32)
    (local $inside i32)
    (if (i32.eqz (call $inside (local.get $to) (local.get $n)))
      (then
        (local.set $inside (call $reach (local.get $to) (local.get $n)))
        (if (local.get $inside)
          (then (memory.fill $u (local.get $to) (i32.const 0) (local.get $inside))))
        (return (i32.sub (local.get $n) (local.get $inside)))))
    (memory.fill $u (local.get $to) (i32.const 0) (local.get $n))
    (i32.const 0))

  (func (export "string_copy") (param $to i32) (param $from i32) (param $n i32) (result i32)
    (local $limit i32) (local $i i32) (local $byte i32)
    (local.set $limit (call $reach (local.get $from) (local.get $n)))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $limit))
        (then
          (local.set $byte (i32.load8_u $u (i32.add (local.get $from) (local.get $i))))
          (i32.store8 $k (i32.add (local.get $to) (local.get $i)) (local.get $byte))
          (if (i32.eqz (local.get $byte))
            (then (return (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (if (i32.lt_u (local.get $limit) (local.get $n))
      (then (return (i32.const -1))))
    (local.get $n))

  (func (export "string_length") (param $from i32) (param $n i32) (result i32)
    (local $limit i32) (local $i i32)
    (local.set $limit (call $reach (local.get $from) (local.get $n)))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $limit))
        (then
          (if (i32.eqz (i32.load8_u $u (i32.add (local.get $from) (local.get $i))))
            (then (return (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (if (i32.lt_u (local.get $limit) (local.get $n))
      (then (return (i32.const -1))))
    (local.get $n))

  (func (export "compare_exchange") (param $address i32) (param $expected i32) (param $value i32) (param $old i32) (result i32)
    (if (i32.eqz (call $inside (local.get $address) (i32.const 4)))
      (then (return (i32.const 1))))
    (i32.store $k (local.get $old)
      (i32.atomic.rmw.cmpxchg $u (local.get $address) (local.get $expected) (local.get $value)))
    (i32.const 0))

  ;; op is FUTEX_OP_SET, _ADD, _OR, _ANDN or _XOR, which are 0 to 4.
  (func (export "futex_op") (param $op i32) (param $argument i32) (param $address i32) (param $old i32) (result i32)
    (local $was i32)
    (if (i32.eqz (call $inside (local.get $address) (i32.const 4)))
      (then (return (i32.const 1))))
    (block $done
      (block $xor
        (block $andn
          (block $or
            (block $add
              (block $set
                (br_table $set $add $or $andn $xor (local.get $op)))
              (local.set $was (i32.atomic.rmw.xchg $u (local.get $address) (local.get $argument)))
              (br $done))
            (local.set $was (i32.atomic.rmw.add $u (local.get $address) (local.get $argument)))
            (br $done))
          (local.set $was (i32.atomic.rmw.or $u (local.get $address) (local.get $argument)))
          (br $done))
        (local.set $was
          (i32.atomic.rmw.and $u (local.get $address) (i32.xor (local.get $argument) (i32.const -1))))
        (br $done))
      (local.set $was (i32.atomic.rmw.xor $u (local.get $address) (local.get $argument))))
    (i32.store $k (local.get $old) (local.get $was))
    (i32.const 0))

  (func (export "move") (param $to i32) (param $from i32) (param $n i32) (result i32)
    (if (i32.eqz (i32.and
          (call $inside (local.get $to) (local.get $n))
          (call $inside (local.get $from) (local.get $n))))
      (then (return (local.get $n))))
    (memory.copy $u $u (local.get $to) (local.get $from) (local.get $n))
    (i32.const 0))

  (func (export "pages") (result i32)
    (memory.size $u))

  (func (export "grow") (param $pages i32) (result i32)
    (memory.grow $u (local.get $pages))))
