;; Grows eight tables in turn, each far below what one may have: its own, and those of seven instances beside it.
(import "beside0" "grow" (func $g0)) (import "beside1" "grow" (func $g1)) (import "beside2" "grow" (func $g2))
(import "beside3" "grow" (func $g3)) (import "beside4" "grow" (func $g4)) (import "beside5" "grow" (func $g5))
(import "beside6" "grow" (func $g6))
(memory (export "memory") 1)
(table $t 1 funcref)
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "transform") (param i32) (result i32)
  (loop $more
    (drop (table.grow $t (ref.null func) (i32.const 1000)))
    (call $g0) (call $g1) (call $g2) (call $g3) (call $g4) (call $g5) (call $g6)
    (br $more))
  unreachable)
;; beside
(table $t 1 funcref)
(func (export "grow") (drop (table.grow $t (ref.null func) (i32.const 1000))))
