;; Gives the host an odd address for what must lie on an even one.
(memory (export "memory") 1)
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1025)
(func (export "transform") (param i32) (result i32) unreachable)
