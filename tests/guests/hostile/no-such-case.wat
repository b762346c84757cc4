;; Answers with the seventh case of a type that has two.
(memory (export "memory") 1)
(data (i32.const 2048) "\07")
(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "transform") (param i32) (result i32) i32.const 2048)
