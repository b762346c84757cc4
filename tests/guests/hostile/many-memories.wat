;; Grows eight memories in turn, each far below what one may have: its own, and those of seven instances beside it.
(import "beside0" "grow" (func $g0)) (import "beside1" "grow" (func $g1)) (import "beside2" "grow" (func $g2))
(import "beside3" "grow" (func $g3)) (import "beside4" "grow" (func $g4)) (import "beside5" "grow" (func $g5))
(import "beside6" "grow" (func $g6))
(memory (export "memory") 1)
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "transform") (param i32) (result i32)
  (loop $more
    (drop (memory.grow (i32.const 8)))
    (call $g0) (call $g1) (call $g2) (call $g3) (call $g4) (call $g5) (call $g6)
    (br $more))
  unreachable)
;; beside
(memory 1)
(func (export "grow") (drop (memory.grow (i32.const 8))))
