;; Calls itself for as long as there is stack.
(memory (export "memory") 1)
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func $deeper (param i64) (result i64)
  (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (local.get 0)))
(func (export "transform") (param i32) (result i32) (drop (call $deeper (i64.const 0))) i32.const 2048)
